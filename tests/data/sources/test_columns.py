"""Which columns of a table say the path, the class and the part."""

from __future__ import annotations

import pytest

from opsin.base.errors import DataError
from opsin.data import items
from opsin.data.items import FileProblem
from opsin.data.sources.table import read_table


def pairs(text: str) -> list[tuple[str, str]]:
    rows, problems = read_table(text.encode(), "t.csv")
    assert not problems
    return [(row.path, row.label) for row in rows]


TWO = [("a.jpg", "cat"), ("b.jpg", "dog")]


@pytest.mark.parametrize("label", [
    "ClassId", "class_id", "Class ID", "class-id", "Label", "LABEL", "label_name", "LabelName", "category",
    "categoryName", "target", "Targets", "y", "species", "Breed", "diagnosis", "dx", "has_cactus", "is_cat", "tag",
    "plantSpecies", "cell_type", "Emotion", "kind",
])  # fmt: skip
def test_names_of_labels(label: str) -> None:
    """A column of labels is found among columns of numbers that are no classes."""
    text = f"width,{label},Filename,Roi.X1,roi_y2,age\n640,cat,a.jpg,1,2,0.5\n640,dog,b.jpg,1,2,0.25\n"
    assert pairs(text) == TWO
    assert pairs(text.replace(",", ";")) == TWO


@pytest.mark.parametrize("path", [
    "Path", "filename", "file_name", "FileName", "image_id", "id", "Id", "ID", "image", "img", "ImageId", "Image ID",
    "id_code", "image_path", "imagePath", "img-name", "uuid", "isic_id",
])  # fmt: skip
def test_names_of_paths(path: str) -> None:
    """The values say nothing: they have no ending, and the classes come first."""
    expected = [("a1", "cat"), ("b2", "dog")]
    if path == "isic_id":  # by the files that there are
        rows, _ = read_table(b"label,isic_id\ncat,a1\ndog,b2\n", "t.csv", lambda values: len({"a1", "b2"} & {*values}))
        assert [(row.path, row.label) for row in rows] == expected
    else:
        assert pairs(f"label,{path}\ncat,a1\ndog,b2\n") == expected


def test_the_path_is_what_leads_to_files() -> None:
    def count(values: object) -> int:
        return len({"7", "8"} & set(values))  # type: ignore[call-overload]

    text = b"id,image_id,label\nx,7,cat\ny,8,dog\n"
    assert [row.path for row in read_table(text, "t.csv", count)[0]] == ["7", "8"]
    assert [row.path for row in read_table(text, "t.csv")[0]] == ["x", "y"], "by the name that is likelier"
    assert [row.path for row in read_table(text.replace(b"image_id", b"scan"), "t.csv", count)[0]] == ["7", "8"]


@pytest.mark.parametrize("numbers", [("0", "1"), ("0.0", "1.0"), ("False", "True")])
def test_a_column_of_zeros_and_ones_for_each_class(numbers: tuple[str, str]) -> None:
    no, yes = numbers
    text = f"image_id, healthy, rust, leaf scab\na,{yes},{no},{no}\nb,{no},{no},{yes}\nc,{no},{yes},{no}\n"
    assert pairs(text) == [("a", "healthy"), ("b", "leaf scab"), ("c", "rust")]


def test_rows_of_no_class_and_of_several() -> None:
    text = "image,cat,dog\na,1,0\nb,0,1\nc,0,0\nd,1,1\ne,0,1\n"
    rows, problems = read_table(text.encode(), "t.csv")
    assert [(row.path, row.label) for row in rows] == [("a", "cat"), ("b", "dog"), ("e", "dog")]
    assert problems == [
        FileProblem("c", "of no class in line 4 of t.csv", items.UNLABELLED),
        FileProblem("d", "of several classes ('cat', 'dog') in line 5 of t.csv", items.UNLABELLED),
    ]
    with pytest.raises(DataError) as caught:
        read_table(b"image,cat,dog\na,1,1\nb,1,1\nc,0,1\n", "t.csv")
    assert str(caught.value) == (
        "t.csv gives most images several classes, in the columns 'cat', 'dog'; give each image one class, "
        "in a column named 'label'"
    )


def test_a_named_label_counts_before_columns_of_zeros_and_ones() -> None:
    assert pairs("image,label,blurred,cropped\na.jpg,cat,0,1\nb.jpg,dog,1,0\n") == TWO


def test_one_column_is_left_that_may_hold_classes() -> None:
    assert pairs(",file,width,height,wildlife,score\n0,a.jpg,1,1,cat,0.5\n1,b.jpg,1,1,dog,0.25\n") == TWO


@pytest.mark.parametrize("text", ["id,foo,bar\na,1,x\nb,2,y\n", "id,width\na,640\nb,480\n", "a,b,c\nx,y,z\n"])
def test_ambiguous_columns_are_named(text: str) -> None:
    with pytest.raises(DataError) as caught:
        read_table(text.encode(), "t.csv")
    heads = text.splitlines()[0].split(",") if "x,y,z" not in text else ["column 1", "column 2", "column 3"]
    names = ", ".join(f"'{head}'" for head in heads)
    assert str(caught.value) == (
        f"t.csv has the columns {names}; name the one with the images' paths 'path' and the one with the classes "
        "'label'"
    )


@pytest.mark.parametrize("head", ["picture", "Pictures", "picture_id", "image", "images", "photo"])
def test_columns_of_pictures_by_name(head: str) -> None:
    assert pairs(f"species,{head}\niris,one\nrose,two\n") == [("one", "iris"), ("two", "rose")]

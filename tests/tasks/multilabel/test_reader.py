"""Images with several labels, read from tables and folders."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from opsin.base.errors import DataError
from opsin.tasks.annotations import Annotations
from opsin.tasks.multilabel import MultiLabel
from opsin.tasks.multilabel.label_columns import split_list
from tests.tasks.memory_files import Content, MemoryFiles, image_size, images, numbered

SETS = ["red;big", "big", "red", "blue;big;red", "", "blue", "red;blue", "big;blue"]


def files(text: str, *more: Mapping[str, Content]) -> MemoryFiles:
    return MemoryFiles({"x.csv": text}, numbered(len(SETS)), images("a.jpg"), *more)


def read(text: str, *names: str) -> Annotations | None:
    return MultiLabel.read(files(text), image_size, names)


def present(annotations: Annotations | None) -> Annotations:
    assert annotations is not None
    return annotations


def lists(separator: str = ";", title: str = "labels", sets: list[str] = SETS) -> str:
    rows = (f'{number:04}.jpg,"{labels.replace(";", separator)}"' for number, labels in enumerate(sets))
    return "\n".join([f"file,{title}", *rows])


def ones(title_row: str, *rows: str) -> str:
    return "\n".join([f"file,{title_row}", *(f"{number:04}.jpg,{row}" for number, row in enumerate(rows))])


@pytest.mark.parametrize(
    ("separator", "title"),
    [(";", "labels"), ("|", "whatever"), (";", "anything"), (",", "tags"), (", ", "labels"), (" ", "tags")],
)
def test_lists(separator: str, title: str) -> None:
    found = present(read(lists(separator, title)))
    assert found.settings == {"labels": ("big", "blue", "red")} and not found.problems
    assert [set(image.target) for image in found.images] == [set(filter(None, text.split(";"))) for text in SETS]
    assert found.counts == {"big": 4, "blue": 4, "red": 4}
    assert found.form == "table of lists of labels"
    assert found.notes == [
        "1 images are in no row of a table, and left out: a.jpg.",
        "1 images have no label; they are examples without any.",
    ]
    targets = MultiLabel.load_targets(found.images, MemoryFiles({}), (8, 8), found.settings)
    assert targets.matrix.tolist()[:3] == [[1, 0, 1], [1, 0, 0], [0, 0, 1]]
    assert MultiLabel.of(found.settings, targets).labels == ("big", "blue", "red")


def test_parts_of_lists() -> None:
    assert split_list("['a', \"b\"]", ",") == ["a", "b"] and split_list("{a; b;;a}", ";") == ["a", "b"]
    assert split_list("[]", ",") == split_list("", ";") == []


@pytest.mark.parametrize(
    "text",
    [
        lists(",", "synset", ["tench, Tinca", "goldfish, Carassius", "tench, Tinca", "shark, Carcharodon"] * 2),
        lists(";", "labels", ["red", "blue"] * 4), lists(" ", "label", ["big dog", "big cat"] * 4),
        lists(",", "note", ["nice, red", "big, red"] * 4),
        "file,price\n0000.jpg,3\n0001.jpg,4\n", "",
    ],
)  # fmt: skip
def test_single_labels_and_texts_are_no_lists(text: str) -> None:
    assert read(text) is None


def test_columns_for_labels() -> None:
    found = present(read(ones("cat,dog,cow", "1,1,0", "0,1,0", "1,0,0", "0,0,0")))
    assert found.settings["labels"] == ("cat", "dog", "cow")
    assert [image.target for image in found.images] == [("cat", "dog"), ("dog",), ("cat",), ()]
    assert found.form == "table with a column for each label" and "No image has the label cow." in found.notes
    assert found.counts == {"cat": 2, "dog": 2, "cow": 0}


def test_one_hot_columns_are_classes() -> None:
    assert read(ones("cat,dog", "1,0", "0,1", "1,0", "0,1")) is None
    assert read(ones("cat,dog", "1,0", "0,1", "1,1", "0,1")) is not None
    assert read(ones("cat,dog", "0,0", "0,0", "1,0", "0,1")) is not None
    assert present(read(ones("cat,dog", "1,0", "0,1", "1,0", "0,1"), "cat", "dog")).settings["labels"] == ("cat", "dog")


@pytest.mark.parametrize(
    ("yes", "no"), [("1", "0"), ("1.0", "0.0"), ("True", "False"), ("yes", "no"), ("1", "-1"), ("x", "")]
)
def test_spellings_of_yes_and_no(yes: str, no: str) -> None:
    rows = [",".join((yes, no)[int(cell)] for cell in row) for row in ("00", "01", "10", "00", "11")]
    found = present(read(ones("cat,dog", *rows)))
    assert [image.target for image in found.images] == [("cat", "dog"), ("cat",), ("dog",), ("cat", "dog"), ()]
    assert not found.problems and not any("uncertain" in note for note in found.notes)


def test_uncertain_labels_count_as_absent() -> None:
    found = present(read(ones("cat,dog", "1,-1", "0,1", "1,1", "-1,")))
    assert [image.target for image in found.images] == [("cat",), ("dog",), ("cat", "dog"), ()]
    assert "2 labels are -1, uncertain; they count as absent." in found.notes


def test_problems_are_named_by_table_and_line() -> None:
    text = ones("cat,dog", "1,1", "0,1", "1,0") + "\n0000.jpg,0,1\nz.jpg,1,0\n"
    found = present(read(text))
    assert [(problem.name, problem.kind) for problem in found.problems] == [
        ("x.csv, line 5", "contradicting rows"), ("x.csv, line 6", "missing image")
    ]  # fmt: skip
    assert found.problems[0].reason == (
        "gives 0000.jpg dog, but x.csv, line 2 gives cat, dog; the first counts"
    )  # fmt: skip
    assert present(read(text, "cat")).settings["labels"] == ("cat",)
    more = {"train.csv": ones("cat,dog", "1,1", "0,1", "1,0"), "val.csv": "file,cat,dog\n0003.jpg,1,7\n"}
    found = present(MultiLabel.read(MemoryFiles(more, numbered(len(SETS))), image_size))
    (problem,) = found.problems
    assert (problem.name, problem.kind) == ("val.csv, line 2", "invalid label")
    assert problem.reason == "the label dog is '7', not 0 or 1"


def test_columns_that_the_user_names() -> None:
    text = "file,kind,tags\n" + "\n".join(f"{n:04}.jpg,{('a', 'b')[n % 2]},{SETS[n]}" for n in range(8))
    assert present(read(text)).settings["labels"] == ("big", "blue", "red")
    assert present(read(text, "kind")).settings["labels"] == ("a", "b")
    with pytest.raises(DataError, match=r"x\.csv has no column 'tag'; it has 'kind', 'tags'; name one"):
        read(text, "tag")
    assert read(text, "kind", "tags") is None


def test_splits_of_tables() -> None:
    rows = lists().splitlines()
    tables = {"train.csv": "\n".join(rows[:5]), "val.csv": "\n".join([rows[0], *rows[5:]])}
    found = present(MultiLabel.read(MemoryFiles(tables, numbered(len(SETS))), image_size))
    assert [image.split for image in found.images] == ["train"] * 4 + ["validation"] * 4


def folders(count: int, shared: int) -> MemoryFiles:
    """Return images of two labels; the first `shared` are in both folders."""
    contents: dict[str, Content] = {}
    for number in range(count):
        for label in ("cat", "dog"):
            if number < shared or (number % 2 == 0) == (label == "cat"):
                contents[f"train/{label}/{number:03}.jpg"] = f"image {number}"
    return MemoryFiles(contents)


def test_folders_that_share_images() -> None:
    found = present(MultiLabel.read(folders(30, 6), image_size))
    assert len(found.images) == 30 and found.settings["labels"] == ("cat", "dog")
    targets = {image.path: image.target for image in found.images}
    assert targets["train/cat/000.jpg"] == ("cat", "dog") and targets["train/dog/007.jpg"] == ("dog",)
    assert {image.split for image in found.images} == {"train"} and found.counts == {"cat": 18, "dog": 18}
    assert found.form == "label folders"
    assert found.notes == ["6 images lie in the folders of several labels, so each image may have several."]


def test_folders_of_classes_are_none() -> None:
    assert MultiLabel.read(folders(30, 0), image_size) is None
    assert MultiLabel.read(folders(30, 2), image_size) is None
    same_names: dict[str, Content] = {
        f"{label}/{number:03}.jpg": f"{label} {number}" for number in range(20) for label in ("cat", "dog")
    }
    assert MultiLabel.read(MemoryFiles(same_names), image_size) is None
    assert MultiLabel.read(MemoryFiles(numbered(20, "train/"), numbered(20, "test/")), image_size) is None


def test_unreadable_images_in_folders() -> None:
    contents: dict[str, Content] = {f"{label}/{name}.jpg": name for label in ("a", "b") for name in ("x", "broken")}
    found = present(MultiLabel.read(MemoryFiles(contents, {"a/lost.jpg": None, "b/lost.jpg": None}), image_size))
    assert [problem.name for problem in found.problems] == ["a/broken.jpg"]
    assert {image.path: image.target for image in found.images}["a/x.jpg"] == ("a", "b")


def test_strata_and_sets() -> None:
    targets = MultiLabel.load_targets(
        present(read(lists())).images, MemoryFiles({}), (8, 8), {"labels": ("red", "big", "blue")}
    )
    assert targets.strata().dtype == np.int32 and len(targets) == len(SETS)
    assert targets.strata()[4] == 0

"""Tables whose images are elsewhere: other machines' paths, ids without endings, and the files of competitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from opsin.base.errors import DataError
from opsin.data import Dataset, items, load
from opsin.data.items import printable
from opsin.data.sources import open_source
from tests.data.files import PLACES, class_entries, png, write_entries

IDS = [f"a{n}f" for n in range(8)]
TRAIN = {f"train/{name}.png": png(n) for n, name in enumerate(IDS)}
TEST = {f"test/t{n}.png": png(100 + n) for n in range(3)}


def table(head: str, row: str = "{},{}", ids: list[str] = IDS) -> str:
    """A table whose rows are made of each id and of one of the classes x and y."""
    return "\n".join([head, *(row.format(name, "xy"[n % 2]) for n, name in enumerate(ids))])


def read(folder: Path, place: str, entries: Mapping[str, bytes | str]) -> Dataset:
    return load(write_entries(folder, place, entries), cache_size=0)


def totals(data: Dataset) -> dict[str, int]:
    assert data.receipt is not None
    assert not data.receipt.problems
    return data.receipt.totals


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("around", "folder", "name", "head"), [
    ("", "train", "train.csv", "id,label"), ("", "train", "labels.csv", "id,breed"),
    ("", "train_images", "train.csv", "image_id,label"), ("", "images", "train.csv", "ImageId,Class"),
    ("", "train/train", "train.csv", "id,has_cactus"), ("competition/", "train", "labels.csv", "Id,Target"),
    ("", "images/more", "train_labels.csv", "img,y"),
])  # fmt: skip
def test_ids_without_endings(tmp_path: Path, place: str, around: str, folder: str, name: str, head: str) -> None:
    entries = {around + key.replace("train", folder, 1): data for key, data in TRAIN.items()}
    data = read(tmp_path, place, entries | {around + name: table(head)})
    assert totals(data) == {"x": 4, "y": 4}
    assert data.all_images().names is not None
    assert all(f"{folder}/a" in path for path in data.all_images().names or ())


@pytest.mark.parametrize("place", PLACES)
def test_tables_without_labels_are_no_labels(tmp_path: Path, place: str) -> None:
    ids = "\n".join(f"t{n}" for n in range(3))
    form = table("id,label", ids=["t0", "t1", "t2"])
    entries = {**TRAIN, **TEST, "train.csv": table("id,label"), "test.csv": f"id\n{ids}", "sample_submission.csv": form}
    data = read(tmp_path, place, entries)
    assert totals(data) == {"x": 4, "y": 4}
    assert data.receipt is not None
    assert data.receipt.notes == (
        "Not used, because it holds no labels of images for training or measuring: 'test.csv'.",
        "Not used, because they only hold answers: 'sample_submission.csv'.",
        "Without a label, because no table lists them: 3 images, left out: test/ (3).",
    )
    assert "left out: test/ (3)." in data.receipt.text()
    with_sizes = entries | {"test.csv": "id,width\n" + "\n".join(f"t{n},8" for n in range(3))}
    assert totals(read(tmp_path / "sizes", place, with_sizes)) == {"x": 4, "y": 4}


@pytest.mark.parametrize("place", PLACES)
def test_a_form_for_answers_alone(tmp_path: Path, place: str) -> None:
    entries = {**TRAIN, "sample_submission.csv": table("id,label")}
    with pytest.raises(DataError) as caught:
        read(tmp_path, place, entries)
    assert str(caught.value).endswith(
        "sample_submission.csv only shows the format of submissions; put the table with the labels of the training "
        "images next to it"
    )


@pytest.mark.parametrize("place", PLACES)
def test_the_same_ids_in_train_and_test(tmp_path: Path, place: str) -> None:
    ids = [str(n) for n in range(8)]
    images = {f"{part}/{n}.png": png(n + 50 * (part == "test")) for part in ("train", "test") for n in range(8)}
    data = read(tmp_path, place, {**images, "train.csv": table("id,label", ids=ids)})
    assert totals(data) == {"x": 4, "y": 4}
    assert all("train/" in name for name in data.all_images().names or ())
    both = {**images, **{f"{part}.csv": table("id,label", ids=ids) for part in ("train", "test")}}
    data = read(tmp_path / "both", place, both)
    assert totals(data) == {"x": 8, "y": 8}
    assert all("test/" in name for name in data.test.names or ())


@pytest.mark.parametrize("place", PLACES)
def test_an_id_that_may_be_several_images(tmp_path: Path, place: str) -> None:
    entries = {"train/1.png": png(1), "train/1.PPM": png(2), "train/2.png": png(3), "l.csv": "id,label\n1,x\n2,y\n"}
    source = open_source(write_entries(tmp_path, place, entries))
    assert not isinstance(source, Dataset)
    assert len(source.items) == 1
    assert [problem.reason for problem in source.problems] == [
        "may be 'train/1.PPM', 'train/1.png'; give the path of one of them in the table"
    ]


def test_numbers_that_have_lost_their_zeros(tmp_path: Path) -> None:
    images = {f"train/{n:05}.png": png(n) for n in range(8)}
    data = read(tmp_path, "folder", {**images, "train.csv": table("id,label", ids=[str(n) for n in range(8)])})
    assert totals(data) == {"x": 4, "y": 4}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("inside", ["", "images/", "deep/images/"])
@pytest.mark.parametrize("row", [
    "C:\\Users\\me\\Desktop\\photos\\{0}\\{1}.png", "D:/photos/{0}/{1}.png", "/home/me/photos/{0}/{1}.png",
    "\\\\server\\photos\\{0}\\{1}.png", ".\\{0}\\{1}.png", "./{0}/{1}.png", "photos\\{0}\\{1}.png", "{0}\\{1}.png",
])  # fmt: skip
def test_paths_of_other_machines(tmp_path: Path, place: str, inside: str, row: str) -> None:
    """cat/1.png and dog/1.png differ in their folders only."""
    rows = [f"{row.format(name, n)},{name}" for name in ("cat", "dog") for n in range(3)]
    entries = {**class_entries(inside + "{}/{}.png"), "labels.csv": "\n".join(["path,label", *rows])}
    data = read(tmp_path, place, entries)
    assert totals(data) == {"cat": 3, "dog": 3}
    image = next(n for n, name in enumerate(data.all_images().names or ()) if "dog" in name)
    assert data.classes[data.all_images().labels[image]] == "dog"


@pytest.mark.parametrize("before", ["", "C:\\photos\\", "/home/me/photos/"])
def test_a_image_of_another_folder_is_none_for_one_that_is_missing(tmp_path: Path, before: str) -> None:
    rows = [f"{before}{name}/{n}.png,{name}" for name in ("cat", "dog") for n in range(4)]
    images: dict[str, bytes | str] = {**class_entries(count=4), "other/3.png": png(7)}
    del images["dog/3.png"]
    folder = write_entries(tmp_path, "folder", {**images, "l.csv": "\n".join(["path,label", *rows])})
    source = open_source(folder / "l.csv")
    assert not isinstance(source, Dataset)
    assert Counter(item.label for item in source.items) == {"cat": 4, "dog": 3}
    assert [(problem.name, problem.kind) for problem in source.problems] == [
        (printable(f"{before}dog/3.png"), items.MISSING)
    ]


@pytest.mark.parametrize("place", PLACES)
def test_traffic_signs(tmp_path: Path, place: str) -> None:
    """A table for each part, the training part in class folders, and a table of something else."""
    head = "Width,Height,Roi.X1,Roi.Y1,Roi.X2,Roi.Y2,ClassId,Path"
    train = {f"Train/{c}/{n}.png": png(10 * c + n) for c in range(2) for n in range(4)}
    test = {f"Test/{n}.png": png(70 + n) for n in range(4)}
    tables = {
        "Train.csv": "\n".join([head, *(f"8,8,1,1,7,7,{path[6]},{path}" for path in train)]),
        "Test.csv": "\n".join([head, *(f"8,8,1,1,7,7,{n % 2},{path}" for n, path in enumerate(test))]),
        "Meta.csv": "Path,ClassId,ShapeId\nMeta/0.png,0,1\nMeta/1.png,1,1",
    }
    data = read(tmp_path, place, {**train, **test, "Meta/0.png": png(98), "Meta/1.png": png(99), **tables})
    assert totals(data) == {"0": 6, "1": 6}
    assert len(data.test) == 4


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("name", "head", "row"), [
    ("_classes.csv", "filename, cat, dog", "{}.png, {}"), ("metadata.csv", "file_name,label", "{}.png,{}"),
])  # fmt: skip
def test_a_table_in_each_split(tmp_path: Path, place: str, name: str, head: str, row: str) -> None:
    text = table(head, row)
    if "cat" in head:
        text = text.replace(", x", ", 1, 0").replace(", y", ", 0, 1")
    entries: dict[str, bytes | str] = {f"{part}/{name}": text for part in ("train", "valid", "test")}
    entries |= {f"{part}/{n}.png": png(k + 40 * len(part)) for part in ("train", "valid", "test")
                for k, n in enumerate(IDS)}  # fmt: skip
    data = read(tmp_path, place, entries)
    assert set(data.classes) == ({"cat", "dog"} if "cat" in head else {"x", "y"})
    assert data.validation is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (8, 8, 8)
    assert all(image.startswith(("test/", f"data.{place}/test/")) for image in data.test.names or ())


@pytest.mark.parametrize("place", PLACES)
def test_pieces_of_one_folder_are_no_classes(tmp_path: Path, place: str) -> None:
    images = {f"HAM_part_{1 + n % 3}/{name}.png": png(n) for n, name in enumerate(IDS)}
    head = "lesion_id,image_id,dx,dx_type,age,sex,localization"
    data = read(tmp_path, place, {**images, "HAM_metadata.csv": table(head, "L1,{},{},histo,50.0,male,back")})
    assert totals(data) == {"x": 4, "y": 4}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("other", ["masks", "Annotations", "thumbnails"])
def test_images_and_what_belongs_to_them_are_no_classes(tmp_path: Path, place: str, other: str) -> None:
    images = {f"{kind}/{name}.png": png(n + len(kind)) for kind in ("images", other) for n, name in enumerate(IDS)}
    data = read(tmp_path, place, {**images, "train.csv": table("id,label")})
    assert totals(data) == {"x": 4, "y": 4}
    assert all("images/" in name for name in data.all_images().names or ())


@pytest.mark.parametrize("place", PLACES)
def test_class_folders_count_where_a_table_adds_nothing(tmp_path: Path, place: str) -> None:
    entries = {**class_entries(), "about.csv": "path,label\ncat/0.png,blurred\ndog/0.png,sharp\n", "x.csv": "a\n1\n"}
    assert totals(read(tmp_path, place, entries)) == {"cat": 3, "dog": 3}


@pytest.mark.parametrize("place", PLACES)
def test_several_tables_of_labels(tmp_path: Path, place: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, place, {**TRAIN, "a.csv": table("id,label"), "b.csv": table("id,label")})
    assert str(caught.value).endswith(
        "holds 2 tables of labels ('a.csv', 'b.csv'); give the path of one of them, or keep only one of them"
    )
    data = read(tmp_path / "c", place, {**TRAIN, "a.csv": table("id,label"), "labels.csv": table("id,label")})
    assert totals(data) == {"x": 4, "y": 4}


@pytest.mark.parametrize("place", PLACES)
def test_splits_without_classes(tmp_path: Path, place: str) -> None:
    with pytest.raises(DataError, match="holds the splits test, train without class folders in them, and no table of"):
        read(tmp_path, place, {**TRAIN, **TEST})


def test_a_table_by_its_path(tmp_path: Path) -> None:
    path = write_entries(tmp_path, "folder", {**TRAIN, **TEST, "train.csv": table("id,label"), "test.csv": "id\nt0\n"})
    assert totals(load(path / "train.csv", cache_size=0)) == {"x": 4, "y": 4}
    with pytest.raises(DataError, match=r"^test\.csv has only one column"):
        load(path / "test.csv")


@pytest.mark.parametrize("place", PLACES)
def test_one_image_by_two_names_with_two_labels(tmp_path: Path, place: str) -> None:
    entries = {"a.png": png(1), "b.png": png(2), "l.csv": "path,label\na.png,x\n./a.png,y\nb.png,y\n"}
    source = open_source(write_entries(tmp_path, place, entries))
    assert not isinstance(source, Dataset)
    assert [problem.reason for problem in source.problems] == [
        "'y' in line 3 of l.csv, but 'x' before; the first counts"
    ]

"""What a receipt mentions of classes without images, and errors of data that has too few."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from opsin.base.errors import DataError
from opsin.data import load
from opsin.data.ingest.receipt import Receipt
from tests.data.files import PLACES, class_entries, png, write_entries


def receipt(folder: Path, place: str, more: dict[str, bytes | str | None], **pattern: str) -> Receipt:
    made = load(write_entries(folder, place, class_entries(**pattern) | more), cache_size=0).receipt  # type: ignore[arg-type, operator]
    assert made is not None
    return made


@pytest.mark.parametrize("place", PLACES)
def test_classes_without_images(tmp_path: Path, place: str) -> None:
    more: dict[str, bytes | str | None] = {
        "bird": None, "cow/inner": None, "fish/Thumbs.db": b"x", "owl/1.png": b"", "owl/2.png": b"no image",
        "yak/1.png": png(999),
    }  # fmt: skip
    made = receipt(tmp_path, place, more)
    assert made.empty_classes == ("bird", "cow", "fish", "owl")
    assert made.single_image_classes == ("yak",)
    text = made.text()
    assert "\n4 classes without a usable image, left out: bird, cow, fish, owl\n" in text
    assert "\n1 class with a single image, which is used for training only: yak\n" in text
    assert "Every file can be read" not in text


@pytest.mark.parametrize("place", PLACES)
def test_a_class_without_images_beside_splits(tmp_path: Path, place: str) -> None:
    more = class_entries("test/{}/{}.png") | {"train/bird": None, "test/bird": None}
    assert receipt(tmp_path, place, more, pattern="train/{}/{}.png").empty_classes == ("bird",)  # type: ignore[arg-type]


@pytest.mark.parametrize("place", PLACES)
def test_splits_inside_of_classes_are_measured_with(tmp_path: Path, place: str) -> None:
    entries = {
        f"{kind}/{part}/{n}.png": png(100 * at + 10 * len(part) + n)
        for at, kind in enumerate(("cat", "dog")) for part in ("train", "test") for n in range(4)
    }  # fmt: skip
    data = load(write_entries(tmp_path, place, entries), cache_size=0)
    assert (data.classes, data.predefined_split, data.test.counts()) == (("cat", "dog"), True, [4, 4])
    assert all("/test/" in name for name in data.test.names or ())


@pytest.mark.parametrize("place", PLACES)
def test_a_class_in_the_test_split_alone(tmp_path: Path, place: str) -> None:
    entries = class_entries("train/{}/{}.png") | {"test/bird/1.png": png(9), "test/cat/1.png": png(8)}
    with pytest.raises(DataError, match=r"the test split of .* has a class 'bird' that its training split lacks \("):
        load(write_entries(tmp_path, place, entries), cache_size=0)


@pytest.mark.parametrize("place", PLACES)
def test_one_class_with_images_and_one_without(tmp_path: Path, place: str) -> None:
    path = write_entries(tmp_path, place, {**class_entries(classes=("cat",)), "dog": None})
    with pytest.raises(DataError) as caught:
        load(path, cache_size=0)
    assert str(caught.value) == (
        f"{path} holds images of one class only ('cat'); training needs images of at least two classes "
        "(no file is in dog)"
    )


@pytest.mark.parametrize("place", PLACES)
def test_odd_names(tmp_path: Path, place: str) -> None:
    """Line ends, backslashes on disks that allow them, long names, and folders in folders."""
    deep = "/".join(["x"] * 150)
    entries = class_entries("{}\n/a\nb{}.png", ("cat", "c" * 200)) | class_entries("dog/" + deep + "/{}{}.png", ("",))
    data = load(write_entries(tmp_path, place, entries), cache_size=0)
    assert data.receipt is not None
    assert data.receipt.totals == {"c" * 200 + "\\n": 3, "cat\\n": 3, "dog": 3}
    assert not data.receipt.problems


def test_circular_links_in_ignored_folders_and_classes(tmp_path: Path) -> None:
    path = write_entries(tmp_path, "folder", class_entries())
    os.symlink(path, path / "cat" / "again")
    os.symlink("..", path / "@eaDir")
    os.symlink("nowhere", path / "bird")
    made = load(path, cache_size=0).receipt
    assert made is not None
    assert made.totals == {"cat": 3, "dog": 3}
    assert {problem.name: problem.kind for problem in made.problems} == {"cat/again": "loop", "bird": "missing"}
    assert made.notes == ("Ignored, because they are hidden or left by other programs: @eaDir.",)

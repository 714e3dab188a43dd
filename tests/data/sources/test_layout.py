"""Which class and part a path means."""

from __future__ import annotations

import pytest

from opsin.base.path_words import has_image_ending
from opsin.data.items import UNLABELLED, FileProblem
from opsin.data.sources.ignored_files import IgnoredFiles
from opsin.data.sources.layout import by_folders
from opsin.data.sources.names import normalized, split_mentioned, split_named


def arranged(*paths: str) -> dict[str, tuple[str, str]]:
    made = by_folders(paths)
    assert [paths[place] for place in made.positions] == [item.name for item in made.items]
    return {item.name: (item.label, item.split) for item in made.items}


def test_the_folder_is_the_class_however_deep_the_file() -> None:
    assert arranged("cat/1.jpg", "dog/a/b/2.jpg") == {"cat/1.jpg": ("cat", ""), "dog/a/b/2.jpg": ("dog", "")}


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "VALIDATION", "test_set"), ("train2017", "val2017", "eval")]
)
def test_splits_around_class_folders(names: tuple[str, str, str]) -> None:
    paths = [f"{name}/{kind}/1.jpg" for name in names for kind in ("cat", "dog")]
    parts = ["train", "train", "validation", "validation", "test", "test"]
    assert [part for _, part in arranged(*paths).values()] == parts
    assert {label for label, _ in arranged(*paths).values()} == {"cat", "dog"}


def test_train_may_be_a_class_of_vehicles() -> None:
    assert arranged("plane/1.jpg", "train/1.jpg")["train/1.jpg"] == ("train", "")
    assert arranged("train/plane/1.jpg", "train/train/1.jpg")["train/train/1.jpg"] == ("train", "train")


@pytest.mark.parametrize("around", ["", "photos/"])
@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "Validation", "testing"), ("train", "valid", "eval")]
)
def test_splits_inside_of_class_folders(names: tuple[str, str, str], around: str) -> None:
    paths = [f"{around}{kind}/{name}/1.jpg" for kind in ("cat", "dog") for name in names]
    assert list(arranged(*paths, f"{around}cat/readme.txt").values()) == [
        (kind, part) for kind in ("cat", "dog") for part in ("train", "validation", "test")
    ]
    made = by_folders(paths, folders=[f"{around}bird", f"{around}cow/train", f"{around}cat/empty"])
    assert made.empty == ["bird", "cow"]


@pytest.mark.parametrize("paths", [
    ["toys/train/1.jpg", "toys/plane/1.jpg", "real/train/1.jpg", "real/test/1.jpg"],
    ["cat/train/1.jpg", "cat/test/1.jpg", "dog/1.jpg"], ["cat/train/1.jpg", "dog/train/2.jpg"],
    ["cat/test/1.jpg", "dog/val/2.jpg"],
])  # fmt: skip
def test_folders_in_classes_that_are_no_division(paths: list[str]) -> None:
    """Vehicles, images next to the splits, a single split, and no training split."""
    assert set(arranged(*paths).values()) == {(path.split("/")[0], "") for path in paths}


def test_other_folders_in_split_classes_are_named() -> None:
    paths = [f"{kind}/{name}/1.jpg" for kind in ("cat", "dog") for name in ("train", "test")]
    made = by_folders([*paths, "cat/extra/1.jpg", "cat/extra/2.jpg"])
    assert [item.split for item in made.items] == ["train", "test"] * 2
    assert [(problem.name, problem.kind) for problem in made.problems] == [("cat/extra/", UNLABELLED)]
    made = by_folders([*paths, "cat/1.jpg"])
    assert {item.split for item in made.items} == {""}
    assert made.notes[0].startswith("Folders inside class folders are named after splits, such as train and test, but")


def test_folders_without_files() -> None:
    def empty(paths: list[str], *folders: str) -> list[str]:
        return by_folders(paths, folders=folders).empty

    assert empty(["cat/1.jpg", "dog/1.jpg"], "bird", "cat/more", "fish/a/b") == ["bird", "fish"]
    assert empty(["p/cat/1.jpg", "p/dog/1.jpg"], "p/bird", "q", "p") == ["bird"]
    assert empty(["train/cat/1.jpg", "test/cat/1.jpg"], "train/bird", "test/bird", "val", "extra/x") == ["bird"]
    assert empty(["train/cat/1.jpg", "test/cat/1.jpg"], "test/cat/a") == []


def test_a_folder_around_everything_is_looked_through() -> None:
    assert arranged("a/b/cat/1.jpg", "a/b/dog/1.jpg")["a/b/cat/1.jpg"] == ("cat", "")
    assert arranged("photos/train/cat/1.jpg", "photos/test/cat/1.jpg")["photos/test/cat/1.jpg"] == ("cat", "test")
    assert arranged("train/cat/1.jpg", "train/dog/1.jpg")["train/cat/1.jpg"] == ("cat", "train"), "a part alone"


def test_images_without_a_class_are_named() -> None:
    made = by_folders(["1.jpg", "cat/2.jpg", "dog/3.jpg", "readme.txt"], "photos.zip/")
    assert [item.name for item in made.items] == ["photos.zip/cat/2.jpg", "photos.zip/dog/3.jpg"]
    assert made.problems == [FileProblem("photos.zip/1.jpg", "in no class folder", UNLABELLED)]
    made = by_folders(["train/cat/1.jpg", "train/2.jpg", "extra/cat/3.jpg", "extra/dog/4.jpg"])
    assert [(problem.name, problem.kind) for problem in made.problems] == [
        ("train/2.jpg", UNLABELLED),
        ("extra/", UNLABELLED),
    ]
    assert made.problems[1].reason.endswith("files in it: 2")


def test_names_of_splits() -> None:
    assert [split_named(name) for name in ("train", "Dev", "val_set", "tests", "valley", "trainer", "contest", "")] == [
        "train", "validation", "validation", "test", None, None, None, None]  # fmt: skip
    assert split_mentioned("data/train-00000-of-00002.parquet") == "train"
    assert split_mentioned("shards/imagenet_val_000017.tar") == "validation"
    assert split_mentioned("test/0001.tar") == "test"
    assert split_mentioned("contest-0001.tar") is None


def test_ignored_files_and_images_by_name() -> None:
    assert not IgnoredFiles().holds(normalized("./cat/1.jpg") or "")
    for path in (".cache/1.jpg", "cat/._1.jpg", "__MACOSX/cat/1.jpg", "cat/Thumbs.db", "cat/desktop.ini"):
        assert IgnoredFiles().holds(normalized(path) or ""), path
    assert has_image_ending("A.JPEG")
    assert not has_image_ending("a.txt")

"""Words in the names of files that mean splits, and endings of images: one list for all readers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import opsin
from opsin.base.path_words import has_image_ending, is_image, split_mentioned, split_named, splits_mentioned
from opsin.tasks.file_names import split_of


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"), ("Training", "train"), ("trn", "train"), ("val2017", "validation"), ("dev", "validation"),
        ("development", "validation"), (" test_set ", "test"), ("tst", "test"), ("evaluation", "test"), ("valley", ""),
        ("contest", ""), ("", ""),
    ],
)  # fmt: skip
def test_splits_are_recognized_by_their_words(name: str, split: str) -> None:
    assert split_named(name) == split
    if split:
        assert split_of(f"data/{name.strip()}/images/1.png") == split


def test_names_mention_splits() -> None:
    assert split_mentioned("instances_val2017.json") == "validation"
    assert splits_mentioned("train and tests") == ["train", "test"]
    assert split_mentioned("contest.json") == ""


def test_images_are_files_that_are_read_or_photos_to_report() -> None:
    assert all(is_image(name) for name in ("a.jpg", "b/c.PNG", "d.avif", "e.qoi", "f.HEIC"))
    assert not any(is_image(name) for name in ("a.txt", ".hidden.png", ".cache/a.png", "__MACOSX/a.png", "a.svg"))
    assert has_image_ending("a.svg") and has_image_ending(".hidden.png") and not has_image_ending("a.txt")


def test_no_other_module_lists_them() -> None:
    lists = re.compile(r"\"\.jpg\"[^)]{0,200}\"\.png\"|\"validate\"|\"trainset\"")
    modules = [path for path in Path(opsin.__file__).parent.rglob("*.py") if lists.search(path.read_text("utf-8"))]
    assert [path.name for path in modules] == ["path_words.py"]

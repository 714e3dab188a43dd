"""YOLO's text files, and the YAML that describes them."""

from __future__ import annotations

import pytest

from opsin.tasks.detection import yolo
from opsin.tasks.detection.yaml_subset import read_yaml
from tests.tasks.detection.memory_files import images, kinds, pixels, present, splits
from tests.tasks.memory_files import MemoryFiles, image_size

YAML = """# dataset
path: ../datasets/pets  # root
train: images/train
val: images/val
nc: 2
names: ['cat', "dog"]
"""


def test_mirrored_folders() -> None:
    files = MemoryFiles(
        {
            "data.yaml": YAML, "labels/train/a.txt": "0 0.5 0.5 0.2 0.4\n1 0.25 0.25 0.1 0.1\n",
            "labels/val/a.txt": "0 0.5 0.5 1 1\n", "labels/train/c.txt": "\n",
        },
        images(*(f"images/{name}.jpg" for name in "train/a val/a train/b train/c test/d".split())),
    )  # fmt: skip
    found = present(yolo.read(files, image_size))
    assert splits(found) == {
        "images/train/a.jpg": "train", "images/train/b.jpg": "train", "images/train/c.jpg": "train",
        "images/val/a.jpg": "validation",
    }  # fmt: skip
    assert pixels(found, "images/train/a.jpg") == [[80, 30, 120, 70], [40, 20, 60, 30]]
    assert found.settings["classes"] == ("cat", "dog") and found.counts == {"cat": 2, "dog": 1}
    assert len(found.notes) == 2 and not found.problems


def test_folders_of_splits_and_paths_of_other_machines() -> None:
    yaml = "train: ../train/images\nval: /home/me/data/valid/images\ntest: gone/images\nnames:\n  0: cat\n  1: dog\n"
    files = MemoryFiles(
        {"data.yaml": yaml, "train/labels/a.txt": "1 .5 .5 .1 .1", "valid/labels/b.txt": "0 .5 .5 .1 .1"},
        images("train/images/a.jpg", "valid/images/b.jpg"),
    )
    found = present(yolo.read(files, image_size))
    assert splits(found) == {"train/images/a.jpg": "train", "valid/images/b.jpg": "validation"}
    assert found.counts == {"cat": 1, "dog": 1} and "gone/images" in " ".join(found.notes)


def test_lists_of_images() -> None:
    yaml = "train: train.txt\nval: val.txt\nnames: {0: cat}\n"
    files = MemoryFiles(
        {
            "data.yaml": yaml, "train.txt": "./images/a.jpg\n", "val.txt": "./images/b.jpg\n../c.jpg\n",
            "labels/a.txt": "0 .5 .5 .1 .1", "labels/b.txt": "0 .5 .5 .1 .1",
        },
        images("images/a.jpg", "images/b.jpg"),
    )  # fmt: skip
    found = yolo.read(files, image_size)
    assert splits(found) == {"images/a.jpg": "train", "images/b.jpg": "validation"}
    assert kinds(found) == [("val.txt, line 2", "unsafe path")]


def test_darknet_and_files_without_names() -> None:
    paths = images("a.jpg", "b.png")
    texts = {"a.txt": "2 .5 .5 .1 .1 0.9", "b.txt": "0 .1 .1 .3 .1 .3 .3"}
    found = present(yolo.read(MemoryFiles(texts, {"classes.txt": "cat\n\ncow\n\n"}, paths), image_size))
    assert found.counts == {"cat": 1, "cow": 1} and pixels(found, "b.png") == [[20, 10, 60, 30]]
    found = present(yolo.read(MemoryFiles(texts, paths), image_size))
    assert found.settings["classes"] == ("0", "2") and "No file names the classes" in found.notes[0]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("2 .5 .5 .1 .1", "unknown class"), ("-1 .5 .5 .1 .1", "unknown class"), ("cat .5 .5 .1 .1", "unknown class"),
        ("0.5 .5 .5 .1 .1", "unknown class"), ("0 .5 .5 .1", "invalid entry"), ("0 .5 .5 .1 x", "invalid number"),
        ("0 nan .5 .1 .1", "invalid number"), ("0 .5 .5 0 .1", "empty box"), ("0 .5 .5 -.1 .1", "reversed box"),
        ("0 320 240 50 50", "box outside image"), ("0 .5 .5 .2 .4", "repeated box"),
        ("0 .1 .1 .3 .1 .3 x", "invalid number"), ("0 .1 .1 .3 .1 .3 .3 .4", "invalid entry"),
    ],
)  # fmt: skip
def test_lines_that_cannot_be_used_are_named(line: str, kind: str) -> None:
    files = MemoryFiles({"a.txt": f"0 .5 .5 .2 .4\n\n{line}\n", "data.yaml": YAML}, images("a.jpg"))
    assert kinds(yolo.read(files, image_size)) == [("a.txt, line 3", kind)]


def test_unreadable_files_and_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yolo, "MAX_TEXT_BYTES", 40)
    texts = {"a.txt": "0 .5 .5 .2 .4", "b.txt": None, "c.txt": "0 .5 .5 .2 .4\n" * 9}
    found = yolo.read(MemoryFiles(texts, images("a.jpg", "b.jpg", "c.jpg")), image_size)
    assert kinds(found) == [("b.txt", "unreadable file"), ("c.txt", "file too large")]
    assert list(splits(found)) == ["a.jpg"]


def test_other_text_is_not_yolo() -> None:
    captions = {"a.txt": "a cat on a mat", "README.txt": "0 0 0 0 0"}
    assert yolo.read(MemoryFiles(captions, images("a.jpg")), image_size) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: b", {"a": "b"}),
        ("a: 'it''s # one'  # two", {"a": "it's # one"}),
        ('a: "x: y"', {"a": "x: y"}),
        ("url: http://a.b/c#d", {"url": "http://a.b/c#d"}),
        ("names: [a, 'b, c', \"d\"]", {"names": ["a", "b, c", "d"]}),
        ("names: [a,\n  b,\n  c]\nnc: 3", {"names": ["a", "b", "c"], "nc": "3"}),
        ("names:\n- a\n- b b\nnc: 2", {"names": ["a", "b b"], "nc": "2"}),
        ("names:\n  - a\n\n  # comment\n  - b", {"names": ["a", "b"]}),
        ("names:\n  0: a\n  1: 'b: c'\n", {"names": {"0": "a", "1": "b: c"}}),
        ("names: {0: a, 1: b}", {"names": {"0": "a", "1": "b"}}),
        ("names: {\n 0: 'a',\n 1: b}", {"names": {"0": "a", "1": "b"}}),
        ("a:\nb: 1", {"a": "", "b": "1"}),
        ("---\na: 1\n...\n", {"a": "1"}),
        ("a: !!python/object/apply:os.system [ls]", {"a": "!!python/object/apply:os.system [ls]"}),
        ("names: [a, b", {"names": ["a", "b"]}),
        ("", {}),
    ],
)
def test_the_part_of_yaml_that_is_read(text: str, expected: object) -> None:
    assert read_yaml(text) == expected

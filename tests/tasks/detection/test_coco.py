"""COCO's JSON files."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opsin.tasks.detection import coco
from tests.tasks.detection.memory_files import image, images, kinds, pixels, present, splits
from tests.tasks.memory_files import MemoryFiles, image_size

CATEGORIES = [{"id": 17, "name": "cat"}, {"id": 3, "name": "dog"}, {"id": 90, "name": "cow"}]


def entry(**values: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": 7, "category_id": 17, "bbox": [10, 20, 40, 30], "iscrowd": 0} | values


def content(*annotations: Any, files: Any = None, **values: Any) -> str:
    listed = files or [{"id": 7, "file_name": "a.jpg", "height": 100, "width": 200}]
    return json.dumps({"images": listed, "annotations": list(annotations), "categories": CATEGORIES} | values)


def test_several_files_are_splits() -> None:
    train = content(
        entry(area=11.0, segmentation=[[0, 0, 1, 1, 0, 1]]),
        entry(id=2, category_id=3, iscrowd=1, bbox=[0, 0, 9, 9]),
        files=[{"id": 7, "file_name": "a.jpg", "height": 100, "width": 200}, {"id": 8, "file_name": "b.jpg"}],
    )
    files = MemoryFiles(
        {
            "annotations/instances_train2017.json": train,
            "annotations/instances_val2017.json": content(entry()),
            "annotations/captions_val2017.json": content({"caption": "x"}),
        },
        images("train2017/a.jpg", "train2017/b.jpg", "val2017/a.jpg", "test2017/c.jpg"),
    )
    found = present(coco.read(files, image_size))
    assert splits(found) == {"train2017/a.jpg": "train", "train2017/b.jpg": "train", "val2017/a.jpg": "validation"}
    assert found.settings["classes"] == ("dog", "cat") and found.counts == {"dog": 1, "cat": 2}
    target = image(found, "train2017/a.jpg").target
    assert target.crowd.tolist() == [False, True] and target.areas.tolist() == [11, 81]
    assert target.classes.tolist() == [1, 0]
    assert pixels(found, "train2017/a.jpg") == [[10, 20, 50, 50], [0, 0, 9, 9]]
    assert not found.problems
    text = " ".join(found.notes)
    assert "cow" in text and "captions_val2017" in text and "test2017/c.jpg" in text and "train2017/b.jpg" in text


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (entry(image_id=99), "unknown image"),
        (entry(image_id=None), "unknown image"),
        (entry(image_id=[7]), "unknown image"),
        (entry(category_id=4), "unknown class"),
        (entry(category_id={"a": 1}), "unknown class"),
        (entry(category_id=True), "unknown class"),
        (entry(bbox=[10, 20, 0, 30]), "empty box"),
        (entry(bbox=[10, 20, -5, 30]), "reversed box"),
        (entry(bbox=[10, 20, float("nan"), 30]), "invalid number"),
        (entry(bbox=[10, 20, float("inf"), 30]), "invalid number"),
        (entry(bbox=[10, 20, 10**400, 30]), "invalid number"),
        (entry(bbox=[10, 20, 30]), "invalid number"),
        (entry(bbox="10 20 30 40"), "invalid number"),
        (entry(bbox=None), "invalid number"),
        (entry(bbox=[10, 200, 5, 30]), "box outside image"),
        (entry(), "repeated box"),
    ],
)
def test_annotations_that_cannot_be_used_are_named(wrong: dict[str, Any], kind: str) -> None:
    found = coco.read(MemoryFiles({"x.json": content(entry(), wrong)}, images("a.jpg")), image_size)
    assert kinds(found) == [("x.json, annotation 2 (id 1)", kind)] and present(found).counts == {"cat": 1}


def test_images_and_categories_that_cannot_be_used_are_named() -> None:
    listed = [
        {"id": 7, "file_name": "a.jpg"}, {"id": 7, "file_name": "b.jpg"}, {"id": 8, "file_name": "a.jpg"},
        {"id": 9, "file_name": "../a.jpg"}, {"id": 10, "file_name": "z.jpg"}, {"file_name": "b.jpg"}, 5,
        {"id": 11, "file_name": "b.jpg", "height": 300, "width": 20},
    ]  # fmt: skip
    categories = [*CATEGORIES, {"id": 17, "name": "lion"}, {"id": 5}, "cat"]
    text = content(entry(), entry(id=2, image_id=9), files=listed, categories=categories)
    found = coco.read(MemoryFiles({"x.json": text}, images("a.jpg", "b.jpg")), image_size)
    assert sorted(kinds(found)) == [
        ("b.jpg", "size mismatch"), ("x.json, category 4", "invalid entry"), ("x.json, category 5", "invalid entry"),
        ("x.json, category 6", "invalid entry"), ("x.json, image 2", "repeated image"),
        ("x.json, image 3", "repeated image"), ("x.json, image 4", "unsafe path"), ("x.json, image 5", "missing image"),
        ("x.json, image 6", "invalid entry"), ("x.json, image 7", "invalid entry"),
    ]  # fmt: skip


def test_an_image_in_two_files() -> None:
    files = MemoryFiles({"train.json": content(entry()), "val.json": content(entry())}, images("a.jpg"))
    found = coco.read(files, image_size)
    assert kinds(found)[0] == ("val.json, image 1", "image in two splits")
    assert splits(found) == {"a.jpg": "train"}


def test_a_box_around_the_outline() -> None:
    outline = entry(bbox=None, segmentation=[[10, 20, 40, 20, 40, 60], [5, 30, 6, 31, 7, 30]])
    found = coco.read(MemoryFiles({"x.json": content(outline)}, images("a.jpg")), image_size)
    assert pixels(found, "a.jpg") == [[5, 20, 40, 60]]


def test_ids_as_text_and_files_in_folders() -> None:
    text = content(entry(image_id="7", category_id="17"), files=[{"id": "7", "file_name": "photos\\a.jpg"}])
    files = MemoryFiles({"train/_annotations.coco.json": text}, images("train/photos/a.jpg", "train/a.jpg"))
    found = coco.read(files, image_size)
    assert splits(found) == {"train/photos/a.jpg": "train"} and present(found).counts == {"cat": 1}


@pytest.mark.parametrize(
    "data",
    ['{"images": [' + "[" * 200_000 + '"annotations"', '{"images": [], "annotations": [', b'\xff"images""annotations"'],
)
def test_files_that_are_no_json(data: str | bytes) -> None:
    files = MemoryFiles({"bad.json": data, "good.json": content(entry())}, images("a.jpg"))
    assert kinds(coco.read(files, image_size)) == [("bad.json", "unreadable file")]


def test_other_json_is_not_coco(monkeypatch: pytest.MonkeyPatch) -> None:
    files = MemoryFiles({"a.json": "{}", "b.json": '{"images": 3, "annotations": 4}'}, images("a.jpg"))
    assert coco.read(files, image_size) is None
    monkeypatch.setattr(coco, "MAX_JSON_BYTES", 10)
    assert coco.read(MemoryFiles({"x.json": content(entry())}, images("a.jpg")), image_size) is None

"""Regions in JSON, and the faults of such files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from opsin.tasks.annotations import Annotations
from opsin.tasks.segmentation import coco
from opsin.tasks.segmentation.reader import read
from tests.tasks.segmentation.support import MemoryFiles, photo

SQUARE = [[1, 1, 4, 1, 4, 4, 1, 4]]
CATEGORIES = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}, {"id": 0, "name": "animals"}]


def annotation(segmentation: Any, category: Any = 3, image: Any = 1) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "segmentation": segmentation, "iscrowd": 0}


def data(annotations: Sequence[Any], path: str = "annotations/instances_val2017.json", **changes: Any) -> MemoryFiles:
    images = [{"id": i, "file_name": f"{i}.png", "height": 6, "width": 8} for i in (1, 2)]
    content = {"images": images, "annotations": annotations, "categories": CATEGORIES} | changes
    photos = {f"images/{i}.png": photo() for i in (1, 2)}
    return MemoryFiles(photos | {path: json.dumps(content).encode()})


def ids(files: MemoryFiles, found: Annotations, index: int = 0, size: tuple[int, int] = (6, 8)) -> Any:
    return found.images[index].target.load(files, size)


def test_polygons_and_run_lengths() -> None:
    runs = {"counts": [36, 6, 6], "size": [6, 8]}
    files = data([annotation(SQUARE), annotation(runs, 7)])
    found = files.annotations()
    assert [(image.path, image.split) for image in found.images] == [
        ("images/1.png", "validation"), ("images/2.png", "validation"),
    ]  # fmt: skip
    assert found.settings["classes"] == ("background", "cat", "dog")
    expected = np.zeros((6, 8), int)
    expected[1:4, 1:4], expected[:, 6] = 1, 2
    assert (ids(files, found) == expected).all()
    assert not ids(files, found, 1).any()
    assert (ids(files, found, 0, (3, 4)) == expected[1::2, 1::2]).all()
    assert found.counts == {"cat": 1, "dog": 1} and not found.problems
    assert "Categories without a region are no classes: animals." in found.notes


def test_compressed_run_lengths_equal_plain_ones() -> None:
    plain = {"counts": [7, 3, 3, 3, 3, 3, 26], "size": [6, 8]}
    packed = {"counts": "733000g0", "size": [6, 8]}
    results = [ids(files, files.annotations()) for files in (data([annotation(plain)]), data([annotation(packed)]))]
    assert (results[0] == results[1]).all() and results[0].sum() == 9


def test_the_smaller_region_is_on_top() -> None:
    large = [[0, 0, 8, 0, 8, 6, 0, 6]]
    for order in ([annotation(SQUARE), annotation(large, 7)], [annotation(large, 7), annotation(SQUARE)]):
        files = data(order)
        found = ids(files, files.annotations())
        assert (found[1:4, 1:4] == 1).all() and (found == 2).sum() == 48 - 9


def test_a_category_called_background_is_class_0() -> None:
    categories = [{"id": 0, "name": "Background"}, {"id": 1, "name": "cat"}]
    files = data([annotation(SQUARE, 1), annotation([[2, 2, 3, 2, 3, 3, 2, 3]], 0)], categories=categories)
    found = files.annotations()
    assert found.settings["classes"] == ("background", "cat")
    assert ids(files, found)[2, 2] == 0 and ids(files, found)[1, 1] == 1


@pytest.mark.parametrize(("bad", "kind"), [
    (annotation([[1, 2, 3]]), "bad region"), (annotation("abc"), "bad region"), (annotation([["a"] * 6]), "bad region"),
    (annotation([[1e12] * 6]), "bad region"), (annotation([1, 2, 3, 4, 5]), "bad region"),
    (annotation({"counts": [3], "size": [6, 8]}), "bad region"), (annotation({"counts": None}), "bad region"),
    (annotation({"counts": "é0", "size": [6, 8]}), "bad region"),
    (annotation({"counts": [48], "size": [8, 6]}), "mask size"),
    (annotation(SQUARE, 99), "unknown class"), (annotation(SQUARE, [1]), "unknown class"),
    (annotation(SQUARE, 3, 55), "mask without image"), (annotation(SQUARE, 3, {}), "mask without image"),
    (annotation([[10**400, 1, 2, 2, 3, 3]]), "bad region"),
])  # fmt: skip
def test_faulty_annotations(bad: dict[str, Any], kind: str) -> None:
    files = data([annotation(SQUARE, image=2), annotation(SQUARE, 7, image=2), bad])
    found = files.annotations()
    assert [(p.name, p.kind) for p in found.problems] == [("annotations/instances_val2017.json, annotation 2", kind)]
    without = kind != "mask without image"  # an image whose only region is unusable would count as background
    assert [image.path for image in found.images] == ["images/1.png", "images/2.png"][without:]


@pytest.mark.parametrize(("image", "kind"), [
    ({"id": 3, "file_name": "../x.png"}, "path"), ({"id": 3, "file_name": "x.png"}, "mask without image"),
    ({"id": 3}, "mask without image"), ({"id": 3, "file_name": "1.png", "height": 5, "width": 8}, "mask size"),
    ({"id": 3, "file_name": "bad.png"}, "damaged image"), ({"id": 3, "file_name": "a.json"}, "mask without image"),
])  # fmt: skip
def test_faulty_images(image: dict[str, Any], kind: str) -> None:
    content = {"images": [image], "annotations": [annotation(SQUARE, image=3)], "categories": CATEGORIES}
    files = MemoryFiles({"1.png": photo(), "bad.png": b"", "a.json": json.dumps(content).encode()})
    found = files.annotations()
    assert not found.images
    assert [problem.kind for problem in found.problems] == [kind, "mask without image"]


@pytest.mark.parametrize("text", [
    b'{"segmentation"', b'"segmentation"' + b"[" * 100_000, b'["segmentation"]', b'{"segmentation": 1}', b"\xff\xfe",
    b'{"images": 3, "annotations": [{"segmentation": 1}], "categories": {}}', b"",
    b'{"segmentation": ' + b"9" * 5000 + b"}",
])  # fmt: skip
def test_other_json_is_not_read(text: bytes) -> None:
    files = MemoryFiles({"1.png": photo(), "a.json": text})
    assert read(files, files.image_size) is None


def test_faulty_json_next_to_good_json() -> None:
    files = data([annotation(SQUARE)])
    files = MemoryFiles({**files.contents, "a.json": b'{"segmentation": [', "b.json": b'["segmentation", ' * 50_000})
    assert [(p.name, p.kind) for p in files.annotations().problems] == [("a.json", "bad JSON"), ("b.json", "bad JSON")]


def test_huge_json_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    files = data([annotation(SQUARE)])
    files = MemoryFiles({**files.contents, "a.json": b'{"segmentation": "' + b" " * 5000})
    monkeypatch.setattr(coco, "MAX_JSON_BYTES", 3000)
    assert [(p.name, p.kind) for p in files.annotations().problems] == [("a.json", "too large")]

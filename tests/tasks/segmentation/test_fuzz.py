"""No bytes crash the reader: it either reads them or names the problem."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import numpy as np
import pytest

from opsin.base.errors import DataError
from opsin.tasks.segmentation import class_tables, pixels
from opsin.tasks.segmentation.problems import PROBLEM_KINDS, MaskError
from opsin.tasks.segmentation.reader import read
from tests.tasks.segmentation.support import MemoryFiles, grey, photo, png
from tests.tasks.segmentation.test_coco import SQUARE, annotation, data

FORMATS = ("PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG")


def damaged(rng: np.random.Generator, content: bytes) -> bytes:
    """Change some bytes, cut the end off, or repeat a part."""
    values = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        values[int(rng.integers(len(values)))] = int(rng.integers(256))
    if rng.random() < 0.3:
        del values[int(rng.integers(len(values))) :]
    if rng.random() < 0.2:
        start = int(rng.integers(len(values) + 1))
        values[start:start] = values[: int(rng.integers(len(values) + 1))]
    return bytes(values)


@pytest.mark.parametrize(("format", "deep"), [(format, False) for format in FORMATS] + [("PNG", True), ("TIFF", True)])
def test_damaged_masks(format: str, deep: bool, rng: np.random.Generator) -> None:
    good = png(grey([1, 2, 3], [9], dtype=np.uint16 if deep else np.uint8), format=format)
    decoded = 0
    for _ in range(400):
        try:
            found = pixels.decode(damaged(rng, good))
            assert found.values.dtype == np.int32 and found.values.ndim == 2
            decoded += 1
        except MaskError as error:
            assert error.kind in PROBLEM_KINDS
    assert decoded < 400
    assert pixels.decode(good).size == (6, 8)


def test_damaged_data_sets(rng: np.random.Generator) -> None:
    good = {
        "images/a.png": photo(), "images/b.png": photo(), "masks/a.png": png(grey([1, 2, 255])),
        "masks/b.png": png(grey([1, 1]), [0, 0, 0, 255, 0, 0]), "class_dict.csv": b"name,r,g,b\nx,0,0,0\ny,255,0,0\n",
        "split.csv": b"file,mask,split\nimages/a.png,masks/a.png,train\nimages/b.png,masks/b.png,test\n",
    }  # fmt: skip
    names = list(good)
    for _ in range(300):
        chosen = {names[i] for i in rng.integers(0, len(names), 3)}
        files = MemoryFiles({path: damaged(rng, c) if path in chosen else c for path, c in good.items()})
        check(files)


def test_damaged_coco_files(rng: np.random.Generator) -> None:
    files = data([annotation(SQUARE), annotation({"counts": [36, 6, 6], "size": [6, 8]}, 7, 2)])
    path = next(path for path in files.paths if path.endswith("json"))
    for _ in range(300):
        check(MemoryFiles({**files.contents, path: damaged(rng, files.contents[path])}))


def test_json_of_any_values(rng: np.random.Generator) -> None:
    """Replace each value of a good file by values of other types."""
    files = data([annotation(SQUARE), annotation({"counts": [36, 6, 6], "size": [6, 8]}, 7, 2)])
    path = next(path for path in files.paths if path.endswith("json"))
    text = files.contents[path].decode()
    odd: tuple[Any, ...] = (None, True, -1, 1e308, "x", [], {}, [[]], [None], {"id": 1}, "../..", float("nan"), 10**30)
    for key in ("images", "annotations", "categories", "id", "file_name", "height", "name", "image_id", "category_id",
                "segmentation", "counts", "size"):  # fmt: skip
        for value in odd:
            changed = json.loads(text, object_hook=partial(replaced, key, value))
            check(MemoryFiles({**files.contents, path: json.dumps(changed).encode()}))


def replaced(key: str, value: Any, entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, key: value} if key in entry else entry


def check(files: MemoryFiles) -> None:
    """The reader returns, every problem is of a known kind, and every target can be loaded."""
    found = read(files, files.image_size)
    if found is None:
        return
    assert {problem.kind for problem in found.problems} <= {*PROBLEM_KINDS}
    for image in found.images:
        try:
            ids = image.target.load(files, (5, 7))
        except MaskError:
            continue
        assert ids.shape == (5, 7) and ids.dtype == np.uint8
        assert {*np.unique(ids)} <= {*range(len(found.settings["classes"])), 255}


def test_random_bytes(rng: np.random.Generator) -> None:
    for start, _ in pixels.DECODERS:
        for _ in range(50):
            with pytest.raises(MaskError):
                pixels.decode(start + rng.integers(0, 256, 60).astype(np.uint8).tobytes())
    for _ in range(200):
        text = rng.integers(0, 256, int(rng.integers(0, 60))).astype(np.uint8).tobytes()
        try:
            assert class_tables.parse("class_dict.csv", text).names
        except DataError as error:
            assert "classes" in str(error)

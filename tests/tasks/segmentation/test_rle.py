"""Regions equal those of pycocotools, which tools/make_rle_fixtures.py has recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin.tasks.segmentation import rle
from opsin.tasks.segmentation.problems import MaskError

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "fixtures" / "coco_regions.json").read_text())


def expected(case: dict[str, Any]) -> Any:
    return rle.decode(case["runs"], tuple(case["size"]))


def test_run_lengths_go_down_the_columns() -> None:
    assert rle.decode([1, 2, 3], (2, 3)).tolist() == [[False, True, False], [True, False, False]]
    assert rle.decode([0, 6], (2, 3)).all()
    assert any(expected(case).any() for case in CASES)


def test_compressed_codes() -> None:
    for case in CASES:
        assert list(rle.decompress(case["counts"].encode())) == case["runs"]


def test_masks_are_encoded_as_by_pycocotools(rng: np.random.Generator) -> None:
    for case in CASES:
        assert list(rle.encode(expected(case))) == case["runs"]
        assert rle.compress(case["runs"]).decode() == case["counts"]
    for size in ((1, 1), (5, 7), (40, 3)):
        mask = rng.random(size) < 0.5
        counts = rle.encode(mask)
        assert (rle.decode(rle.decompress(rle.compress(counts)), size) == mask).all()
    assert rle.encode(np.ones((2, 3), np.bool_)) == (0, 6) and rle.encode(np.zeros((2, 3), np.bool_)) == (6,)


def test_polygons() -> None:
    for case in CASES:
        size = case["size"][0], case["size"][1]
        assert (rle.rasterize([case["polygon"]], size) == expected(case)).all(), case


def test_several_polygons_are_united() -> None:
    left, right = [0, 0, 4, 0, 4, 4, 0, 4], [2, 2, 8, 2, 8, 6, 2, 6]
    both = rle.rasterize([left, right], (10, 10))
    assert (both == (rle.rasterize([left], (10, 10)) | rle.rasterize([right], (10, 10)))).all()
    assert both.sum() == 16 + 24 - 4


@pytest.mark.parametrize(("counts", "size"), [
    ([], (2, 2)), ([5], (2, 2)), ([3], (2, 2)), ([-1, 5], (2, 2)), ([2**62, 2**62, 4], (2, 2)), ([0], (0, 5)),
    ([4], (10**6, 10**6)),
])  # fmt: skip
def test_impossible_run_lengths(counts: list[int], size: tuple[int, int]) -> None:
    with pytest.raises(MaskError):
        rle.decode(counts, size)


@pytest.mark.parametrize("code", [b"P", b"\xff", b" ", b"oooooooooooooooo0", b"O"])
def test_damaged_codes(code: bytes) -> None:
    with pytest.raises(MaskError):
        rle.decompress(code)


@pytest.mark.parametrize("polygon", [
    [], [1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7], [0, 0, 1e30, 0, 5, 5], [0, 0, float("nan"), 0, 5, 5],
    [0, 0, 1e300, 0, 5, 5],
    [0, 0, -50, 50] * 60_000,
])  # fmt: skip
def test_impossible_polygons(polygon: list[float]) -> None:
    with pytest.raises(MaskError):
        rle.rasterize([polygon], (10, 10))


def test_damaged_codes_never_crash(rng: np.random.Generator) -> None:
    for _ in range(2000):
        code = rng.integers(40, 120, int(rng.integers(0, 12))).astype(np.uint8).tobytes()
        try:
            assert rle.decode(rle.decompress(code), (5, 6)).shape == (5, 6)
        except MaskError as error:
            assert error.kind in ("bad region", "too large")

"""Non-maximum suppression against a slow reference, and against torchvision where it is installed."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin.tasks.detection.boxes import iou
from opsin.tasks.detection.nms import batched_nms

Array = NDArray[Any]


def random_boxes(count: int, seed: int, classes: int, spread: float = 100.0) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, spread, (count, 2))
    boxes = np.concatenate([start, start + rng.uniform(0, 40, (count, 2))], axis=1).astype(np.float32)
    return boxes, rng.random(count).round(2).astype(np.float32), rng.integers(0, classes, count)


def reference(boxes: Array, scores: Array, classes: Array, threshold: float) -> list[int]:
    kept: list[int] = []
    overlaps = iou(boxes, boxes)
    for row in np.argsort(-scores, kind="stable").tolist():
        if not any(classes[row] == classes[k] and float(overlaps[row, k]) > threshold for k in kept):
            kept.append(row)
    return kept


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 400])
@pytest.mark.parametrize("classes", [1, 7])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7])
def test_equals_a_slow_reference(count: int, classes: int, threshold: float) -> None:
    data = random_boxes(count, count, classes)
    assert batched_nms(*data, threshold).tolist() == reference(*data, threshold)


@pytest.mark.parametrize("limit", [0, 1, 5, 60, 1000])
def test_limits_keep_the_highest_scores(limit: int) -> None:
    data = random_boxes(500, 3, 4)
    expected = reference(*data, 0.5)
    assert batched_nms(*data, 0.5, limit=limit).tolist() == expected[:limit]
    boxes, scores, classes = data
    top = np.sort(np.argsort(-scores, kind="stable")[:100])
    rows = reference(boxes[top], scores[top], classes[top], 0.5)
    assert batched_nms(*data, 0.5, candidates=100, limit=limit).tolist() == top[rows][:limit].tolist()


def test_boxes_without_area_suppress_nothing() -> None:
    boxes = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 2, 2]], np.float32)
    assert batched_nms(boxes, np.array([3, 2, 1.0]), np.zeros(3, int), 0.1).tolist() == [0, 1, 2]


@pytest.mark.parametrize("seed", range(5))
def test_equals_torchvision(seed: int) -> None:
    torch, torchvision = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    boxes, scores, classes = random_boxes(1000, seed, 3)
    scores = np.random.default_rng(seed).permutation(1000).astype(np.float32)  # torchvision leaves ties open
    arrays = torch.tensor(boxes), torch.tensor(scores), torch.tensor(classes)
    expected = torchvision.ops.batched_nms(*arrays, 0.5).tolist()
    assert batched_nms(boxes, scores, classes, 0.5).tolist() == expected


def test_is_fast_enough_for_8000_candidates() -> None:
    data = random_boxes(8000, 0, 20, spread=600.0)
    start = time.perf_counter()
    kept = batched_nms(*data, 0.5, limit=300)
    assert len(kept) == 300 and time.perf_counter() - start < 2.0  # about 0.03 s on one idle core

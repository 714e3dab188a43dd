"""Random objects and detections, and the oracles that score them where they are installed."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin.tasks.detection.scored import Detections, Truth

CLASSES = 5
"""Class 3 has no objects, class 4 has neither objects nor detections."""


@dataclass(frozen=True)
class Case:
    """How random objects and detections are made."""

    images: int
    objects: int
    """The largest number in an image; every fifth image is empty."""
    integers: bool
    """Whole coordinates, and scores with few values, make ties likely."""
    crowds: float
    """The share of objects that are crowds."""
    extra: int = 3
    """Detections of background in each image."""


CASES = (
    Case(12, 9, True, 0.0), Case(12, 9, True, 0.25), Case(20, 6, False, 0.15), Case(6, 40, True, 0.1, extra=90),
    Case(5, 4, False, 1.0), Case(1, 0, False, 0.0),
)  # fmt: skip


def random_case(case: Case, seed: int) -> tuple[Truth, Detections]:
    """Return objects, and detections that are moved, doubled, relabelled and invented."""
    rng = np.random.default_rng(seed)
    counts = [0 if i % 5 == 4 else int(rng.integers(case.objects + 1)) for i in range(case.images)]
    image = np.repeat(np.arange(case.images), counts)
    corners = _boxes(rng, len(image), case)
    classes = rng.integers(0, 3, len(image)).astype(np.int32)
    areas = np.prod(corners[:, 2:] - corners[:, :2], axis=1) * rng.uniform(0.5, 1.0, len(image))
    truth = Truth(
        case.images, image, classes, corners, areas, rng.random(len(image)) < case.crowds, np.zeros(len(image), bool)
    )
    return truth, _detections(rng, truth, case)


def _boxes(rng: np.random.Generator, count: int, case: Case) -> NDArray[np.float64]:
    start = rng.uniform(0, 200, (count, 2))
    extent = np.exp(rng.uniform(np.log(4), np.log(220), (count, 2)))
    corners = np.concatenate([start, start + extent], axis=1)
    return np.round(corners) if case.integers else corners


def _detections(rng: np.random.Generator, truth: Truth, case: Case) -> Detections:
    rows = np.repeat(np.arange(len(truth.image)), rng.integers(0, 4, len(truth.image)))
    extent = np.tile(truth.corners[rows, 2:] - truth.corners[rows, :2], 2)
    moved = truth.corners[rows] + extent * rng.normal(0, 0.1, (len(rows), 4))
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    moved = np.round(moved) if case.integers else moved
    exact = rng.random(len(rows)) < 0.3
    moved[exact] = truth.corners[rows[exact]]
    labels = np.where(rng.random(len(rows)) < 0.2, rng.integers(0, 4, len(rows)), truth.classes[rows])
    background = case.images * case.extra
    scores = rng.random(len(rows) + background)
    order = rng.permutation(len(scores))
    return Detections(
        np.concatenate([truth.image[rows], rng.integers(0, case.images, background)])[order],
        np.concatenate([labels, rng.integers(0, 4, background)]).astype(np.int32)[order],
        np.concatenate([moved, _boxes(rng, background, case)])[order],
        np.round(scores, 1) if case.integers else scores,
    )


def coco_eval(truth: Truth, detections: Detections) -> dict[str, NDArray[Any]]:
    """Return what pycocotools computes: precision, recall, scores, and the twelve numbers."""
    COCO = pytest.importorskip("pycocotools.coco").COCO
    COCOeval = pytest.importorskip("pycocotools.cocoeval").COCOeval
    with contextlib.redirect_stdout(io.StringIO()):
        objects, found = COCO(), COCO()
        objects.dataset = _dataset(truth, _objects(truth))
        objects.createIndex()
        found.dataset = _dataset(truth, _found(detections))
        found.createIndex()
        evaluation = COCOeval(objects, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    names = "precision recall scores".split()
    return {name: np.asarray(evaluation.eval[name]) for name in names} | {"stats": np.asarray(evaluation.stats)}


def _dataset(truth: Truth, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    images = [{"id": number} for number in range(truth.image_count)]
    return {"images": images, "categories": [{"id": k} for k in range(CLASSES)], "annotations": annotations}


def _xywh(corners: NDArray[np.float64]) -> list[float]:
    left, top, right, bottom = corners.tolist()
    return [left, top, right - left, bottom - top]


def _objects(truth: Truth) -> list[dict[str, Any]]:
    return [
        {
            "id": row + 1,
            "image_id": int(truth.image[row]),
            "category_id": int(truth.classes[row]),
            "bbox": _xywh(truth.corners[row]),
            "area": float(truth.areas[row]),
            "iscrowd": int(truth.crowd[row]),
        }
        for row in range(len(truth.image))
    ]


def _found(detections: Detections) -> list[dict[str, Any]]:
    return [
        {
            "id": row + 1,
            "image_id": int(detections.image[row]),
            "category_id": int(detections.classes[row]),
            "bbox": _xywh(detections.corners[row]),
            "area": float(detections.areas[row]),
            "score": float(detections.scores[row]),
        }
        for row in range(len(detections.image))
    ]


def without_ties(detections: Detections) -> Detections:
    """Return the detections with scores of the same order, none equal: the order of equal ones is tidecv's own."""
    ranks = np.empty(len(detections.scores))
    ranks[np.argsort(detections.scores, kind="stable")] = np.arange(len(ranks))
    return replace(detections, scores=ranks / max(len(ranks), 1))


def tide(truth: Truth, detections: Detections) -> dict[str, float]:
    """Return the mean AP and the gains that the program of the authors of TIDE computes, in percent."""
    tidecv = pytest.importorskip("tidecv")
    objects, found = tidecv.Data("objects"), tidecv.Data("found")
    for number in range(truth.image_count):
        objects.add_image(number, str(number))  # or images without objects are left out
    for row in _objects(truth):
        add = objects.add_ignore_region if row["iscrowd"] else objects.add_ground_truth
        add(row["image_id"], row["category_id"], row["bbox"])
    for row in _found(detections):
        found.add_detection(row["image_id"], row["category_id"], row["score"], row["bbox"])
    program = tidecv.TIDE()
    run = program.evaluate(objects, found, mode=tidecv.TIDE.BOX)
    return {"AP": float(run.ap)} | {name: float(gain) for name, gain in program.get_main_errors()["found"].items()}

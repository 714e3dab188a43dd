"""Average precision equals that of pycocotools, and the costs of errors those of tidecv, on random data with ties."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin.base.errors import UsageError
from opsin.tasks.detection import errors
from opsin.tasks.detection.answers import Detection
from opsin.tasks.detection.average_precision import average_precision
from opsin.tasks.detection.boxes import Boxes, ImageBoxes
from opsin.tasks.detection.errors import Error, detection_errors
from opsin.tasks.detection.scored import Detections, Truth
from opsin.tasks.detection.voc_average_precision import voc_average_precision
from tests.tasks.detection.cases import CASES, CLASSES, coco_eval, random_case, tide, without_ties

FILE = np.load(Path(__file__).parent / "scores.npz")
TIDE_ORDER = (Error.CLASSIFICATION, Error.LOCALIZATION, Error.BOTH, Error.DUPLICATE, Error.BACKGROUND, Error.MISSED)


def recorded(number: int) -> tuple[Truth, Detections]:
    truth = {name: FILE[f"{number}/truth/{name}"] for name in "image classes corners areas crowd difficult".split()}
    found = {name: FILE[f"{number}/detections/{name}"] for name in "image classes corners scores".split()}
    return Truth(int(FILE[f"{number}/truth/count"]), **truth), Detections(**found)


def marked(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mark what is not defined as pycocotools does."""
    return np.where(np.isnan(values), -1.0, values)


@pytest.mark.parametrize("number", range(len(CASES)))
def test_average_precision_is_that_of_pycocotools(number: int) -> None:
    result = average_precision(*recorded(number), CLASSES)
    assert np.abs(marked(np.array(list(result.summary.values()))) - FILE[f"{number}/stats"]).max() <= 1e-9
    assert np.abs(marked(result.recall) - FILE[f"{number}/recall"]).max() <= 1e-9
    assert np.abs(marked(result.precision).sum(1) - FILE[f"{number}/precision"]).max() <= 1e-9
    assert np.abs(marked(result.scores).sum(1) - FILE[f"{number}/scores"]).max() <= 1e-9


@pytest.mark.parametrize("seed", range(100, 112))
def test_average_precision_is_that_of_the_installed_pycocotools(seed: int) -> None:
    truth, detections = random_case(CASES[seed % len(CASES)], seed)
    expected, result = coco_eval(truth, detections), average_precision(truth, detections, CLASSES)
    assert np.abs(marked(np.array(list(result.summary.values()))) - expected["stats"]).max() <= 1e-9
    for name in ("precision", "recall", "scores"):
        assert np.abs(marked(getattr(result, name)) - expected[name]).max() <= 1e-9


def test_the_precision_of_classes_and_curves() -> None:
    result = average_precision(*recorded(0), CLASSES)
    classes = result.per_class()
    assert np.isnan(classes[3:]).all() and np.isfinite(classes[:3]).all()
    assert np.nanmean(classes) == pytest.approx(result.summary["AP"], abs=1e-12)
    assert np.nanmean(result.per_class(0.5)) == pytest.approx(result.summary["AP50"], abs=1e-12)
    curve = result.curve(0)
    assert curve.precision.mean() == pytest.approx(result.per_class(0.5)[0], abs=1e-12)
    assert (np.diff(curve.precision) <= 0).all() and (np.diff(curve.score) <= 0).all()


@pytest.mark.usefixtures("tidecv_recalls")
@pytest.mark.parametrize("number", [n for n in range(len(CASES)) if f"{n}/tide" in FILE.files])
def test_the_costs_of_errors_are_those_of_tidecv(number: int) -> None:
    truth, detections = recorded(number)
    check_errors(truth, without_ties(detections), FILE[f"{number}/tide"])


@pytest.mark.usefixtures("tidecv_recalls")
@pytest.mark.parametrize("seed", range(200, 210))
def test_the_costs_of_errors_are_those_of_the_installed_tidecv(seed: int) -> None:
    truth, detections = random_case(CASES[seed % 4], seed)
    detections = without_ties(detections)
    check_errors(truth, detections, np.array(list(tide(truth, detections).values())))


@pytest.fixture
def tidecv_recalls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interpolate at tidecv's recalls; COCO's differ in the last bit, so that a recall of 0.58 may count or not."""
    monkeypatch.setattr(errors, "RECALLS", np.arange(101) / 100)


def check_errors(truth: Truth, detections: Detections, expected: NDArray[np.float64]) -> None:
    # tidecv gives classes without objects but with detections an AP of 0; here they have none.
    result = detection_errors(truth, detections, CLASSES)
    regular = {*truth.classes[~truth.crowd].tolist()}
    with_zero = len(regular | {*detections.classes.tolist()})
    factor = len(regular) / with_zero if with_zero else 1.0
    assert result.precision * factor * 100 == pytest.approx(expected[0], abs=1e-6)
    gains = [result.gains[error] * factor * 100 for error in TIDE_ORDER]
    assert gains == pytest.approx(expected[1:].tolist(), abs=1e-6)
    assert sum(result.counts.values()) == len(result.wrong) + len(result.missed)


@pytest.mark.parametrize("number", (0, 2))
def test_the_precision_of_errors_is_coco_s(number: int) -> None:
    truth, detections = recorded(number)
    truth = replace(truth, crowd=np.zeros(len(truth.crowd), np.bool_))
    ap50 = average_precision(truth, detections, CLASSES).summary["AP50"]
    assert detection_errors(truth, detections, CLASSES).precision == pytest.approx(ap50, abs=1e-12)


def test_each_kind_of_error() -> None:
    box = [0.1, 0.1, 0.5, 0.5]
    boxes = Boxes.stack([ImageBoxes.of([box, [0.6, 0.6, 0.9, 0.9]], [0, 1], (100, 100)), ImageBoxes.of([], [], (9, 9))])
    found = [
        Detection("cat", 0.9, (10, 10, 50, 50)), Detection("cat", 0.8, (11, 10, 50, 50)),
        Detection("dog", 0.7, (10, 10, 50, 50)), Detection("cat", 0.6, (10, 10, 25, 50)),
        Detection("dog", 0.5, (10, 10, 25, 50)), Detection("cat", 0.4, (0, 90, 9, 99)),
    ]  # fmt: skip
    result = detection_errors(Truth.of(boxes), Detections.of([found, []], ["cat", "dog"]), 2)
    kinds = {judgement.detection: judgement.error for judgement in result.wrong}
    assert kinds == {
        1: Error.DUPLICATE, 2: Error.CLASSIFICATION, 3: Error.LOCALIZATION, 4: Error.BOTH, 5: Error.BACKGROUND,
    }  # fmt: skip
    assert result.missed.tolist() == [1] and result.counts[Error.MISSED] == 1
    assert result.precision == pytest.approx(0.5) and result.gains[Error.MISSED] == 0
    assert result.gains[Error.DUPLICATE] == 0


def test_voc_average_precision() -> None:
    """Four objects, of which one is difficult; right, difficult, doubled, right, wrong, in the order of the scores."""
    corners = [[0, 0, 0.1, 0.1], [0.2, 0.2, 0.3, 0.3], [0.4, 0.4, 0.5, 0.5], [0.6, 0.6, 0.7, 0.7]]
    boxes = Boxes.stack([ImageBoxes.of(corners, [0] * 4, (100, 100), difficult=[False, True, False, False])])
    found = [(0, 0, 10, 10), (20, 20, 30, 30), (0, 0, 10, 9), (40, 40, 50, 50), (80, 80, 90, 90)]
    answers = [Detection("cat", 0.9 - 0.1 * i, box) for i, box in enumerate(found)]
    truth, detections = Truth.of(boxes), Detections.of([answers], ["cat", "dog"])
    area = voc_average_precision(truth, detections, 2)
    assert area[0] == pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 3) and np.isnan(area[1])
    eleven = voc_average_precision(truth, detections, 2, eleven_points=True)
    assert eleven[0] == pytest.approx((4 * 1 + 3 * 2 / 3) / 11)
    strict = voc_average_precision(truth, detections, 2, threshold=1.0)
    assert strict[0] == pytest.approx(area[0])


@pytest.mark.parametrize("seed", range(6))
def test_voc_average_precision_is_the_area_of_a_slow_reference(seed: int) -> None:
    truth, detections = random_case(CASES[2], seed)
    expected = [slow_voc(truth, detections, label) for label in range(CLASSES)]
    found = voc_average_precision(truth, detections, CLASSES)
    assert np.allclose(found, expected, atol=1e-12, equal_nan=True)


def slow_voc(truth: Truth, detections: Detections, label: int) -> float:
    """Follow the published rules one detection at a time."""
    objects = [row for row in range(len(truth.image)) if truth.classes[row] == label]
    positives = sum(not truth.crowd[row] for row in objects)
    if not positives:
        return float("nan")
    taken, hits, wrong, points = set(), 0, 0, []
    rows = [row for row in range(len(detections.image)) if detections.classes[row] == label]
    for row in sorted(rows, key=lambda row: -detections.scores[row]):
        here = [o for o in objects if truth.image[o] == detections.image[row]]
        values = [slow_iou(detections.corners[row], truth.corners[o]) for o in here]
        best = max(range(len(here)), key=values.__getitem__, default=-1)
        if best < 0 or values[best] < 0.5 or here[best] in taken:
            wrong += 1
        elif not truth.crowd[here[best]]:
            hits += 1
            taken.add(here[best])
        points.append((hits / positives, hits / max(hits + wrong, 1)))
    area, recall = 0.0, 0.0
    for place, (reached, _) in enumerate(points):
        area += (reached - recall) * max(precision for _, precision in points[place:])
        recall = reached
    return area


def slow_iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return float(shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared))


def test_difficult_objects_count_neither_way() -> None:
    boxes = Boxes.stack([ImageBoxes.of([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]], [0, 0], (10, 10), [False, True])])
    found = [Detection("cat", 0.9, (5, 5, 10, 10)), Detection("cat", 0.8, (0, 0, 5, 5))]
    assert average_precision(Truth.of(boxes), Detections.of([found], ["cat"]), 1).summary["AP"] == pytest.approx(1)


def test_detections_that_cannot_be_scored_are_refused() -> None:
    with pytest.raises(UsageError, match="label 'cow'"):
        Detections.of([[Detection("cow", 0.5, (0, 0, 1, 1))]], ["cat"])
    with pytest.raises(UsageError, match="NaN"):
        Detections.of([[Detection("cat", float("nan"), (0, 0, 1, 1))]], ["cat"])

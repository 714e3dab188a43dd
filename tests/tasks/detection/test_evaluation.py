"""The threshold of scores, the evaluation, and what a report says of it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest

from opsin.tasks.detection import Boxes, ImageBoxes
from opsin.tasks.detection.average_precision import average_precision
from opsin.tasks.detection.calibration import DEFAULT_SCORE, MIN_OBJECTS, Judged, ScoreThreshold, fit_threshold
from opsin.tasks.detection.errors import detection_errors
from opsin.tasks.detection.evaluation import DetectionEvaluation
from opsin.tasks.detection.results import Result
from opsin.tasks.detection.scored import Detections, Truth
from tests.tasks.detection.cases import CASES, CLASSES, random_case

LABELS = ("ant", "bee", "cow")


def boxes_of(*images: list[tuple[int, float]], difficult: bool = False) -> Boxes:
    """Return boxes of 10 × 10 pixels in images of 100 × 1,000, given by class and left edge."""
    return Boxes.stack([
        ImageBoxes.of(
            [[left / 1000, 0, (left + 10) / 1000, 0.1] for _, left in image], [label for label, _ in image],
            (100, 1000), [difficult] * len(image),
        )
        for image in images
    ])  # fmt: skip


def found(*rows: tuple[int, int, float, float]) -> Detections:
    """Return detections of 10 × 10 pixels, given by image, class, left edge and score."""
    return Detections(
        np.array([row[0] for row in rows], np.intp), np.array([row[1] for row in rows], np.int32),
        np.array([[row[2], 0, row[2] + 10, 10] for row in rows], np.float64).reshape(-1, 4),
        np.array([row[3] for row in rows], np.float64),
    )  # fmt: skip


TRUE = boxes_of([(0, 0), (0, 100), (1, 200)], [(1, 0)], [])
FOUND = found(
    (0, 0, 0, 0.9), (0, 0, 101, 0.8), (0, 2, 200, 0.7), (1, 1, 0, 0.6), (1, 1, 500, 0.95), (2, 0, 50, 0.55),
    (2, 0, 300, 0.1), (0, 0, 0, 0.5),
)  # fmt: skip


def evaluation(threshold: ScoreThreshold | None = None) -> DetectionEvaluation:
    return DetectionEvaluation(LABELS, Result(FOUND, TRUE), threshold)


@pytest.mark.parametrize("case", CASES[:4])
def test_no_threshold_has_a_better_f1(case: object) -> None:
    truth, detections = random_case(case, 5)  # type: ignore[arg-type]
    fitted = fit_threshold(truth, detections, CLASSES)
    assert fitted is not None and fitted.images == truth.image_count
    every = Judged.sorted([Judged.of(truth, detections, label) for label in range(CLASSES)])
    scores = {}
    for score in (fitted.score, *np.unique(detections.scores)):
        precision, recall = every.at(float(score))
        scores[float(score)] = 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
    assert scores[fitted.score] == pytest.approx(max(scores.values())) == pytest.approx(fitted.f1)
    assert every.at(fitted.score) == pytest.approx((fitted.precision, fitted.recall))


def test_the_threshold_lies_between_two_detections() -> None:
    rows = [(0, 0, 20.0 * number, 0.9 - 0.01 * number) for number in range(10)]
    boxes = boxes_of([(0, 20 * number) for number in range(10)])
    wrong = [(0, 0, 990.0, 0.4), (0, 0, 980.0, 0.2)]
    fitted = fit_threshold(Truth.of(boxes), found(*rows, *wrong), 3)
    assert fitted is not None and fitted.score == pytest.approx((0.81 + 0.4) / 2)
    assert replace(fitted, score=0) == ScoreThreshold(0, 1.0, 1.0, 1.0, 1)


def test_few_objects_give_no_threshold() -> None:
    few = boxes_of([(0, 20 * number) for number in range(MIN_OBJECTS - 1)])
    enough = boxes_of([(0, 20 * number) for number in range(MIN_OBJECTS)])
    assert fit_threshold(Truth.of(few), found((0, 0, 0, 0.9)), 3) is None
    assert fit_threshold(Truth.of(enough), found((0, 0, 0, 0.9)), 3) is not None
    assert fit_threshold(Truth.of(enough), found((0, 0, 500, 0.9)), 3) is None
    assert fit_threshold(Truth.of(enough), found(), 3) is None


def test_difficult_objects_count_neither_way() -> None:
    judged = Judged.of(Truth.of(boxes_of([(0, 0)], difficult=True)), found((0, 0, 0, 0.9), (0, 0, 500, 0.8)), 0)
    assert judged.scores.tolist() == [0.8] and judged.right.tolist() == [False] and judged.objects == 0
    precision, recall = judged.at(0.5)
    assert precision == 0 and np.isnan(recall) and np.isnan(judged.at(0.9)[0])


def test_results_of_several_batches_are_those_of_one() -> None:
    truth, detections = random_case(CASES[2], 3)
    parts = []
    for first in range(0, truth.image_count, 7):
        numbers = np.arange(first, min(first + 7, truth.image_count))
        rows = (detections.image >= numbers[0]) & (detections.image <= numbers[-1])
        part = Detections(
            detections.image[rows] - first, detections.classes[rows], detections.corners[rows], detections.scores[rows]
        )
        parts.append(Result(part, Boxes.stack([_image_boxes(truth, int(number)) for number in numbers])))
    joined = Result.concatenate(parts)
    summaries = [
        average_precision(*pair, CLASSES).summary["AP"]
        for pair in ((truth, detections), (Truth.of(joined.boxes), joined.detections))
    ]
    assert summaries[0] == pytest.approx(summaries[1], abs=1e-3) and 0 < summaries[0] < 1


def _image_boxes(truth: Truth, image: int) -> ImageBoxes:
    rows = truth.image == image
    shares = truth.corners[rows] / 512
    return ImageBoxes.of(shares, truth.classes[rows], (512, 512), crowd=truth.crowd[rows], areas=truth.areas[rows])


def test_classes() -> None:
    ant, bee, cow = evaluation().classes
    assert ant.name == "ant" and ant.objects == 2 and ant.ap50 == pytest.approx(1)
    assert ant.precision == pytest.approx(2 / 4) and ant.recall == 1
    assert bee.objects == 2 and bee.precision == pytest.approx(1 / 2) and bee.recall == pytest.approx(1 / 2)
    assert cow.objects == 0 and np.isnan(cow.ap) and np.isnan(cow.recall) and cow.precision == 0
    strict = evaluation(ScoreThreshold(0.85, 1, 1, 1, 9))
    assert strict.classes[0].recall == pytest.approx(1 / 2) and strict.classes[0].ap50 == pytest.approx(1)
    assert np.isnan(strict.classes[2].precision)


def test_metrics_are_those_of_coco() -> None:
    summary = average_precision(Truth.of(TRUE), FOUND, 3).summary
    score = evaluation().score
    assert score.metrics == {"ap": summary["AP"], "ap50": summary["AP50"]} and score.loss == 1 - summary["AP"]
    empty = DetectionEvaluation(LABELS, Result(found((0, 0, 0, 0.5)), boxes_of([])), None)
    assert empty.score.metrics == {"ap": 0.0, "ap50": 0.0} and empty.score.loss == 1


def test_data_is_json_without_nan() -> None:
    data = evaluation().to_data()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["images"] == 3 and data["objects"] == 4 and data["min_score"] == DEFAULT_SCORE
    assert data["classes"][2]["ap"] is None and data["summary"]["AP large"] is None
    errors = detection_errors(Truth.of(TRUE), FOUND.above(DEFAULT_SCORE), 3)
    assert {kind: row["count"] for kind, row in data["errors"].items()} == {
        kind.value: count for kind, count in errors.counts.items()
    }
    assert data["precision"] == pytest.approx(3 / 7) and data["recall"] == pytest.approx(3 / 4)


def test_sections() -> None:
    classes, curves, errors, worst, suspects = evaluation().sections()
    assert classes.table is not None and errors.table is not None
    assert [row[:2] for row in classes.table.rows] == [("ant", "2"), ("bee", "2"), ("cow", "0")]
    assert classes.table.rows[2][2:] == ("–", "–", "–", "0.0%", "–")
    assert all(len(row) == len(classes.table.columns) for row in classes.table.rows)
    assert "score of at least 0.30. Of those, 42.9% are right (precision), and 75.0% of" in classes.paragraphs[1]
    assert len(curves.figures) == 2 and all(ElementTree.fromstring(figure).tag == "svg" for figure in curves.figures)
    numbers = {row[0]: row[2] for row in errors.table.rows}
    assert numbers == {
        "background": "2", "duplicate": "1", "classification": "1", "localization": "0", "both": "0", "missed": "0"
    }  # fmt: skip
    gains = [float(row[3]) for row in errors.table.rows]
    assert gains == sorted(gains, reverse=True) and gains[0] > 0
    assert [(each.image, each.caption) for each in worst.examples] == [
        (0, "wrong: 1 classification, 1 duplicate"), (1, "wrong: 1 background"), (2, "wrong: 1 background"),
    ]  # fmt: skip
    assert [(each.image, each.caption) for each in suspects.examples] == [
        (1, "not annotated: 1 bee, with a score of up to 95.0%"),
        (2, "not annotated: 1 ant, with a score of up to 55.0%"),
    ]  # fmt: skip


def test_the_worst_images_are_those_with_the_most_errors() -> None:
    assert evaluation().worst(2) == [0, 1] and evaluation().worst(9) == [0, 1, 2]
    missed = DetectionEvaluation(LABELS, Result(found(), TRUE), None)
    assert missed.worst(5) == [0, 1]
    assert [each.caption for each in missed.sections()[-1].examples] == ["missed: 2 ant, 1 bee", "missed: 1 bee"]
    perfect = DetectionEvaluation(LABELS, Result(found((0, 0, 0, 0.9)), boxes_of([(0, 0)])), None)
    assert perfect.worst(5) == []
    assert [each.heading for each in perfect.sections()] == ["Classes", "Precision and recall", "Kinds of error"]


def test_random_results_have_sections() -> None:
    for number, case in enumerate(CASES):
        truth, detections = random_case(case, number)
        boxes = Boxes.stack([_image_boxes(truth, image) for image in range(truth.image_count)])
        labels = tuple(str(label) for label in range(CLASSES))
        result = DetectionEvaluation(labels, Result(detections, boxes), None)
        headings = [section.heading for section in result.sections()]
        assert headings[0] == "Classes" and len(set(headings)) == len(headings)
        worst = result.worst(4)
        assert len(set(worst)) == len(worst) <= 4 and all(0 <= image < result.images for image in worst)
        json.dumps(result.to_data(), allow_nan=False)

"""Evaluations: scores of parts, the worst images, sections of a report, masks to check."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from opsin.backends.reference import Reference
from opsin.ir import INT, Graph, input_tensor
from opsin.nn import initial_state
from opsin.tasks.section import Section
from opsin.tasks.segmentation import Masks, SemanticSegmentation, losses
from opsin.tasks.segmentation.evaluation import SegmentationEvaluation
from opsin.tasks.segmentation.results import PixelResults
from tests.support import Array

TASK = SemanticSegmentation(("background", "cell", "nerve"))
BINARY = SemanticSegmentation(("background", "cell"))


def sure(ids: Array, classes: int) -> Array:
    """Logits of an answer that is certain."""
    return np.where(ids[:, None] == np.arange(classes)[:, None, None], 8.0, -8.0).astype(np.float32)


def evaluate(task: SemanticSegmentation, answers: Array, masks: Array, part: int = 100) -> SegmentationEvaluation:
    logits = sure(answers, len(task.labels))
    parts = [
        task.reduce({"logits": logits[i : i + part]}, Masks(masks[i : i + part])) for i in range(0, len(masks), part)
    ]
    return task.evaluate(parts, None)


def headings(evaluation: SegmentationEvaluation) -> dict[str, Section]:
    return {section.heading: section for section in evaluation.sections()}


def blob(rng: np.random.Generator, side: int = 64) -> Array:
    """A mask with an asymmetric shape near the centre."""
    ids = np.zeros((side, side), np.uint8)
    top, left = rng.integers(20, 26, 2)
    ids[top : top + 20, left : left + 6] = 1
    ids[top : top + 6, left : left + 18] = 1
    return ids


def test_loss_is_that_of_training(rng: np.random.Generator) -> None:
    numbers = (3 * rng.standard_normal((4, 3, 9, 7))).astype(np.float32)
    ids = rng.integers(0, 3, (4, 9, 7)).astype(np.uint8)
    ids[rng.random(ids.shape) < 0.3] = 255
    logits, labels = input_tensor("logits", (4, 3, 9, 7)), input_tensor("labels", (4, 9, 7), INT)
    graph = Graph((logits, labels), {"loss": losses.cross_entropy_dice(logits, labels)})
    program = Reference(graph, 4, np.float64)
    program.load_state(initial_state(graph, 0))
    expected = program.run(logits=numbers, labels=ids.astype(np.int32))["loss"]
    assert PixelResults.of(TASK.labels, numbers, Masks(ids)).loss == pytest.approx(float(expected), rel=1e-6)


def test_results_do_not_depend_on_the_parts(rng: np.random.Generator) -> None:
    masks, answers = (rng.integers(0, 3, (7, 16, 20)).astype(np.uint8) for _ in range(2))
    whole, split = evaluate(TASK, answers, masks), evaluate(TASK, answers, masks, part=2)
    assert whole.score == split.score and whole.images == 7
    assert whole.worst(3) == split.worst(3) and len(whole.worst(3)) == 3
    assert whole.results.wrong.tolist() == [int((a != m).sum()) for a, m in zip(answers, masks, strict=True)]


def test_scores_count_all_pixels_together() -> None:
    masks, answers = np.zeros((2, 2, 4, 10), np.uint8)
    masks[0, :, :5], answers[0, :, :4], answers[1, 0, 0] = 1, 1, 1
    evaluation = evaluate(BINARY, answers, masks)
    metrics = evaluation.score.metrics
    assert list(metrics) == ["foreground_iou", "mean_iou", "mean_dice", "pixel_accuracy", "boundary_f1"]
    assert metrics["foreground_iou"] == pytest.approx(16 / 21)
    assert metrics["pixel_accuracy"] == pytest.approx(75 / 80)
    assert str(evaluation).startswith("foreground IoU 0.762, mean IoU ")
    data = json.loads(json.dumps(evaluation.to_data()))
    assert data["images"] == 2 and data["metrics"] == metrics
    assert data["confusion"]["counts"] == [[59, 1], [4, 16]]
    assert data["classes"][1]["precision"] == pytest.approx(16 / 17)


def test_nothing_to_score_is_zero() -> None:
    masks = np.full((1, 4, 4), 255, np.uint8)
    score = evaluate(BINARY, np.zeros_like(masks), masks).score
    assert score.metrics == {"foreground_iou": 0.0} and score.loss == 0
    assert evaluate(BINARY, np.zeros_like(masks), masks).worst(5) == []


def test_the_worst_images_have_the_largest_errors() -> None:
    masks, answers = np.zeros((2, 4, 20, 20), np.uint8)
    masks[:, :10, :10] = 1
    answers[0, :10, :10], answers[1, :10, :9], answers[2, :10, :2], answers[3, :10, :10] = 1, 1, 1, 1
    answers[3, 19, 19] = 1
    evaluation = evaluate(BINARY, answers, masks)
    assert evaluation.worst(10) == [2, 1, 3]
    assert evaluation.errors == pytest.approx([0, 0.1, 0.8, 1 / 101])
    captions = [example.caption for example in headings(evaluation)["Images with the largest errors"].examples]
    assert captions[0] == "20.0% of the pixels wrong; cell: IoU 0.20, 20.0% missed"


def test_a_few_pixels_do_not_make_the_worst_image() -> None:
    masks, answers = np.zeros((2, 2, 40, 40), np.uint8)
    answers[0, 0, 0] = 1  # IoU 0, but only one pixel
    masks[1, :20, :20], answers[1, :20, :15] = 1, 1
    assert evaluate(BINARY, answers, masks).worst(1) == [1]


def test_tables_of_classes_and_confusions() -> None:
    masks, answers = np.zeros((2, 1, 10, 10), np.uint8)
    masks[0, :2], answers[0, :2], answers[0, 0, 0] = 1, 1, 2
    sections = headings(evaluate(TASK, answers, masks))
    classes, confusions = sections["Classes"].table, sections["Confused pixels"].table
    assert classes is not None and confusions is not None
    assert [row[:5] for row in classes.rows] == [
        ("background", "80", "80.0%", "1.000", "1.000"), ("cell", "20", "20.0%", "0.950", "0.974"),
        ("nerve", "0", "0.0%", "0.000", "0.000"),
    ]  # fmt: skip
    assert confusions.rows == (("cell", "nerve", "1", "5.0%", "100.0%"),)
    perfect = headings(evaluate(TASK, masks, masks))
    assert list(perfect) == ["Classes"]


# -- masks to check --------------------------------------------------------------------------------


MOVES: dict[str, tuple[Callable[[Array], Array], str]] = {
    "down": (lambda ids: np.roll(ids, -8, 0), "shifted by 12% down"),
    "up and right": (lambda ids: np.roll(ids, (6, -10), (0, 1)), "shifted by 9% up and 16% to the right"),
    "mirrored": (lambda ids: ids[:, ::-1], "mirrored left to right"),
    "upside down": (lambda ids: ids[::-1], "mirrored top to bottom"),
    "turned": (lambda ids: np.rot90(ids, -1), "turned by 90°"),
    "exchanged": (lambda ids: ids.T, "with rows and columns exchanged"),
}


@pytest.mark.parametrize("move", MOVES)
def test_moved_masks_are_found(move: str, rng: np.random.Generator) -> None:
    """The answers are right; one mask was moved before it was saved."""
    answers = np.stack([blob(rng) for _ in range(4)])
    answers[:, :, 50:] = 0
    answers[2, 5:12, 40:60] = 1
    masks = answers.copy()
    change, reason = MOVES[move]
    masks[2] = change(answers[2])
    (example,) = headings(evaluate(BINARY, answers, masks))["Masks to check"].examples
    assert example.image == 2 and f"fits much better {reason}: 1.00" in example.caption


def test_empty_and_incomplete_masks_are_found(rng: np.random.Generator) -> None:
    answers = np.stack([blob(rng) for _ in range(4)])
    masks = answers.copy()
    masks[1] = 0
    masks[3, :, : int(answers[3].nonzero()[1].min()) + 6] = 0  # most of the shape is missing
    examples = headings(evaluate(BINARY, answers, masks))["Masks to check"].examples
    assert [example.image for example in examples] == [1, 3]
    assert "the mask is empty, but" in examples[0].caption and "contradicts the mask" in examples[1].caption


def test_uncertain_answers_raise_no_suspicion(rng: np.random.Generator) -> None:
    answers = np.stack([blob(rng) for _ in range(3)])
    masks = answers.copy()
    masks[1] = 0
    logits = sure(answers, 2) / 8  # a probability of 0.88
    evaluation = BINARY.evaluate([BINARY.reduce({"logits": logits}, Masks(masks))], None)
    assert "Masks to check" not in headings(evaluation)


def test_classes_without_background_count_everywhere() -> None:
    task = SemanticSegmentation(("road", "sky"))
    masks = np.zeros((3, 16, 16), np.uint8)
    masks[:, :8] = 1
    answers = masks.copy()
    answers[1] = 1 - answers[1]
    sections = headings(evaluate(task, answers, masks))
    (example,) = sections["Masks to check"].examples
    assert example.image == 1 and "mirrored top to bottom" in example.caption

"""Several labels as a task: targets, loss, thresholds, scores against scikit-learn, and what a report says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageChops

from opsin import nn
from opsin.backends import reference
from opsin.base.errors import DataError, ModelError, ShapeError, UsageError
from opsin.ir import BATCH, Graph, input_tensor
from opsin.tasks.classification import Classification, ClassLabels
from opsin.tasks.geometry import Geometry
from opsin.tasks.multilabel import LabelSets, MultiLabel
from opsin.tasks.multilabel.calibration import LabelThresholds
from opsin.tasks.multilabel.evaluation import MultiLabelEvaluation
from opsin.tasks.multilabel.metrics import best_threshold
from opsin.tasks.multilabel.suspects import suspects
from opsin.tasks.probabilities import sigmoid
from opsin.tasks.registry import describe_task, described_task
from opsin.tasks.task import ImageSummary, LossOptions, Mixture
from tests.tasks.multilabel import squares

TASK = squares.TASK
RESIZE = Geometry.resize(3, (8, 8), (8, 8))
MATRIX = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 1]], np.uint8)


def case(seed: int, images: int = 60, labels: int = 3, ties: bool = False) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return logits, some of them equal with `ties`, and truth that they know something of; a label may not occur."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((images, labels)) < np.linspace(0.5, 0.1, labels)).astype(np.uint8)
    logits = rng.normal(size=(images, labels)) + 1.5 * truth - 1
    return (logits.round(0 if ties else 6)).astype(np.float32), truth


def evaluated(
    logits: NDArray[Any], truth: NDArray[np.uint8], calibration: LabelThresholds | None = None
) -> MultiLabelEvaluation:
    return TASK.evaluate([TASK.reduce({"logits": logits}, LabelSets(truth))], calibration)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.filterwarnings("ignore:No positive class found")
def test_scores_are_those_of_scikit_learn(seed: int, ties: bool) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed (make oracle)")
    logits, truth = case(seed, ties=ties)
    if seed == 5:
        truth[:, 2] = 0
    found, probabilities = evaluated(logits, truth), sigmoid(logits)
    occurring = truth.any(axis=0)
    each = metrics.average_precision_score(truth[:, occurring], probabilities[:, occurring], average=None)
    np.testing.assert_allclose([row.average_precision for row in found.labels if row.images], each)
    assert found.score.value == pytest.approx(np.mean(each))
    expected = metrics.label_ranking_average_precision_score(truth, probabilities)
    assert found.label_ranking_average_precision == pytest.approx(expected)
    answers = probabilities >= 0.5
    for average, value in (("micro", found.f1), ("macro", found.macro_f1)):
        assert value == pytest.approx(metrics.f1_score(truth, answers, average=average, zero_division=0))
    np.testing.assert_allclose(
        [row.f1 for row in found.labels], metrics.f1_score(truth, answers, average=None, zero_division=0)
    )
    for name in ("precision", "recall"):
        expected_rows = getattr(metrics, f"{name}_score")(truth, answers, average=None, zero_division=np.nan)
        np.testing.assert_allclose([getattr(row, name) for row in found.labels], expected_rows)
    assert found.exact == pytest.approx(metrics.accuracy_score(truth, answers))
    assert found.loss == pytest.approx(
        np.mean([metrics.log_loss(truth[:, label], probabilities[:, label], labels=[0, 1]) for label in range(3)])
    )


@pytest.mark.parametrize("seed", range(4))
def test_thresholds_have_the_best_f1_score(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed (make oracle)")
    logits, truth = case(seed, 80)
    thresholds = TASK.calibrate([TASK.reduce({"logits": logits}, LabelSets(truth))])
    assert thresholds.images == 80
    for label, threshold in enumerate(thresholds.thresholds):
        if truth[:, label].sum() < 10:
            assert threshold == 0.5
            continue
        scores = sigmoid(logits[:, label])
        best = max(metrics.f1_score(truth[:, label], scores >= value) for value in np.unique(scores))
        assert metrics.f1_score(truth[:, label], scores >= threshold) == pytest.approx(best)
    assert best_threshold(np.zeros(3, np.uint8), np.array([0.1, 0.2, 0.3])) == 0.5


def test_the_loss_is_the_binary_cross_entropy() -> None:
    objective = TASK.objective(LossOptions(), False)
    outputs = {"logits": input_tensor("logits", (BATCH, 3))}
    targets = objective.targets(outputs)
    graph = Graph((outputs["logits"], targets["labels"]), {"loss": objective.loss(outputs, targets)})
    logits = np.random.default_rng(0).normal(0, 40, (3, 3)).astype(np.float32)
    labels = TASK.encode(LabelSets(MATRIX), RESIZE, None)["labels"]
    found = float(reference.compile(graph, 3).run(logits=logits, labels=labels)["loss"])
    assert found == pytest.approx(evaluated(logits, MATRIX).loss, rel=1e-6)
    assert TASK.chance_loss == pytest.approx(np.log(2))


def test_labels_of_mixed_images_are_shares() -> None:
    mixture = Mixture(np.array([0.75, 1.0, 0.5]), 3)
    labels = TASK.encode(LabelSets(MATRIX), RESIZE, mixture)["labels"]
    np.testing.assert_allclose(labels, np.array([[0.75, 0.0, 0.75], [0.0, 0.0, 0.0], [0.5, 0.5, 1.0]]))


def test_options_and_networks_that_do_not_suit() -> None:
    with pytest.raises(UsageError, match="class weights are for images of one class each"):
        TASK.objective(LossOptions(class_weights=(1.0, 2.0, 1.0)), False)
    TASK.check(nn.trace(nn.Sequential(nn.Flatten(), nn.Linear(3)), (3, 4, 4)))
    with pytest.raises(ShapeError, match=r"but there are 3 labels; end it with Linear\(3\)"):
        TASK.check(nn.trace(nn.Sequential(nn.Flatten(), nn.Linear(2)), (3, 4, 4)))


def test_data_with_other_labels() -> None:
    aligned = TASK.align(MultiLabel(("blue", "red")), LabelSets(np.array([[1, 0], [1, 1]], np.uint8)))
    assert aligned.matrix.tolist() == [[0, 0, 1], [1, 0, 1]]
    with pytest.raises(
        DataError, match="the data has a label 'pink' that the model does not know; it knows red, green"
    ):
        TASK.align(MultiLabel(("pink",)), LabelSets(np.zeros((1, 1), np.uint8)))
    with pytest.raises(DataError, match="the data is for classification, but the model does multilabel"):
        TASK.align(Classification(("a", "b")), ClassLabels(np.zeros(1, np.int32)))


def test_answers() -> None:
    logits = np.array([[2.0, -2.0, 0.1], [-3.0, -2.0, -1.0]], np.float32)
    first, second = TASK.answers({"logits": logits}, [(8, 8)] * 2, LabelThresholds((0.5, 0.1, 0.6), 50), None)
    assert first.labels == ("red", "green") and str(first) == "red (88.1%), green (11.9%)"
    assert second.labels == ("green",) and second.to_data()["labels"] == ["green"]
    (none,) = TASK.answers({"logits": logits[1:]}, [(8, 8)], None, 1)
    assert str(none) == "no label" and len(none.ranking) == 1
    truth = TASK.truth(LabelSets(MATRIX))
    assert [answer.labels for answer in truth] == [("red", "blue"), (), ("green", "blue")]
    assert str(truth[0]) == "red (100.0%), blue (100.0%)"


def test_the_task_in_a_file() -> None:
    assert described_task(describe_task(TASK)) == TASK and TASK.subject() == "3 labels"
    thresholds = LabelThresholds((0.1, 0.5, 1.0), 20)
    assert TASK.calibration_from_data(thresholds.to_data()) == thresholds
    broken: list[dict[str, Any]] = [
        {}, {"thresholds": [0.5], "images": 3}, {"thresholds": [0.5, 2, 0.5], "images": 3},
        {"thresholds": 1, "images": 3},
    ]  # fmt: skip
    for data in broken:
        with pytest.raises(ModelError, match="its calibration"):
            TASK.calibration_from_data(data)


def test_always_the_same_answer() -> None:
    logits, truth = case(1, 400)
    random = evaluated(np.zeros_like(logits), truth)
    assert TASK.is_constant(random.score, LabelSets(truth))
    assert not TASK.is_constant(evaluated(logits, truth).score, LabelSets(truth))


def test_suspected_labels_are_those_that_were_changed() -> None:
    rng = np.random.default_rng(4)
    truth = (rng.random((300, 3)) < 0.4).astype(np.uint8)
    logits = rng.normal(0, 0.7, truth.shape) + np.where(truth, 3.0, -3.0)
    changed = [(int(image), int(image) % 3) for image in rng.choice(300, 12, replace=False)]
    given = truth.copy()
    for image, label in changed:
        given[image, label] ^= 1
    found = suspects(sigmoid(logits), given)
    assert {(each.image, each.label) for each in found} < set(changed) and len(found) >= 5
    assert all(each.given == bool(given[each.image, each.label]) for each in found)
    assert not suspects(sigmoid(logits), np.ones_like(truth))


def test_sections() -> None:
    logits, truth = case(2, 200)
    truth[:, 2] = 0
    found = evaluated(logits, truth)
    labels, worst, check = found.sections()
    assert [labels.heading, worst.heading, check.heading] == [
        "Labels", "Images with the largest errors", "Labels to check"
    ]  # fmt: skip
    assert labels.table is not None and [row[0] for row in labels.table.rows][-1] == "blue"
    assert labels.table.rows[-1][1:4] == ("0", "–", "0.000")
    assert [example.image for example in worst.examples] == found.worst(12)
    losses = -np.where(truth, np.log(sigmoid(logits)), np.log(1 - sigmoid(logits))).sum(axis=1)
    wrong = ((sigmoid(logits) >= 0.5) != truth).any(axis=1)
    assert found.worst(3) == sorted(np.flatnonzero(wrong).tolist(), key=lambda image: -losses[image])[:3]
    assert "not found: " in worst.examples[0].caption or "wrong: " in worst.examples[0].caption
    assert "its probability is" in check.examples[0].caption
    right = evaluated(np.where(MATRIX, 9.0, -9.0), MATRIX)
    assert [section.heading for section in right.sections()] == ["Labels"] and right.exact == 1


def test_drawing() -> None:
    image = Image.new("RGB", (60, 40), (200, 200, 200))
    answers = TASK.truth(LabelSets(MATRIX))
    drawn = [TASK.draw(image, answer) for answer in answers[:2]]
    assert all(max(each.size) >= 480 for each in drawn)
    box = ImageChops.difference(*drawn).getbbox()
    assert box is not None and box[1] > drawn[0].height / 2


def test_defaults() -> None:
    assert MultiLabel.defaults(ImageSummary(100, 300, False, {})).network == "efficientnet_lite0"
    assert MultiLabel.defaults(ImageSummary(100, 20, True, {})).network == "lenet5"

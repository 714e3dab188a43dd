"""What is explained, for every task."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.base.errors import UsageError
from opsin.tasks.classification import Classification
from opsin.tasks.detection import ObjectDetection
from opsin.tasks.multilabel import MultiLabel
from opsin.tasks.regression import Regression
from opsin.tasks.segmentation import SemanticSegmentation


def test_of_a_classifier_the_best_logits() -> None:
    logits = np.array([[0.5, 3.0, -1.0, 2.0]], np.float32)
    task = Classification(("a", "b", "c", "d"))
    scores = task.explained_scores({"logits": logits}, None, 3)
    assert [score.label for score in scores] == ["b", "d", "a"]
    assert scores[0].description == "the logit of 'b'"
    more = np.array([[1, 2, 3, 4], [0, 0, 0, 0]], np.float32)
    np.testing.assert_allclose(scores[1].values({"logits": more}), [4, 0])
    odds = np.exp([1.0, 2, 3, 4])
    np.testing.assert_allclose(scores[1].confidences({"logits": more}), [odds[3] / odds.sum(), 0.25])
    assert task.explained_scores({"logits": logits}, "c")[0].label == "c"


def test_of_several_labels_their_own_probabilities() -> None:
    task = MultiLabel(("a", "b", "c"))
    (score,) = task.explained_scores({"logits": np.array([[-2.0, 1, 0]], np.float32)}, "a")
    np.testing.assert_allclose(score.confidences({"logits": np.array([[3.0, 9, 9]])}), 1 / (1 + np.exp(-3)))


def test_of_a_regression_the_quantities_without_probability() -> None:
    task = Regression(("x", "y"), ("", "km"), (0.0, 1.0), (1.0, 2.0), (False, False))
    scores = task.explained_scores({"logits": np.zeros((1, 2), np.float32)}, None, 5)
    assert [score.label for score in scores] == ["x", "y"]
    np.testing.assert_allclose(scores[1].values({"logits": np.array([[3.0, 7.0]])}), [7])
    assert scores[1].confidences({"logits": np.array([[3.0, 7.0]])}) is None


def test_of_a_segmentation_the_mean_logit_where_the_class_is_the_answer() -> None:
    logits = np.zeros((1, 3, 4, 5), np.float32)
    logits[0, 1, 1:3, 1:3], logits[0, 2, 3, :] = 5, 1
    task = SemanticSegmentation(("ground", "cell", "dirt"))
    scores = task.explained_scores({"logits": logits}, None, 5)
    assert [score.label for score in scores] == ["ground", "dirt", "cell"]
    assert scores[2].values({"logits": logits})[0] == pytest.approx(5)
    odds = np.exp(5.0)
    confidences = scores[2].confidences({"logits": logits})
    assert confidences is not None
    assert confidences[0] == pytest.approx(odds / (odds + 2), rel=1e-6)
    named = SemanticSegmentation(("background", "cell", "dirt"))
    assert [score.label for score in named.explained_scores({"logits": logits}, None, 5)] == [
        "dirt",
        "cell",
        "background",
    ]
    (missing,) = task.explained_scores({"logits": -logits}, "cell")
    assert missing.description == "the mean logit of 'cell' over all pixels, since none is answered as it"
    np.testing.assert_allclose(missing.weights["logits"][1], 1 / 20)


@pytest.mark.parametrize(("network", "size"), [("fcos_efficientnet_lite0", 64), ("ssdlite320_mobilenet_v3_large", 320)])
def test_of_a_detector_the_logits_of_its_best_boxes(network: str, size: int) -> None:
    task = ObjectDetection(("cat", "dog", "eel")).for_network(network, (size, size))
    head = task.head
    rng = np.random.default_rng(0)
    logits = rng.normal(-6, 0.1, (1, head.count, head.logits)).astype(np.float32)
    background = head.logits - head.classes
    logits[0, 7, background + 1], logits[0, head.count - 3, background] = 9, 8
    outputs = {"class_logits": logits, "box_offsets": np.zeros((1, head.count, 4), np.float32) + 0.5}
    first, second = task.explained_scores(outputs, None, 2)
    assert (first.label, second.label) == ("dog", "cat")
    assert first.values(outputs)[0] == pytest.approx(9)
    assert np.argwhere(second.weights["class_logits"]).tolist() == [[head.count - 3, background]]
    assert first.description.startswith("the logit of 'dog' of the box from ")
    confidences = first.confidences(outputs)
    assert confidences is not None
    assert confidences[0] > 0.99
    (large,) = task.explained_scores(outputs, "dog", 1, (300, 500))
    left, top, right, bottom = large.box or ()
    corners = f"{round(500 * left)}, {round(300 * top)} to {round(500 * right)}, {round(300 * bottom)}"
    assert large.description == f"the logit of 'dog' of the box from {corners}"
    assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
    answered = task.answers(outputs, [(300, 500)], None, 1)[0].detections[0]
    np.testing.assert_allclose(
        np.clip(answered.box, 0, (500, 300) * 2), np.array(large.box) * ((500, 300) * 2), atol=1e-3
    )
    (eel,) = task.explained_scores(outputs, "eel")
    assert eel.label == "eel"
    assert eel.values(outputs)[0] == pytest.approx(float(logits[0, :, background + 2].max()), abs=0.3)


def test_unknown_labels_are_refused() -> None:
    with pytest.raises(UsageError, match="no label 'z' to explain; there are a, b"):
        Classification(("a", "b")).explained_scores({"logits": np.zeros((1, 2), np.float32)}, "z")

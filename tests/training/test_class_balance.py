"""Classes of very different sizes: weights, logit adjustment and label smoothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from opsin.data import Dataset, LabeledImages
from opsin.tasks.classification.class_balance import class_weights, imbalance, logit_adjustment, smoothing_spread
from opsin.training import Recipe, Trainer


def test_weights_follow_the_square_root_of_the_ratio() -> None:
    counts = [400, 100, 0, 1]
    weights = class_weights(counts)
    assert weights[3] / weights[0] == pytest.approx(20) and weights[2] == 1.0
    assert sum(w * n for w, n in zip(weights, counts, strict=True)) == pytest.approx(sum(counts))
    assert imbalance(counts) == 400


def test_logits_are_adjusted_by_the_log_of_the_share() -> None:
    offsets = logit_adjustment([90, 10, 0])
    assert np.exp(offsets) == pytest.approx([0.9, 0.1, 0.01])


@pytest.mark.parametrize("counts", [[288, 12], [1000, 1], [300, 3, 3, 3], [5, 5]])
def test_smoothed_labels_of_common_classes_never_favour_a_rare_one(counts: list[int]) -> None:
    """The logits that fit smoothed labels best have their largest at the label, for every class."""
    smoothing, shares = 0.1, np.array(counts) / sum(counts)
    weights, offsets = class_weights(counts), logit_adjustment(counts)
    for label in range(len(counts)):
        for kind in ("weights", "offsets"):
            arguments = (weights, None) if kind == "weights" else (None, offsets)
            target = smoothing * np.array(smoothing_spread(*arguments))
            target[label] += 1 - smoothing
            best = np.log(target * weights) if kind == "weights" else np.log(target) - np.array(offsets)
            assert best.argmax() == label, (kind, label, best)
    assert smoothing_spread(None, None) is None and shares.sum() == pytest.approx(1)


def striped(counts: list[int], seed: int) -> LabeledImages:
    """Return noisy images of 16 × 16 with a bright bar whose position depends on the class."""
    labels = np.repeat(np.arange(len(counts)), counts)
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 120, (len(labels), 1, 16, 16), dtype=np.uint8)
    for number, label in enumerate(labels):
        pixels[number, :, :, 4 * label + 1 : 4 * label + 3] += 100
    return LabeledImages(pixels, labels.astype(np.int32), tuple("abcd"[: len(counts)]))


CASES = [
    ([288, 12], "lenet5"), ([288, 12], "resnet9_half"), ([300, 3, 3], "lenet5"), ([300, 3, 3], "resnet9_half"),
    ([1000, 2], "lenet5"), ([1000, 1], "lenet5"),
]  # fmt: skip


def recalls(counts: list[int], network: str, epochs: int, **changes: object) -> list[float]:
    """Return the recall of each class after training with label smoothing."""
    data = Dataset("bars", striped(counts, 0), striped([40] * len(counts), 1), predefined_split=True)
    plan = replace(Recipe(epochs=epochs).plan(network, len(data.train)), label_smoothing=0.1, **changes)
    training = Trainer(plan, data)
    list(training)
    correct = training.model.evaluate(data.test).confusion.diagonal() / 40
    return [float(share) for share in correct]


@pytest.mark.parametrize(("counts", "network"), CASES)
def test_logit_adjustment_finds_rare_classes(counts: list[int], network: str) -> None:
    assert min(recalls(counts, network, 8, logit_adjustment=logit_adjustment(counts))) >= 0.9


@pytest.mark.parametrize(("counts", "network"), CASES)
def test_class_weights_find_rare_classes_in_more_epochs(counts: list[int], network: str) -> None:
    assert min(recalls(counts, network, 20, class_weights=class_weights(counts))) >= 0.9


def test_without_either_a_rare_class_is_not_found() -> None:
    assert min(recalls([300, 3, 3], "lenet5", 8)) < 0.5

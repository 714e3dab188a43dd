"""The loss of connectionist temporal classification and its gradient against sums over all paths."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest

from opsin.kernels.ctc import CTCLoss, CTCLossGradient, row_size
from opsin.kernels.ir import Target
from tests.kernels.support import each_run, guarded, margins_hold

LABELS = [(), (1,), (1, 1), (1, 2), (2, 1, 2), (1, 1, 1)]


def by_paths(scores: np.ndarray, labels: tuple[int, ...]) -> tuple[float, np.ndarray]:
    """Return the loss and its gradient from the definition: a sum over all paths."""
    frames, classes = scores.shape
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    total, visits = 0.0, np.zeros_like(shares)
    for path in product(range(classes), repeat=frames):
        if tuple(label for label, _ in groupby(path) if label) == labels:
            probability = float(shares[range(frames), path].prod())
            total += probability
            visits[range(frames), path] += probability
    return (-np.log(total), shares - visits / total) if total else (np.inf, np.zeros_like(shares))


@each_run
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_loss_and_gradient_are_those_of_all_paths(frames: int, run: object, target: Target) -> None:
    rng = np.random.default_rng(frames)
    samples, classes, length = len(LABELS), 3, 3
    logits = (2 * rng.standard_normal((samples, frames, classes))).astype(np.float32)
    labels = np.full((samples, length), -1, np.int32)
    for row, sequence in zip(labels, LABELS, strict=True):
        row[: len(sequence)] = sequence
    g = rng.standard_normal(samples).astype(np.float32)
    loss, gradient = guarded((samples,)), guarded(logits.shape)
    words, row = [frames, classes, length], row_size(length, target.lanes)
    run(CTCLoss(), [logits, labels, loss, *words], 0, samples, 4 * row, target=target)  # type: ignore[operator]
    args = [logits, labels, g, gradient, *words]
    run(CTCLossGradient(), args, 0, samples, (frames + 5) * row, target=target)  # type: ignore[operator]
    expected = [by_paths(scores.astype(np.float64), sequence) for scores, sequence in zip(logits, LABELS, strict=True)]
    np.testing.assert_allclose(loss, [each for each, _ in expected], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient, [w * each for w, (_, each) in zip(g, expected, strict=True)], atol=2e-6)
    assert np.isinf(loss[-1]) == (frames < 5)
    assert margins_hold(loss)
    assert margins_hold(gradient)


@each_run
@pytest.mark.parametrize("label", [0, 5, 99])
def test_labels_that_are_no_classes_touch_no_memory(label: int, run: object, target: Target) -> None:
    logits = np.full((1, 4, 5), np.nan, np.float32)
    labels, gradient = np.array([[2, label]], np.int32), guarded((1, 4, 5))
    args = [logits, labels, np.ones(1, np.float32), gradient, 4, 5, 2]
    run(CTCLossGradient(), args, 0, 1, 9 * row_size(2, target.lanes), target=target)  # type: ignore[operator]
    assert np.isnan(gradient).all()
    assert margins_hold(gradient)

"""Losses and their gradients against PyTorch's, and their errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from opsin.base.errors import ShapeError, UsageError
from opsin.ir import BATCH, INT, input_tensor
from opsin.nn import losses
from tests.nn.support import value_and_gradients
from tests.support import Array, relative_error

try:
    import torch

    torch.set_num_threads(1)
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed; it is an optional extra")
WEIGHTS = (0.5, 2.0, 1.0, 0.0, 3.5)


def compare(ours: Callable[..., Any], theirs: Callable[..., Any], *arrays: Array) -> None:
    """Value and gradients of the two functions agree."""
    tensors = [torch.from_numpy(a).requires_grad_() if a.dtype.kind == "f" else torch.from_numpy(a) for a in arrays]
    expected = theirs(*tensors)
    expected.backward()
    value, gradients = value_and_gradients(ours, *arrays)
    assert relative_error(value, expected.detach().numpy()) < 1e-12
    for actual, tensor in zip(gradients, [t for t in tensors if t.requires_grad], strict=True):
        assert relative_error(actual, tensor.grad.numpy()) < 1e-12


@needs_torch
@pytest.mark.parametrize("scale", [0.0, 1.0, 300.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.15])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy(
    scale: float, smoothing: float, weights: tuple[float, ...] | None, rng: np.random.Generator
) -> None:
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float64)

    def theirs(logits: Any, labels: Any) -> Any:
        return torch.nn.functional.cross_entropy(logits, labels.long(), weight, label_smoothing=smoothing)

    ours = partial(losses.cross_entropy, label_smoothing=smoothing, class_weights=weights)
    compare(ours, theirs, scale * rng.standard_normal((9, 5)), rng.integers(0, 5, 9, np.int32))


def shares(rng: np.random.Generator, *shape: int) -> Array:
    """Positive numbers whose rows sum to 1."""
    numbers = rng.random(shape)
    return numbers / numbers.sum(1, keepdims=True)


@needs_torch
@pytest.mark.parametrize("smoothing", [0.0, 0.15])
def test_soft_cross_entropy(smoothing: float, rng: np.random.Generator) -> None:
    theirs = partial(torch.nn.functional.cross_entropy, label_smoothing=smoothing)
    compare(
        partial(losses.soft_cross_entropy, label_smoothing=smoothing),
        theirs,
        rng.standard_normal((9, 5)),
        shares(rng, 9, 5),
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_one_hot_soft_labels_equal_labels(
    smoothing: float, weights: tuple[float, ...] | None, rng: np.random.Generator
) -> None:
    logits, labels = rng.standard_normal((9, 5)), rng.integers(0, 5, 9, np.int32)
    hard = partial(losses.cross_entropy, label_smoothing=smoothing, class_weights=weights)
    soft = partial(losses.soft_cross_entropy, label_smoothing=smoothing, class_weights=weights)
    value, (slope,) = value_and_gradients(hard, logits, labels)
    other, (other_slope, _) = value_and_gradients(soft, logits, np.eye(5)[labels])
    np.testing.assert_allclose(other, value, rtol=1e-14)
    np.testing.assert_allclose(other_slope, slope, rtol=1e-13, atol=1e-15)


@needs_torch
@pytest.mark.parametrize("scale", [0.0, 1.0, 500.0])
def test_binary_cross_entropy(scale: float, rng: np.random.Generator) -> None:
    x, t = scale * rng.standard_normal((6, 7)), rng.random((6, 7))
    compare(losses.binary_cross_entropy, torch.nn.functional.binary_cross_entropy_with_logits, x, t)


@needs_torch
def test_mean_squared_error(rng: np.random.Generator) -> None:
    compare(losses.mean_squared_error, torch.nn.functional.mse_loss, *rng.standard_normal((2, 4, 3, 5)))


@needs_torch
@pytest.mark.parametrize("beta", [0.3, 1.0, 2.5])
def test_smooth_l1(beta: float, rng: np.random.Generator) -> None:
    p, t = 3 * rng.standard_normal((2, 40, 3))
    p[:3] = t[:3]
    theirs = partial(torch.nn.functional.smooth_l1_loss, beta=beta)
    compare(partial(losses.smooth_l1, beta=beta), theirs, p, t)


def test_confident_correct_logits_have_no_loss() -> None:
    logits = np.where(np.eye(4) > 0, 800.0, -800.0)
    value, (gradient,) = value_and_gradients(losses.cross_entropy, logits, np.arange(4, dtype=np.int32))
    assert value == 0
    assert not gradient.any()


def test_uniform_logits_have_the_loss_log_classes() -> None:
    value, _ = value_and_gradients(losses.cross_entropy, np.zeros((3, 10)), np.array([1, 5, 9], np.int32))
    assert value == pytest.approx(np.log(10))


def test_mismatches_are_errors() -> None:
    logits, labels = input_tensor("x", (BATCH, 5)), input_tensor("t", (BATCH,), INT)
    message = "cross_entropy: expected logits N × classes and N labels, got N × 5 and N × 5"
    with pytest.raises(ShapeError, match=re.escape(message)):
        losses.cross_entropy(logits, logits)
    message = "soft_cross_entropy: expected logits N × classes and targets of the same shape, got N × 5 and N int"
    with pytest.raises(ShapeError, match=re.escape(message)):
        losses.soft_cross_entropy(logits, labels)
    with pytest.raises(ShapeError, match="cross_entropy: 2 class weights for 5 classes; give one per class"):
        losses.cross_entropy(logits, labels, class_weights=(1, 2))
    with pytest.raises(
        UsageError, match="cross_entropy: label_smoothing is a fraction of at least 0 and below 1, not 1"
    ):
        losses.cross_entropy(logits, labels, label_smoothing=1)
    for loss in (losses.binary_cross_entropy, losses.mean_squared_error, losses.smooth_l1):
        with pytest.raises(ShapeError, match="predictions N × 5 and targets N int must have the same shape"):
            loss(logits, labels)
    with pytest.raises(UsageError, match="beta, where the square meets the line, is above 0, not 0"):
        losses.smooth_l1(logits, logits, 0)

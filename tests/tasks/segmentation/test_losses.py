"""Pixelwise losses and their gradients against PyTorch's, in double precision and natively."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from opsin import nn, ops
from opsin.backends import native
from opsin.backends.reference import Reference
from opsin.base.errors import ShapeError, UsageError
from opsin.ir import BATCH, INT, Graph, Tensor, input_tensor
from opsin.kernels.ir import Target
from opsin.tasks.segmentation import losses
from tests.nn.support import value_and_gradients
from tests.support import Array, relative_error

torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")
torch.set_num_threads(1)

WEIGHTS = (0.5, 2.0, 0.0, 3.5)
LOSSES = (losses.cross_entropy, losses.dice_loss, losses.cross_entropy_dice)
Loss = Callable[..., Tensor]


def batch(rng: np.random.Generator, scale: float = 1.0, ignored: float = 0.3) -> tuple[Array, Array]:
    labels = rng.integers(0, 4, (3, 5, 7)).astype(np.int32)
    labels[rng.random(labels.shape) < ignored] = 255
    return scale * rng.standard_normal((3, 4, 5, 7)), labels


def compare(ours: Loss, theirs: Callable[[Any, Any], Any], logits: Array, labels: Array) -> None:
    tensor = torch.from_numpy(logits).requires_grad_()
    expected = theirs(tensor, torch.from_numpy(labels).long())
    expected.backward()
    value, (gradient,) = value_and_gradients(ours, logits, labels)
    assert relative_error(value, expected.detach().numpy()) < 1e-12
    assert relative_error(gradient, tensor.grad.numpy()) < 1e-11


@pytest.mark.parametrize("scale", [0.0, 1.0, 300.0])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("ignored", [0.0, 0.3, 0.98])
def test_cross_entropy(
    scale: float, weights: tuple[float, ...] | None, ignored: float, rng: np.random.Generator
) -> None:
    logits, labels = batch(rng, scale, ignored)
    labels[0, 0, 0] = 1  # PyTorch's mean of no pixels is NaN
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    theirs = partial(torch.nn.functional.cross_entropy, weight=weight, ignore_index=255)
    compare(partial(losses.cross_entropy, class_weights=weights), theirs, logits, labels)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_label_smoothing(weights: tuple[float, ...] | None, rng: np.random.Generator) -> None:
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    theirs = partial(torch.nn.functional.cross_entropy, weight=weight, ignore_index=255, label_smoothing=0.1)
    compare(partial(losses.cross_entropy, class_weights=weights, label_smoothing=0.1), theirs, *batch(rng))


def torch_dice(logits: Any, labels: Any, smoothing: float) -> Any:
    """The formula image by image and class by class."""
    terms = []
    for scores, ids in zip(logits, labels, strict=True):
        counts = ids != 255
        for number in range(scores.shape[0]):
            p, t = scores.softmax(0)[number][counts], (ids[counts] == number).double()
            terms.append(1 - (2 * (p * t).sum() + smoothing) / ((p * p).sum() + (t * t).sum() + smoothing))
    return torch.stack(terms).mean()


@pytest.mark.parametrize("scale", [0.0, 1.0, 300.0])
@pytest.mark.parametrize("smoothing", [1e-5, 1.0])
def test_dice(scale: float, smoothing: float, rng: np.random.Generator) -> None:
    compare(
        partial(losses.dice_loss, smoothing=smoothing),
        partial(torch_dice, smoothing=smoothing),
        *batch(rng, scale),
    )


def test_the_sum_of_both(rng: np.random.Generator) -> None:
    def theirs(logits: Any, labels: Any) -> Any:
        entropy = torch.nn.functional.cross_entropy(logits, labels, ignore_index=255)
        return entropy + 0.5 * torch_dice(logits, labels, 1.0)

    compare(partial(losses.cross_entropy_dice, dice_weight=0.5), theirs, *batch(rng))


@pytest.mark.parametrize("loss", [*LOSSES, partial(losses.cross_entropy, class_weights=WEIGHTS)])
def test_a_batch_of_ignored_pixels_has_no_loss(loss: Loss, rng: np.random.Generator) -> None:
    logits, labels = batch(rng, ignored=1.1)
    value, (gradient,) = value_and_gradients(loss, logits, labels)
    assert value == 0
    assert not gradient.any()


@pytest.mark.parametrize("loss", LOSSES)
def test_correct_logits_have_no_loss(loss: Loss, rng: np.random.Generator) -> None:
    _, labels = batch(rng)
    logits = np.where(labels[:, None] == np.arange(4)[:, None, None], 800.0, -800.0)
    value, (gradient,) = value_and_gradients(loss, logits, labels)
    assert value == pytest.approx(0, abs=1e-12)
    assert not gradient.any()


@pytest.mark.parametrize("loss", LOSSES)
def test_native_code_agrees_for_any_batch(loss: Loss, rng: np.random.Generator, target: Target) -> None:
    logits, labels = input_tensor("logits", (BATCH, 4, 5, 7)), input_tensor("labels", (BATCH, 5, 7), INT)
    value = loss(logits, labels)
    (slope,) = ops.gradients(value, [logits])
    assert slope is not None
    graph = Graph((logits, labels), {"loss": value, "slope": slope}).verify()
    programs = native.compile(graph, 3, target=target), Reference(graph, 3, np.float64)
    numbers, ids = batch(rng, 2.0)
    results = []
    for program in programs:
        program.load_state(nn.initial_state(graph, 0))
        results.append(program.run(logits=numbers.astype(np.float32), labels=ids))
    for name in ("loss", "slope"):
        assert relative_error(results[0][name], results[1][name]) < 2e-5


def test_errors() -> None:
    logits, labels = input_tensor("logits", (2, 4, 5, 7)), input_tensor("labels", (2, 5, 7), INT)
    with pytest.raises(ShapeError, match="expected logits N × C × H × W and labels N × H × W"):
        losses.cross_entropy(logits, input_tensor("labels", (2, 5, 6), INT))
    with pytest.raises(ShapeError, match="3 class weights for 4 classes"):
        losses.cross_entropy(logits, labels, (1.0, 2.0, 3.0))
    with pytest.raises(UsageError, match=r"below 1, not 1\.0"):
        losses.cross_entropy(logits, labels, label_smoothing=1.0)
    with pytest.raises(UsageError, match="above 0, not 0"):
        losses.dice_loss(logits, labels, 0.0)

"""Losses: scalars that say how wrong a network is, averaged over the batch. PyTorch's definitions."""

from __future__ import annotations

from collections.abc import Sequence

from opsin import ops
from opsin.base.concurrency import locked_cache
from opsin.base.errors import ShapeError, UsageError
from opsin.ir import INT, Tensor, variable
from opsin.ir.checked import checked


@checked
def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
    spread: Sequence[float] | None = None,
) -> Tensor:
    """-Σ t log softmax(logits), where t is 1 at the label; logits N × classes, labels N whole numbers.

    `smoothing` takes that share of t and spreads it over all classes alike (Szegedy et al. 2016), or in the shares
    `spread`, one a class, that sum to 1. With `class_weights`, one a class, the mean over the batch is weighted by the
    labels' classes.
    """
    if logits.rank != 2 or labels.dtype != INT or labels.shape != logits.shape[:1]:
        raise ShapeError(
            f"cross_entropy: expected logits N × classes and N labels, got {logits.type} and {labels.type}"
        )
    classes = logits.shape[1]
    if not isinstance(classes, int):
        raise ShapeError(f"cross_entropy: the number of classes must be known, but the logits are {logits.type}")
    return _cross_entropy(logits, ops.one_hot(labels, classes), smoothing, class_weights, spread)


@checked
def soft_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
    spread: Sequence[float] | None = None,
) -> Tensor:
    """As `cross_entropy`, where each image's targets are shares of all classes, N × classes, that sum to 1."""
    if logits.rank != 2 or logits.type != targets.type:
        raise ShapeError(
            f"soft_cross_entropy: expected logits N × classes and targets of the same shape, got {logits.type} and "
            f"{targets.type}"
        )
    return _cross_entropy(logits, targets, smoothing, class_weights, spread)


def _cross_entropy(
    logits: Tensor,
    target: Tensor,
    smoothing: float,
    class_weights: Sequence[float] | None,
    spread: Sequence[float] | None,
) -> Tensor:
    batch, classes = logits.shape
    if not isinstance(classes, int) or not 0 <= smoothing < 1:
        raise UsageError(f"cross_entropy: smoothing is a share of at least 0 and below 1, not {smoothing}")
    total = ops.constant(batch)
    shares = target
    if smoothing:
        parts = None if spread is None else [smoothing * share for share in spread]
        aside = smoothing / classes if parts is None else _per_class("smoothing shares", parts, classes)
        shares = ops.add(ops.multiply(target, 1 - smoothing), aside)
    if class_weights is not None:
        weights = _per_class("class weights", class_weights, classes)
        total = ops.sum(ops.multiply(target, weights))
        shares = ops.multiply(shares, weights)
    return ops.divide(ops.sum(ops.multiply(ops.log_softmax(logits), shares)), ops.negate(total))


@checked
def adjusted(logits: Tensor, offsets: Sequence[float]) -> Tensor:
    """The logits N × classes with one number a class added: its log share of the images (Menon et al. 2021)."""
    if logits.rank != 2 or logits.shape[1] != len(offsets):
        raise ShapeError(f"adjusted: {len(offsets)} offsets for logits {logits.type}; give one for each class")
    return ops.add(logits, _class_variable("logit_adjustment", tuple(float(value) for value in offsets)))


@checked
def binary_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """-t log σ(x) - (1 - t) log(1 - σ(x)), the mean over all elements; both of one shape, targets from 0 to 1."""
    _same_shape("binary_cross_entropy", logits, targets)
    # log(1 + eˣ) = m + log(e⁻ᵐ + eˣ⁻ᵐ) for any m. With m = max(x, 0) held constant nothing overflows, and the slope is
    # that of log(1 + eˣ) even at 0.
    shift = ops.stop_gradient(ops.relu(logits))
    log_sum = ops.log(ops.add(ops.exp(ops.negate(shift)), ops.exp(ops.subtract(logits, shift))))
    return ops.mean(ops.add(ops.subtract(shift, ops.multiply(logits, targets)), log_sum))


@checked
def mean_squared_error(predictions: Tensor, targets: Tensor) -> Tensor:
    """(p - t)², the mean over all elements; both of one shape."""
    _same_shape("mean_squared_error", predictions, targets)
    return ops.mean(ops.square(ops.subtract(predictions, targets)))


@checked
def smooth_l1(predictions: Tensor, targets: Tensor, beta: float = 1.0) -> Tensor:
    """d²/2β where d = |p - t| is at most β, else d - β/2 (Girshick 2015): the mean over all elements, of one shape."""
    _same_shape("smooth_l1", predictions, targets)
    if beta <= 0:
        raise UsageError(f"smooth_l1: beta, where the square meets the line, is above 0, not {beta}")
    distance = ops.absolute(ops.subtract(predictions, targets))
    near = ops.minimum(distance, beta)
    area = ops.multiply(near, ops.subtract(distance, ops.multiply(near, 0.5)))
    return ops.mean(area if beta == 1 else ops.multiply(area, 1 / beta))


def _per_class(name: str, values: Sequence[float], classes: int) -> Tensor:
    """A constant number a class."""
    if len(values) != classes:
        raise ShapeError(f"cross_entropy: {len(values)} {name} for {classes} classes; give one a class")
    return _class_variable(name.replace(" ", "_"), tuple(float(value) for value in values))


@locked_cache()
def _class_variable(name: str, values: tuple[float, ...]) -> Tensor:
    """One and the same for all losses of a step: the last and the auxiliary classifiers'."""
    return variable(f"loss.{name}", (len(values),), init=("values", values))


def _same_shape(name: str, a: Tensor, b: Tensor) -> None:
    if a.type != b.type:
        raise ShapeError(f"{name}: predictions {a.type} and targets {b.type} must have the same shape")

"""Losses: scalars averaged over the batch, with PyTorch's definitions."""

from __future__ import annotations

from collections.abc import Sequence

from opsin import ops
from opsin.base.concurrency import locked_cache
from opsin.base.errors import ShapeError, UsageError
from opsin.base.renamed_arguments import renamed_arguments
from opsin.ir import INT, Tensor, variable
from opsin.ir.checked import checked


@renamed_arguments(smoothing="label_smoothing", spread="smoothing_distribution")
@checked
def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
    smoothing_distribution: Sequence[float] | None = None,
) -> Tensor:
    """Return -Σ t log softmax(logits), averaged over the batch; t is the one-hot encoding of the labels.

    `logits` are N × classes, `labels` N integers. `label_smoothing` moves that fraction of t from the label to all
    classes (Szegedy et al. 2016): to each the same, or by `smoothing_distribution`, one number per class, which sum to
    1. `class_weights`, one number per class, weight the mean over the batch by the class of each label.

    Raise `ShapeError` if the shapes do not match, `UsageError` unless `label_smoothing` is at least 0 and below 1.
    """
    if logits.rank != 2 or labels.dtype != INT or labels.shape != logits.shape[:1]:
        raise ShapeError(
            f"cross_entropy: expected logits N × classes and N labels, got {logits.type} and {labels.type}"
        )
    classes = logits.shape[1]
    if not isinstance(classes, int):
        raise ShapeError(f"cross_entropy: the number of classes must be known, but the logits are {logits.type}")
    return _cross_entropy(logits, ops.one_hot(labels, classes), label_smoothing, class_weights, smoothing_distribution)


@renamed_arguments(smoothing="label_smoothing", spread="smoothing_distribution")
@checked
def soft_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
    smoothing_distribution: Sequence[float] | None = None,
) -> Tensor:
    """Return the cross entropy for soft labels: `targets` are N × classes, and each row sums to 1.

    The other arguments are those of `cross_entropy`.
    """
    if logits.rank != 2 or logits.type != targets.type:
        raise ShapeError(
            f"soft_cross_entropy: expected logits N × classes and targets of the same shape, got {logits.type} and "
            f"{targets.type}"
        )
    return _cross_entropy(logits, targets, label_smoothing, class_weights, smoothing_distribution)


def _cross_entropy(
    logits: Tensor,
    target: Tensor,
    label_smoothing: float,
    class_weights: Sequence[float] | None,
    smoothing_distribution: Sequence[float] | None,
) -> Tensor:
    batch, classes = logits.shape
    if not isinstance(classes, int) or not 0 <= label_smoothing < 1:
        raise UsageError(
            f"cross_entropy: label_smoothing is a fraction of at least 0 and below 1, not {label_smoothing}"
        )
    total = ops.constant(batch)
    weighted = target
    if label_smoothing:
        weighted = ops.add(
            ops.multiply(target, 1 - label_smoothing), _smooth_target(label_smoothing, smoothing_distribution, classes)
        )
    if class_weights is not None:
        weights = _per_class("class weights", class_weights, classes)
        total = ops.sum(ops.multiply(target, weights))
        weighted = ops.multiply(weighted, weights)
    return ops.divide(ops.sum(ops.multiply(ops.log_softmax(logits), weighted)), ops.negate(total))


def _smooth_target(label_smoothing: float, distribution: Sequence[float] | None, classes: int) -> Tensor | float:
    """Return what label smoothing adds to the target of every class."""
    if distribution is None:
        return label_smoothing / classes
    return _per_class("smoothing shares", [label_smoothing * share for share in distribution], classes)


@checked
def adjusted(logits: Tensor, offsets: Sequence[float]) -> Tensor:
    """Add one number per class to the logits N × classes: the logarithm of its frequency (Menon et al. 2021)."""
    if logits.rank != 2 or logits.shape[1] != len(offsets):
        raise ShapeError(f"adjusted: {len(offsets)} offsets for logits {logits.type}; give one for each class")
    return ops.add(logits, _class_variable("logit_adjustment", tuple(float(value) for value in offsets)))


@checked
def binary_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean of -t log σ(x) - (1 - t) log(1 - σ(x)) over all elements, for targets t from 0 to 1.

    Raise `ShapeError` unless both tensors have the same shape.
    """
    _same_shape("binary_cross_entropy", logits, targets)
    # log(1 + eˣ) = m + log(e⁻ᵐ + eˣ⁻ᵐ) for any m. With a constant m = max(x, 0) nothing overflows, and the derivative
    # is that of log(1 + eˣ), also at 0.
    shift = ops.stop_gradient(ops.relu(logits))
    log_sum = ops.log(ops.add(ops.exp(ops.negate(shift)), ops.exp(ops.subtract(logits, shift))))
    return ops.mean(ops.add(ops.subtract(shift, ops.multiply(logits, targets)), log_sum))


@checked
def mean_squared_error(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return the mean of (p - t)² over all elements. Raise `ShapeError` unless both tensors have the same shape."""
    _same_shape("mean_squared_error", predictions, targets)
    return ops.mean(ops.square(ops.subtract(predictions, targets)))


@checked
def smooth_l1(predictions: Tensor, targets: Tensor, beta: float = 1.0) -> Tensor:
    """Return the mean over all elements of d²/2β if d = |p - t| is at most β, else of d - β/2 (Girshick 2015).

    Raise `ShapeError` unless both tensors have the same shape, `UsageError` unless `beta` is above 0.
    """
    _same_shape("smooth_l1", predictions, targets)
    if beta <= 0:
        raise UsageError(f"smooth_l1: beta, where the square meets the line, is above 0, not {beta}")
    distance = ops.absolute(ops.subtract(predictions, targets))
    quadratic = ops.minimum(distance, beta)
    area = ops.multiply(quadratic, ops.subtract(distance, ops.multiply(quadratic, 0.5)))
    return ops.mean(area if beta == 1 else ops.multiply(area, 1 / beta))


def _per_class(name: str, values: Sequence[float], classes: int) -> Tensor:
    """Return a constant tensor with one number per class."""
    if len(values) != classes:
        raise ShapeError(f"cross_entropy: {len(values)} {name} for {classes} classes; give one per class")
    return _class_variable(name.replace(" ", "_"), tuple(float(value) for value in values))


@locked_cache()
def _class_variable(name: str, values: tuple[float, ...]) -> Tensor:
    """Return the same variable for all losses of a step: those of the last and of the auxiliary classifiers."""
    return variable(f"loss.{name}", (len(values),), init=("values", values))


def _same_shape(name: str, a: Tensor, b: Tensor) -> None:
    if a.type != b.type:
        raise ShapeError(f"{name}: predictions {a.type} and targets {b.type} must have the same shape")

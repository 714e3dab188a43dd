"""Losses of semantic segmentation: logits N × C × H × W against class ids N × H × W, whole numbers.

Pixels whose id is not one of 0 … C - 1, such as 255 (ignore), do not count. If no pixel counts, the loss is 0 and so is
its gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

from opsin import ops
from opsin.base.concurrency import locked_cache
from opsin.base.errors import ShapeError, UsageError
from opsin.ir import INT, Tensor, variable
from opsin.ir.checked import checked

TINY = 1e-12
"""The least denominator of a mean over weighted pixels, in case that none counts."""

DICE_SMOOTHING = 1.0
"""Added to both sides of the Dice quotient, in pixels, so that a class that is absent and not predicted costs 0."""


@checked
def cross_entropy(
    logits: Tensor, labels: Tensor, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Return the mean of -log softmax(logits) at the labels, over all pixels of the batch that count.

    With `class_weights`, one number per class, the mean is weighted by the class of each pixel. `label_smoothing` moves
    that fraction of each label to all classes (Szegedy et al. 2016). These are the definitions of PyTorch's
    `cross_entropy` with `ignore_index`.

    Raise `ShapeError` if the shapes do not match, `UsageError` unless `label_smoothing` is at least 0 and below 1.
    """
    if not 0 <= label_smoothing < 1:
        raise UsageError(f"cross_entropy: label_smoothing is at least 0 and below 1, not {label_smoothing}")
    target = _target("cross_entropy", logits, labels)
    smooth = _smooth(target, label_smoothing) if label_smoothing else target
    if class_weights is not None:
        weights = _class_vector("class_weights", _checked_weights(class_weights, logits))
        target, smooth = ops.multiply(target, weights), ops.multiply(smooth, weights)
    total = ops.maximum(ops.sum(target), TINY)
    return ops.divide(ops.sum(ops.multiply(ops.log_softmax(logits, 1), smooth)), ops.negate(total))


@checked
def dice_loss(logits: Tensor, labels: Tensor, smoothing: float = DICE_SMOOTHING) -> Tensor:
    """Return 1 - the soft Dice coefficient (2 Σ p t + s) / (Σ p² + Σ t² + s), averaged over classes and images.

    The sums are over the pixels that count, p is the softmax of the logits, t the one-hot target, s the `smoothing`
    (Milletari et al. 2016, there without s and for a single class).

    Raise `ShapeError` if the shapes do not match, `UsageError` unless `smoothing` is above 0.
    """
    if smoothing <= 0:
        raise UsageError(f"dice_loss: smoothing, a number of pixels, is above 0, not {smoothing}")
    target = _target("dice_loss", logits, labels)
    counted = ops.sum(target, 1, keepdims=True)
    share = ops.multiply(ops.softmax(logits, 1), counted)
    common = ops.sum(ops.multiply(share, target), (2, 3))
    size = ops.add(ops.sum(ops.square(share), (2, 3)), ops.sum(target, (2, 3)))
    dice = ops.divide(ops.add(ops.multiply(common, 2.0), smoothing), ops.add(size, smoothing))
    return ops.subtract(1.0, ops.mean(dice))


@checked
def cross_entropy_dice(
    logits: Tensor,
    labels: Tensor,
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    dice_weight: float = 1.0,
    smoothing: float = DICE_SMOOTHING,
) -> Tensor:
    """Return `cross_entropy` + `dice_weight` · `dice_loss`, the sum that nnU-Net (Isensee et al. 2021) trains with."""
    entropy = cross_entropy(logits, labels, class_weights, label_smoothing)
    return ops.add(entropy, ops.multiply(dice_loss(logits, labels, smoothing), dice_weight))


def _target(name: str, logits: Tensor, labels: Tensor) -> Tensor:
    """Return the one-hot target, N × C × H × W; all 0 at pixels that do not count."""
    matches = logits.rank == 4 and labels.dtype == INT and labels.shape == (logits.shape[0], *logits.shape[2:])
    if not matches:
        raise ShapeError(
            f"{name}: expected logits N × C × H × W and labels N × H × W, got {logits.type}, {labels.type}"
        )
    n, classes, height, width = logits.shape
    if not isinstance(classes, int):
        raise ShapeError(f"{name}: the number of classes must be known, but the logits are {logits.type}")
    ids = _class_vector("class_ids", tuple(map(float, range(classes))))
    return ops.equal(ops.cast(ops.reshape(labels, (n, 1, height, width))), ids)


def _smooth(target: Tensor, share: float) -> Tensor:
    """Return a one-hot target with a share of it spread over all classes, still 0 at pixels that do not count."""
    counted = ops.sum(target, 1, keepdims=True)
    return ops.add(ops.multiply(target, 1 - share), ops.multiply(counted, share / int(str(target.shape[1]))))


def _checked_weights(weights: Sequence[float], logits: Tensor) -> tuple[float, ...]:
    if len(weights) != logits.shape[1]:
        raise ShapeError(
            f"cross_entropy: {len(weights)} class weights for {logits.shape[1]} classes; give one for each class"
        )
    return tuple(float(weight) for weight in weights)


@locked_cache()
def _class_vector(name: str, values: tuple[float, ...]) -> Tensor:
    """Return a constant C × 1 × 1; the same for all losses of a step."""
    vector = variable(f"segmentation.{name}", (len(values),), init=("values", values))
    return ops.reshape(vector, (len(values), 1, 1))

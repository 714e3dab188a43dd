"""Losses of detectors, position by position, and the choice of the positions that count."""

from __future__ import annotations

from opsin import ops
from opsin.ir import Tensor

BISECTIONS = 48
"""Halvings of the interval that holds a threshold: beyond the precision of single precision."""


def quality_focal_loss(logits: Tensor, quality: Tensor) -> Tensor:
    """Return |q - σ(x)|² · the binary cross entropy of x and q, element by element, for qualities q from 0 to 1.

    Li et al., "Generalized focal loss", NeurIPS 2020. For q of 0 or 1, it is the focal loss with γ = 2 (Lin et al.
    2017): positions that are already right count little, however many they are.
    """
    # log(1 + eˣ) = m + log(e⁻ᵐ + eˣ⁻ᵐ) for any m. With a constant m = max(x, 0) nothing overflows, and the derivative
    # is that of log(1 + eˣ), also at 0.
    shift = ops.stop_gradient(ops.relu(logits))
    log_sum = ops.log(ops.add(ops.exp(ops.negate(shift)), ops.exp(ops.subtract(logits, shift))))
    entropy = ops.add(ops.subtract(shift, ops.multiply(logits, quality)), log_sum)
    return ops.multiply(ops.square(ops.subtract(quality, ops.sigmoid(logits))), entropy)


def distance_iou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return the IoU and the generalized IoU of boxes, given as distances … × 4 from the same point to their edges.

    The generalized IoU subtracts the share of the smallest box around both that belongs to neither, so that boxes that
    do not overlap have a gradient, too: Rezatofighi et al., "Generalized intersection over union", CVPR 2019.
    """
    shared, around = _area(ops.minimum(a, b)), _area(ops.maximum(a, b))
    union = ops.subtract(ops.add(_area(a), _area(b)), shared)
    iou = ops.divide(shared, ops.maximum(union, 1e-12))
    return iou, ops.subtract(iou, ops.divide(ops.subtract(around, union), ops.maximum(around, 1e-12)))


def _area(distances: Tensor) -> Tensor:
    left, upper, right, lower = (
        ops.squeeze(ops.narrow(distances, -1, edge, 1), distances.rank - 1) for edge in range(4)
    )
    return ops.multiply(ops.add(left, right), ops.add(upper, lower))


def largest(values: Tensor, eligible: Tensor, counts: Tensor) -> Tensor:
    """Return weights N × M whose sum with `values` N × M, ≥ 0, is that of the `counts` (N × 1) largest in each row.

    Only values that are `eligible` (1.0, not 0.0) count; if there are too few of them, all do. The threshold is found
    by bisection. Values that are equal to it share the remaining weight.
    """
    values = ops.stop_gradient(ops.where(eligible, values, -1.0))
    counts = ops.minimum(counts, ops.sum(eligible, 1, keepdims=True))
    low, high = ops.multiply(counts, 0.0), ops.max(values, 1, keepdims=True)
    low = ops.subtract(low, 0.5)
    for _ in range(BISECTIONS):
        middle = ops.multiply(ops.add(low, high), 0.5)
        enough = ops.greater(ops.add(ops.sum(ops.greater(values, middle), 1, keepdims=True), 0.5), counts)
        low, high = ops.where(enough, middle, low), ops.where(enough, high, middle)
    above, at_least = ops.greater(values, high), ops.greater(values, low)
    tied = ops.subtract(at_least, above)
    rest = ops.subtract(counts, ops.sum(above, 1, keepdims=True))
    share = ops.divide(rest, ops.maximum(ops.sum(tied, 1, keepdims=True), 1.0))
    return ops.stop_gradient(ops.add(above, ops.multiply(tied, share)))

"""Losses of embeddings that are compared by their angles or distances: what shows the same lies close together.

`embeddings` are N × dimensions, of any length unless stated, and `labels` are N whole numbers: which of several
identities each image shows. All losses are scalars.
"""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from opsin import ops
from opsin.base.errors import ShapeError, UsageError
from opsin.ir import INT, Tensor
from opsin.ir.checked import checked
from opsin.nn.losses import cross_entropy

MIN_SQUARED_LENGTH = 1e-12
"""Shorter vectors are not stretched to length 1: that of a vector of zeros stays 0, and no gradient is infinite."""

MIN_SQUARE = 1e-12
"""Under a square root, so that its derivative is finite."""

EXCLUDED = -1e9
"""The logit of what is left out of a softmax."""


@checked
def unit_vectors(x: Tensor) -> Tensor:
    """Return the rows of x, N × dimensions, divided by their lengths. A row of zeros stays one."""
    squares = ops.sum(ops.square(x), 1, keepdims=True)
    return ops.multiply(x, ops.rsqrt(ops.maximum(squares, MIN_SQUARED_LENGTH)))


@checked
def cosface(
    embeddings: Tensor, labels: Tensor, prototypes: Tensor, scale: float = 30.0, margin: float = 0.35
) -> Tensor:
    """Return the cross-entropy of `scale` · (cos θ - `margin` for the true identity).

    θ are the angles between embeddings and `prototypes`, identities × dimensions, which are learned as well (Wang et
    al., "CosFace: large margin cosine loss for deep face recognition", 2018). Raise `ShapeError` if the shapes do not
    match, `UsageError` unless scale and margin are at least 0.
    """
    cosines = _cosines("cosface", embeddings, labels, prototypes, scale, margin)
    return _margin_softmax(cosines, labels, ops.subtract(cosines, margin), scale)


@checked
def arcface(embeddings: Tensor, labels: Tensor, prototypes: Tensor, scale: float = 30.0, margin: float = 0.5) -> Tensor:
    """Return the cross-entropy of `scale` · cos(θ + `margin` for the true identity).

    θ are the angles between embeddings and `prototypes`, identities × dimensions, which are learned as well (Deng et
    al., "ArcFace: additive angular margin loss for deep face recognition", 2019). The margin is in radians, up to π.
    Where θ + margin exceeds π, where the cosine would rise again, it is cos θ - margin · sin(margin), which falls on.
    Errors are those of `cosface`.
    """
    cosines = _cosines("arcface", embeddings, labels, prototypes, scale, margin)
    if margin > pi:
        raise UsageError(f"arcface: the margin is an angle in radians, 0 to π, not {margin}; the paper takes 0.5")
    sines = ops.sqrt(ops.maximum(ops.subtract(1.0, ops.square(cosines)), MIN_SQUARE))
    turned = ops.subtract(ops.multiply(cosines, cos(margin)), ops.multiply(sines, sin(margin)))
    is_within = ops.greater(cosines, -cos(margin))
    return _margin_softmax(
        cosines, labels, ops.where(is_within, turned, ops.subtract(cosines, margin * sin(margin))), scale
    )


@checked
def triplet(embeddings: Tensor, labels: Tensor, margin: float = 0.2) -> Tensor:
    """Return the mean of max(0, d(a, p) - d(a, n) + `margin`) with the hardest p and n of each image a in the batch.

    d is the Euclidean distance, p the most distant image of the same identity and n the nearest of another ("batch
    hard": Hermans, Beyer & Leibe, "In defense of the triplet loss for person re-identification", 2017). Images without
    a p or an n are left out; if all are, the loss is 0. Raise `ShapeError` if the shapes do not match.
    """
    _check_labels("triplet", embeddings, labels)
    same = _equal_pairs(labels)
    squares = ops.sum(ops.square(embeddings), 1, keepdims=True)
    products = ops.matmul(embeddings, ops.transpose(embeddings, (1, 0)))
    squared = ops.subtract(ops.add(squares, ops.transpose(squares, (1, 0))), ops.multiply(products, 2.0))
    distances = ops.sqrt(ops.maximum(squared, MIN_SQUARE))
    positive = ops.max(ops.multiply(distances, same), 1)
    negative = ops.negate(ops.max(ops.where(same, EXCLUDED, ops.negate(distances)), 1))
    count = ops.sum(same, 1)
    is_valid = ops.multiply(ops.greater(count, 1.0), ops.greater(ops.constant(embeddings.shape[0]), count))
    violations = ops.relu(ops.add(ops.subtract(positive, negative), margin))
    return _mean_where(is_valid, violations)


@checked
def supervised_contrastive(embeddings: Tensor, labels: Tensor, instances: Tensor, temperature: float = 0.1) -> Tensor:
    """Return the mean over images of the mean of -log softmax over the other images of the same identity.

    The softmax is over the cosines with all other images of the batch, divided by `temperature` (Khosla et al.,
    "Supervised contrastive learning", 2020, the loss with the sum outside the logarithm). `instances` are N whole
    numbers, a different one for each image. Images that are alone with their identity are left out; if all are, the
    loss is 0. Raise `ShapeError` if the shapes do not match, `UsageError` unless the temperature is above 0.
    """
    _check_labels("supervised_contrastive", embeddings, labels)
    _check_labels("supervised_contrastive", embeddings, instances)
    itself = _equal_pairs(instances)
    positives = ops.subtract(_equal_pairs(labels), itself)
    similarities = _similarities("supervised_contrastive", embeddings, embeddings, temperature)
    shares = ops.log_softmax(ops.where(itself, EXCLUDED, similarities))
    count = ops.sum(positives, 1)
    sums = ops.sum(ops.where(positives, shares, 0.0), 1)
    return ops.negate(_mean_where(ops.greater(count, 0.0), ops.divide(sums, ops.maximum(count, 1.0))))


@checked
def nt_xent(first: Tensor, second: Tensor, instances: Tensor, temperature: float = 0.5) -> Tensor:
    """Return the normalized temperature-scaled cross-entropy of two views of each image, N × dimensions both.

    Each view has to find the other view of its image among the other 2N - 1 views, by cosines divided by `temperature`
    (Chen et al., "A simple framework for contrastive learning of visual representations", 2020). `instances` are N
    whole numbers, a different one for each image. Raise `ShapeError` if the shapes do not match, `UsageError` unless
    the temperature is above 0.
    """
    _check_views("nt_xent", first, second)
    _check_labels("nt_xent", first, instances)
    itself = _equal_pairs(instances)
    across = _similarities("nt_xent", first, second, temperature)

    def side(views: Tensor, others: Tensor) -> Tensor:
        within = ops.where(itself, EXCLUDED, _similarities("nt_xent", views, views, temperature))
        shares = ops.log_softmax(ops.concat([others, within], 1))
        return ops.sum(ops.multiply(ops.narrow(shares, 1, 0, others.shape[1]), itself))

    total = ops.add(side(first, across), side(second, ops.transpose(across, (1, 0))))
    return ops.divide(total, ops.multiply(ops.constant(first.shape[0]), -2.0))


@checked
def vicreg(
    first: Tensor,
    second: Tensor,
    invariance: float = 25.0,
    spread: float = 25.0,
    decorrelation: float = 1.0,
) -> Tensor:
    """Return the loss of variance, invariance and covariance of two views of each image, N × dimensions both.

    It is `invariance` times the mean squared difference of the views, plus for both views `spread` times the mean of
    max(0, 1 - standard deviation) over the dimensions, plus `decorrelation` times the sum of the squared covariances
    of different dimensions divided by their number (Bardes, Ponce & LeCun, "VICReg", 2022). Variances are divided by
    N - 1, and 0.0001 is added to them under the root. Raise `ShapeError` if the shapes do not match.
    """
    _check_views("vicreg", first, second)
    total = ops.multiply(ops.mean(ops.square(ops.subtract(first, second))), invariance)
    for views in (first, second):
        deviations, covariances = _spread_and_covariance(views)
        total = ops.add(total, ops.add(ops.multiply(deviations, spread), ops.multiply(covariances, decorrelation)))
    return total


@checked
def barlow_twins(first: Tensor, second: Tensor, redundancy: float = 5e-3) -> Tensor:
    """Return the distance of the correlations between two views of N images, N × dimensions both, from the identity.

    It is the sum of (1 - c)² over the correlations c of a dimension with itself in the other view, plus `redundancy`
    times the sum of c² over those with other dimensions (Zbontar, Jing, Misra, LeCun & Deny, "Barlow Twins:
    self-supervised learning via redundancy reduction", 2021). Variances are divided by N, and 0.00001 is added to them
    under the root. Raise `ShapeError` if the shapes do not match, `UsageError` unless `redundancy` is at least 0.
    """
    _check_views("barlow_twins", first, second)
    if redundancy < 0:
        raise UsageError(f"barlow_twins: the weight of redundancy is at least 0, not {redundancy}")
    one, other = map(_standardized, (first, second))
    products = ops.matmul(ops.transpose(one, (1, 0)), other)
    correlations = ops.divide(products, ops.constant(first.shape[0]))
    itself = _equal_pairs(ops.constant(np.arange(_width("barlow_twins", first), dtype=np.int32), INT))
    weights = ops.add(ops.multiply(itself, 1 - redundancy), redundancy)
    return ops.sum(ops.multiply(ops.square(ops.subtract(correlations, itself)), weights))


def _standardized(views: Tensor) -> Tensor:
    """Return the columns of `views` with mean 0 and variance 1."""
    centred = ops.subtract(views, ops.mean(views, 0, keepdims=True))
    variance = ops.mean(ops.square(centred), 0, keepdims=True)
    return ops.multiply(centred, ops.rsqrt(ops.add(variance, STANDARD_VARIANCE)))


MIN_VARIANCE, STANDARD_VARIANCE = 1e-4, 1e-5
"""Added to variances under a root, in VICReg and in Barlow Twins."""


def _spread_and_covariance(views: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means over dimensions of max(0, 1 - deviation), and of the squared covariances with the others."""
    batch, width = views.shape[0], _width("vicreg", views)
    centred = ops.subtract(views, ops.mean(views, 0, keepdims=True))
    degrees = ops.maximum(ops.subtract(ops.constant(batch), 1.0), 1.0)
    deviation = ops.sqrt(ops.add(ops.divide(ops.sum(ops.square(centred), 0), degrees), MIN_VARIANCE))
    covariance = ops.divide(ops.matmul(ops.transpose(centred, (1, 0)), centred), degrees)
    places = ops.constant(np.arange(width, dtype=np.int32), INT)
    others = ops.multiply(covariance, ops.subtract(1.0, _equal_pairs(places)))
    hinge = ops.mean(ops.relu(ops.subtract(1.0, deviation)))
    return hinge, ops.multiply(ops.sum(ops.square(others)), 1 / width)


def _cosines(name: str, embeddings: Tensor, labels: Tensor, prototypes: Tensor, scale: float, margin: float) -> Tensor:
    _check_labels(name, embeddings, labels)
    if prototypes.rank != 2 or prototypes.shape[1] != embeddings.shape[1]:
        raise ShapeError(f"{name}: expected prototypes identities × {embeddings.shape[1]}, got {prototypes.type}")
    if scale < 0 or margin < 0:
        raise UsageError(f"{name}: scale and margin are at least 0, not {scale} and {margin}")
    return ops.matmul(unit_vectors(embeddings), ops.transpose(unit_vectors(prototypes), (1, 0)))


def _margin_softmax(cosines: Tensor, labels: Tensor, with_margin: Tensor, scale: float) -> Tensor:
    is_true = ops.one_hot(labels, _width("margin softmax", cosines))
    return cross_entropy(ops.multiply(ops.where(is_true, with_margin, cosines), scale), labels)


def _similarities(name: str, a: Tensor, b: Tensor, temperature: float) -> Tensor:
    if temperature <= 0:
        raise UsageError(f"{name}: the temperature is above 0, not {temperature}")
    return ops.multiply(ops.matmul(unit_vectors(a), ops.transpose(unit_vectors(b), (1, 0))), 1 / temperature)


def _equal_pairs(numbers: Tensor) -> Tensor:
    """Return N × N: 1 where two of the N whole numbers are equal."""
    (count,) = numbers.shape
    return ops.equal(ops.reshape(numbers, (count, 1)), ops.reshape(numbers, (1, count)))


def _width(name: str, rows: Tensor) -> int:
    """Return the number of columns. Raise `ShapeError` unless it is known."""
    width = rows.shape[1]
    if not isinstance(width, int):
        raise ShapeError(f"{name}: the number of columns must be known, but the tensor is {rows.type}")
    return width


def _mean_where(is_valid: Tensor, values: Tensor) -> Tensor:
    """Return the mean of the N `values` that are valid; 0 if none is."""
    return ops.divide(ops.sum(ops.where(is_valid, values, 0.0)), ops.maximum(ops.sum(is_valid), 1.0))


def _check_labels(name: str, embeddings: Tensor, labels: Tensor) -> None:
    if embeddings.rank != 2 or labels.dtype != INT or labels.shape != embeddings.shape[:1]:
        raise ShapeError(
            f"{name}: expected embeddings N × dimensions and N whole numbers, got {embeddings.type} and {labels.type}"
        )


def _check_views(name: str, first: Tensor, second: Tensor) -> None:
    if first.rank != 2 or first.type != second.type:
        raise ShapeError(f"{name}: expected two views N × dimensions, got {first.type} and {second.type}")

"""Classes with a few images each: a linear layer on unit vectors of features, computed in closed form.

Two kinds are known. A *prototype* is the mean of the vectors of a class, and an image gets the class of the nearest one
(Snell, Swersky & Zemel, "Prototypical networks for few-shot learning", 2017): the squared distance to the mean m is,
up to a term that all classes share, -2 (x · m - m · m / 2), which is linear. *Ridge regression* fits the classes as
numbers, 1 for the right one, with a penalty of the weights. Both have a score for an image that is left out without
being fitted again: a mean loses one term, and the residual of ridge regression is divided by 1 - h, the leverage of the
image (Allen 1974).

The method with the fewest errors on images that are left out is chosen. As that choice depends on the images, it is
made again for each image that is measured, without it (nested cross-validation, Stone 1974).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.data.ingest.split import FEW_IMAGES
from opsin.tasks.classification.calibration import lower_bound

PROTOTYPES = "prototypes"

SCALE = 20.0
"""The factor of scores in logits: cosines of photos differ by a tenth or so. Calibration corrects it if it can."""

PENALTIES = {"ridge regression, penalty 1": 1.0, "ridge regression, penalty 0.1": 0.1}

MAX_NESTED_IMAGES = 200
"""With more images, the choice of the method hardly depends on one of them, and is made once."""

Z_95 = 1.959964
"""The 97.5% quantile of the standard normal distribution, for two-sided 95% intervals."""

Floats = NDArray[np.float64]
Numbers = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class LeftOut:
    """The logits of those `images` (their numbers) that can be left out, each by a fit without it, and their labels.

    An image that is the only one of its class cannot be left out.
    """

    images: Numbers
    logits: Floats
    labels: Numbers

    def __len__(self) -> int:
        return len(self.images)

    @property
    def correct(self) -> int:
        """The number of images that got the right class."""
        return int((self.logits.argmax(axis=1) == self.labels).sum())

    @property
    def reduced(self) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Logits and labels as `Classification.evaluate` takes them."""
        return self.logits.astype(np.float32), self.labels.astype(np.int32)

    @property
    def interval(self) -> tuple[float, float]:
        """The bounds of the share of right answers, with 95% confidence (Wilson 1927)."""
        return share_interval(self.correct, len(self))


def share_interval(count: int, total: int) -> tuple[float, float]:
    """Return the bounds of a share with 95% confidence (Wilson 1927)."""
    counts = np.array([total], np.float64)
    low, missing = (float(lower_bound(np.array([k], np.float64), counts, Z_95)[0]) for k in (count, total - count))
    return max(0.0, low), min(1.0, 1 - missing)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A linear layer: logits = x · `weights`ᵀ + `bias`. `method` names how it was computed."""

    method: str
    weights: Floats
    bias: Floats
    left_out: LeftOut

    def to_data(self) -> dict[str, Any]:
        """Return for JSON how the layer was computed, and the share of images left out that got the right class."""
        data: dict[str, Any] = {"method": self.method}
        if not len(self.left_out):
            return data
        low, high = self.left_out.interval
        counts = {"images": len(self.left_out), "correct": self.left_out.correct}
        return data | {"left_out": {**counts, "low": round(low, 4), "high": round(high, 4)}}


def is_few(counts: Any) -> bool:
    """Return whether each class has so few images, given their numbers, that this is the way to classify them."""
    return 0 < max(counts, default=0) <= FEW_IMAGES


def fit(vectors: NDArray[Any], labels: NDArray[Any], classes: int) -> Fitted:
    """Return the linear layer for unit vectors (N × F) with these labels (N), and how well images left out are told."""
    x, numbers = np.asarray(vectors, np.float64), np.asarray(labels, np.intp)
    products = x @ x.T
    method = choose(products, numbers, classes)
    weights, bias = _layer(method, x, numbers, classes)
    return Fitted(method, SCALE * weights, SCALE * bias, left_out(products, numbers, classes))


def left_out(products: Floats, labels: Numbers, classes: int) -> LeftOut:
    """Return the logits of images that are left out in turn, of which the `products` of all pairs are given (N × N)."""
    images = _repeated(labels, classes)
    if len(labels) > MAX_NESTED_IMAGES:
        scores = scores_left_out(choose(products, labels, classes), products, labels, classes)[images]
        return LeftOut(images, SCALE * scores, labels[images])
    rows = [_nested(products, labels, classes, int(image)) for image in images]
    return LeftOut(images, SCALE * np.array(rows).reshape(len(images), classes), labels[images])


def choose(products: Floats, labels: Numbers, classes: int) -> str:
    """Return the method with the fewest errors on images left out; the first of those that are as good."""
    images = _repeated(labels, classes)
    errors = {}
    for method in (PROTOTYPES, *PENALTIES):
        scores = scores_left_out(method, products, labels, classes)[images]
        errors[method] = int((scores.argmax(axis=1) != labels[images]).sum()) if len(images) else 0
    return min(errors, key=lambda method: errors[method])


def scores_left_out(method: str, products: Floats, labels: Numbers, classes: int) -> Floats:
    """Return the score of each class (N × classes) for every image, by a fit of the other images."""
    members = np.eye(classes)[labels]
    if method == PROTOTYPES:
        return _prototype_scores(products, members)
    kernel = products + 1.0  # a bias
    hat = kernel @ np.linalg.inv(kernel + PENALTIES[method] * np.eye(len(labels)))
    leverage = np.diag(hat)[:, None]
    return np.asarray((hat @ members - leverage * members) / (1 - leverage))


def _prototype_scores(products: Floats, members: Floats) -> Floats:
    """Return x · m - m · m / 2 for the mean m of each class without the image x; -inf for a class without others."""
    totals, counts = products @ members, members.sum(axis=0)
    squares = (members * totals).sum(axis=0)  # of the sum of each class
    own = np.diag(products)[:, None] * members
    left = counts - members
    scores = np.full(totals.shape, -np.inf)
    others = totals - own
    sizes = squares - members * (2 * totals - own)
    np.divide(others, left, out=scores, where=left > 0)
    np.subtract(scores, sizes / np.maximum(left, 1) ** 2 / 2, out=scores, where=left > 0)
    return scores


def _nested(products: Floats, labels: Numbers, classes: int, image: int) -> Floats:
    """Return the scores of an image by the method that the others choose."""
    others = np.delete(np.arange(len(labels)), image)
    method = choose(products[np.ix_(others, others)], labels[others], classes)
    row: Floats = scores_left_out(method, products, labels, classes)[image]
    return row


def _repeated(labels: Numbers, classes: int) -> Numbers:
    """Return the numbers of the images that are not the only ones of their class."""
    return np.flatnonzero(np.bincount(labels, minlength=classes)[labels] > 1)


def _layer(method: str, x: Floats, labels: Numbers, classes: int) -> tuple[Floats, Floats]:
    """Return weights (classes × F) and bias (classes) of a method."""
    members = np.eye(classes)[labels]
    if method == PROTOTYPES:
        means = (members / members.sum(axis=0)).T @ x
        return means, -(means**2).sum(axis=1) / 2
    kernel = x @ x.T + 1.0
    duals = np.linalg.solve(kernel + PENALTIES[method] * np.eye(len(labels)), members)
    return duals.T @ x, duals.sum(axis=0)

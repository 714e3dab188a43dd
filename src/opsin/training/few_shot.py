"""Classes with a few images each: a linear layer on unit vectors of features, computed in closed form.

There are two methods. A *prototype* is the mean of the vectors of a class, and an image gets the class of the nearest
one (Snell, Swersky & Zemel, "Prototypical networks for few-shot learning", 2017): the squared distance to the mean m
is, up to a term that all classes share, -2 (x · m - m · m / 2), which is linear. *Ridge regression* fits the classes as
numbers, 1 for the right one, with a penalty of the weights (Hoerl & Kennard 1970).

Images are measured by leaving them out: in each round one image of every class, so that no class has fewer images than
the others by that (stratified cross-validation, Stone 1974). If only one image were left out, its class would have one
image fewer than all others, and lose for that reason alone. The method with the fewest errors is chosen. As that choice
depends on the images, it is made again in each round, without those that are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.intervals import share_interval

RIDGE, PROTOTYPES = "ridge regression", "prototypes"
METHODS = (RIDGE, PROTOTYPES)
"""Of equally good methods the first one is taken, which is better with a single image of each class."""

SCALE = 20.0
"""The factor of scores in logits: cosines of photos differ by a tenth or so. Calibration corrects it if it can."""

PENALTY = 1.0
"""The factor of the squared weights, and of the squared bias, in ridge regression on vectors of length 1."""

Floats = NDArray[np.float64]
Numbers = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class LeftOut:
    """The logits of those `images` (their numbers) that can be left out, each by a fit of others, and their labels.

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


def fit(vectors: NDArray[Any], labels: NDArray[Any], classes: int) -> Fitted:
    """Return the linear layer for unit vectors (N × F) with these labels (N), and how well images left out are told."""
    x, numbers = np.asarray(vectors, np.float64), np.asarray(labels, np.intp)
    method = choose(x, numbers, classes)
    return Fitted(method, *layer(method, x, numbers, classes), left_out(x, numbers, classes))


def left_out(x: Floats, labels: Numbers, classes: int) -> LeftOut:
    """Return the logits of images, each by a fit of others that has also chosen its method."""

    def logits(train: Numbers, test: Numbers) -> Floats:
        method = choose(x[train], labels[train], classes)
        weights, bias = layer(method, x[train], labels[train], classes)
        return x[test] @ weights.T + bias

    rounds = list(_rounds(labels, classes))
    images = np.concatenate([np.empty(0, np.intp), *(test for _, test in rounds)])
    rows = np.concatenate([np.empty((0, classes)), *(logits(*parts) for parts in rounds)])
    order = np.argsort(images)
    return LeftOut(images[order], rows[order], labels[images[order]])


def choose(x: Floats, labels: Numbers, classes: int) -> str:
    """Return the method with the fewest errors on images left out; the first of those that are as good."""
    errors = dict.fromkeys(METHODS, 0)
    for train, test in _rounds(labels, classes):
        for method in errors:
            weights, bias = layer(method, x[train], labels[train], classes)
            errors[method] += int(((x[test] @ weights.T + bias).argmax(axis=1) != labels[test]).sum())
    return min(errors, key=lambda method: errors[method])


def layer(method: str, x: Floats, labels: Numbers, classes: int) -> tuple[Floats, Floats]:
    """Return weights (classes × F) and bias (classes) of a method, for classes that have at least one image."""
    members = np.eye(classes)[labels]
    if method == PROTOTYPES:
        means = (members / members.sum(axis=0)).T @ x
        return SCALE * means, -SCALE * (means**2).sum(axis=1) / 2
    kernel = x @ x.T + 1.0  # a bias
    duals = np.linalg.solve(kernel + PENALTY * np.eye(len(labels)), members)
    return SCALE * duals.T @ x, SCALE * duals.sum(axis=0)


def _rounds(labels: Numbers, classes: int) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield the images to fit and those to leave out: in round r the image number r of each class that has others."""
    places = np.empty(len(labels), np.intp)
    counts = np.bincount(labels, minlength=classes)
    for label in range(classes):
        places[labels == label] = np.arange(counts[label])
    places[counts[labels] < 2] = -1
    for place in range(int(places.max(initial=-1)) + 1):
        yield np.flatnonzero(places != place), np.flatnonzero(places == place)

"""How good features are, measured without labels, and with the folders of images where these are classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Features = NDArray[np.float32]

NEIGHBOURS, TEMPERATURE = 20, 0.07
"""Of the k-NN classifier, with at most an eighth of the images as neighbours (Wu, Xiong, Yu & Lin, "Unsupervised
feature learning via non-parametric instance discrimination", 2018)."""

FOLDS = 5
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Of the linear probe, in variances of the features."""

MIN_SPREAD = 1e-4
"""The mean of 1 - cosine between images below which all have the same features. That of random weights is about
0.01."""

MIN_RANK = 1.5
"""The effective rank up to which features lie on a line."""


def unit(features: Features) -> Floats:
    """Return N × F vectors with length 1; zeros stay zeros."""
    vectors = features.astype(np.float64)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def own_ranks(first: Features, second: Features) -> NDArray[np.intp]:
    """Return, for the first view of each of N images, how many second views of others are nearer than its own.

    Those that are as near count half, so that equal features are no agreement.
    """
    similarities = unit(first) @ unit(second).T
    own = similarities.diagonal()[:, None]
    equal = (similarities == own).sum(axis=1) - 1
    return np.asarray((similarities > own).sum(axis=1) + (equal + 1) // 2)


def spectrum(features: Features) -> Floats:
    """Return the singular values of N × F features minus their mean, as shares of their sum; zeros if all are equal."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    squares = np.linalg.eigvalsh(centred.T @ centred if len(centred) >= centred.shape[1] else centred @ centred.T)
    values = np.sqrt(np.maximum(squares[::-1], 0))
    return np.asarray(values / total if (total := values.sum()) > 0 else values)


def effective_rank(features: Features) -> float:
    """Return the exponential of the entropy of the `spectrum` (Roy & Vetterli 2007): 1 to F, and 0 if all are equal."""
    shares = spectrum(features)
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0


def mean_distance(features: Features) -> float:
    """Return the mean of 1 - cosine over all pairs of N images, each also with itself."""
    return float(1 - (unit(features).mean(axis=0) ** 2).sum())


def collapse(features: Features) -> str:
    """Return in what way features of different images are useless, as a sentence; "" if they are not."""
    rank = effective_rank(features)
    if rank == 0 or mean_distance(features) < MIN_SPREAD:
        return "the features of all images are equal"
    if rank < MIN_RANK and features.shape[1] > 1:
        return f"the features of all images lie on a line (effective rank {rank:.1f} of {features.shape[1]})"
    return ""


def similarities_of_others(features: Features) -> Floats:
    """Return the cosines of N images, N × N, with -∞ for an image and itself."""
    vectors = unit(features)
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -np.inf)
    return similarities


def nearest_neighbours(features: Features) -> tuple[NDArray[np.intp], Floats]:
    """Return the most similar other image of each of N images, and the cosine."""
    similarities = similarities_of_others(features)
    places = similarities.argmax(axis=1)
    return places, np.asarray(similarities[np.arange(len(places)), places])


def knn_accuracy(features: Features, labels: NDArray[np.int32]) -> float:
    """Return the share of N images whose neighbours among the others give the right label, weighted by similarity."""
    similarities = similarities_of_others(features)
    count = max(1, min(NEIGHBOURS, len(labels) // 8))
    nearest = np.argpartition(-similarities, count - 1, axis=1)[:, :count]
    weights = np.exp((np.take_along_axis(similarities, nearest, 1) - 1) / TEMPERATURE)
    votes = np.zeros((len(labels), int(labels.max()) + 1))
    np.add.at(votes, (np.arange(len(labels))[:, None], labels[nearest]), weights)
    return float((votes.argmax(axis=1) == labels).mean())


def probe_accuracy(features: Features, labels: NDArray[np.int32]) -> float:
    """Return the share of N images that a linear classifier fitted to others gives the right label, in `FOLDS` folds.

    It is a ridge regression of the labels, with the penalty that does best on the images that it is fitted to, each
    left out in turn.
    """
    fold = np.empty(len(labels), np.intp)
    fold[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % FOLDS
    hits = 0
    for number in range(FOLDS):
        inside = fold != number
        scale = Scale.of(features[inside])
        weights = _ridge(scale(features[inside]), labels[inside], int(labels.max()) + 1)
        hits += int(((scale(features[~inside]) @ weights).argmax(axis=1) == labels[~inside]).sum())
    return hits / len(labels)


@dataclass(frozen=True, eq=False)
class Scale:
    """Features minus `mean`, divided by `deviation`, with a column of ones."""

    mean: Floats
    deviation: Floats

    @classmethod
    def of(cls, features: Features) -> Scale:
        """Return the scale by which the features have mean 0 and variance 1; constant ones become 0."""
        deviation = features.std(axis=0, dtype=np.float64)
        return cls(features.mean(axis=0, dtype=np.float64), np.where(deviation > 0, deviation, np.inf))

    def __call__(self, features: Features) -> Floats:
        return np.concatenate([(features - self.mean) / self.deviation, np.ones((len(features), 1))], axis=1)


def _ridge(inputs: Floats, labels: NDArray[np.int32], classes: int) -> Floats:
    """Return the weights F × classes of the best of the `PENALTIES`, by leave-one-out errors without refitting."""
    targets = np.eye(classes)[labels]
    values, vectors = np.linalg.eigh(inputs.T @ inputs)
    rotated = inputs @ vectors
    products = rotated.T @ targets
    best, best_hits = products, -1
    for penalty in PENALTIES:
        inverse = 1 / (np.maximum(values, 0) + penalty * len(inputs))
        weights = inverse[:, None] * products
        leverage = np.minimum((rotated**2) @ inverse, 1 - 1e-9)[:, None]
        left_out = targets - (targets - rotated @ weights) / (1 - leverage)
        if (hits := int((left_out.argmax(axis=1) == labels).sum())) > best_hits:
            best, best_hits = weights, hits
    return np.asarray(vectors @ best)

"""Which labels are probably wrong: confident learning (Northcutt, Jiang & Chuang, "Confident learning", JAIR 2021).

Every image is judged by a model that was not fitted on it: logistic regression on the features of a network, fitted
on four fifths of the images for the other fifth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.report.logistic import Floats, fit, folds, side_by_side

FOLDS = 5


@dataclass(frozen=True, eq=False)
class LabelIssue:
    """Images in the order in which to look at them, the most suspicious first.

    `order` are their numbers, sorted by the probability of the label that they have, `given`; `suggested` is the
    likeliest label and `probability` its probability; the last three in the order of the images. `doubtful` is the
    estimated number of wrong labels, which is how far down the list it is worth looking.
    """

    order: NDArray[np.intp]
    given: NDArray[np.float64]
    suggested: NDArray[np.intp]
    probability: NDArray[np.float64]
    doubtful: int


def held_out_probabilities(features: Floats, labels: NDArray[Any], classes: int, penalty: float) -> NDArray[np.float64]:
    """For N images (features N × F) the probability of each class, by heads that were not fitted on them."""
    fold = folds(labels, FOLDS)
    shares = np.empty((len(labels), classes))

    def judge(number: int) -> None:
        inside = fold != number
        head = fit(features[inside], labels[inside], classes, penalty)
        shares[~inside] = head.probabilities(features[~inside])

    side_by_side(judge, FOLDS)
    return shares


def suspicion(probabilities: NDArray[np.float64], labels: NDArray[Any]) -> LabelIssue:
    """From out-of-sample `probabilities` N × classes and the given `labels` N.

    A class is sure of an image when it is at least as probable as, on average, for the images with its label. The
    images whose likeliest sure class is not their label (outside the diagonal of the confident joint) are counted;
    ranked is by the label's own probability ("self-confidence").
    """
    numbers = np.arange(len(labels))
    given = probabilities[numbers, labels]
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    usual = np.bincount(labels, weights=given, minlength=classes) / np.maximum(counts, 1)
    sure = (probabilities >= usual) & (counts > 0)
    opinion = np.where(sure, probabilities, -1.0).argmax(axis=1)
    suggested = probabilities.argmax(axis=1)
    doubtful = sure.any(axis=1) & (opinion != labels) & (suggested != labels)
    order = np.argsort(given, kind="stable")
    return LabelIssue(order, given, suggested, probabilities[numbers, suggested], int(doubtful.sum()))

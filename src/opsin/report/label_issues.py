"""Suspected label errors by confident learning (Northcutt, Jiang & Chuang, "Confident learning", JAIR 2021).

Every image is judged by a model that was not fitted on it: a logistic regression on the features of a network, fitted
on the images of the other folds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.report.logistic import Floats, fit, folds, run_in_parallel

FOLDS = 5


@dataclass(frozen=True, eq=False)
class LabelRanking:
    """The labels of N images by suspicion: `order` lists image numbers, the most suspicious first.

    `self_confidence` is the probability of the label, which the order follows; `suggested` the most probable class,
    and `probability` its probability (all N, in the order of the images). `issue_count` is the estimated number of
    wrong labels.
    """

    order: NDArray[np.intp]
    self_confidence: NDArray[np.float64]
    suggested: NDArray[np.intp]
    probability: NDArray[np.float64]
    issue_count: int


def held_out_probabilities(features: Floats, labels: NDArray[Any], classes: int, penalty: float) -> NDArray[np.float64]:
    """Return out-of-sample probabilities (N × classes) by cross-validation on `features` (N × F)."""
    fold = folds(labels, FOLDS)
    probabilities = np.empty((len(labels), classes))

    def predict(number: int) -> None:
        training = fold != number
        head = fit(features[training], labels[training], classes, penalty)
        probabilities[~training] = head.probabilities(features[~training])

    run_in_parallel(predict, FOLDS)
    return probabilities


def rank_labels(probabilities: NDArray[np.float64], labels: NDArray[Any]) -> LabelRanking:
    """Rank labels (N) by out-of-sample probabilities (N × classes).

    A class is confident about an image if its probability is at least the mean over the images with its label. Images
    whose most probable confident class is not their label (off the diagonal of the confident joint) are counted as
    issues. The order follows the probability of the label itself ("self-confidence").
    """
    numbers = np.arange(len(labels))
    self_confidence = probabilities[numbers, labels]
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    thresholds = np.bincount(labels, weights=self_confidence, minlength=classes) / np.maximum(counts, 1)
    is_confident = (probabilities >= thresholds) & (counts > 0)
    confident_class = np.where(is_confident, probabilities, -1.0).argmax(axis=1)
    suggested = probabilities.argmax(axis=1)
    is_issue = is_confident.any(axis=1) & (confident_class != labels) & (suggested != labels)
    order = np.argsort(self_confidence, kind="stable")
    return LabelRanking(order, self_confidence, suggested, probabilities[numbers, suggested], int(is_issue.sum()))

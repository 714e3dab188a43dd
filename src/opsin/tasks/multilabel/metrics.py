"""Metrics of several labels for each image, with scikit-learn's definitions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Truth = NDArray[np.uint8]


def average_precision(truth: Truth, scores: Floats) -> float:
    """Return Σ (Rₙ - Rₙ₋₁) Pₙ over the thresholds of one label: N zeros and ones, N scores. NaN without a one.

    Images of the same score share a threshold, as in scikit-learn's `average_precision_score`.
    """
    positives = int(truth.sum())
    if not positives:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits, last = np.cumsum(truth[order], dtype=np.int64), np.append(np.diff(scores[order]) != 0, True)
    counts = np.arange(1, len(scores) + 1)[last]
    recall, precision = hits[last] / positives, hits[last] / counts
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def label_ranking_average_precision(truth: Truth, scores: Floats) -> float:
    """Return the mean over images of the precision at the rank of each true label (N × labels).

    Images with no label or all of them count as 1, as in scikit-learn's `label_ranking_average_precision_score`.
    """
    total = 0.0
    for true, row in zip(truth.astype(bool), scores, strict=True):
        if not true.any() or true.all():
            total += 1.0
            continue
        ranks = (row[None] >= row[true][:, None]).sum(axis=1)
        above = (row[true][None] >= row[true][:, None]).sum(axis=1)
        total += float((above / ranks).mean())
    return total / len(truth)


def f1_scores(truth: Truth, answers: NDArray[np.bool_]) -> tuple[float, float, Floats]:
    """Return the F1 score of all answers together (micro), the mean over labels (macro), and that of each label.

    A label that is neither true nor answered anywhere has the score 0.
    """
    hits = (truth.astype(bool) & answers).sum(axis=0)
    total = truth.sum(axis=0, dtype=np.int64) + answers.sum(axis=0)
    each: Floats = 2 * hits / np.maximum(total, 1)
    return float(2 * hits.sum() / max(1, total.sum())), float(each.mean()), each


def best_threshold(truth: Truth, scores: Floats) -> float:
    """Return the threshold of the highest F1 score for one label: the middle between two scores; 0.5 without a one."""
    if not truth.any():
        return 0.5
    order = np.argsort(-scores, kind="stable")
    hits, counts = np.cumsum(truth[order], dtype=np.int64), np.arange(1, len(scores) + 1)
    last = np.append(np.diff(scores[order]) != 0, True)
    quality = np.where(last, 2 * hits / (counts + truth.sum()), -1.0)
    best = int(quality.argmax())
    ranked = scores[order]
    return float((ranked[best] + ranked[best + 1]) / 2 if best + 1 < len(ranked) else ranked[best] / 2)

"""How well similarities tell pairs of the same identity from others: ROC, errors at thresholds, accuracy over folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FALSE_ACCEPT_RATES = (0.1, 0.01, 0.001, 0.0001)
"""Shares of different pairs that may be taken for the same."""

MIN_FALSE_ACCEPTS = 10
"""A rate is stated if it stands for at least so many of the pairs."""


@dataclass(frozen=True, eq=False)
class Roc:
    """The shares of same pairs (`true`) and of different ones (`false`) that reach each of T falling `thresholds`.

    `different` is the number of pairs of different identities.
    """

    thresholds: Floats
    true: Floats
    false: Floats
    different: int

    @classmethod
    def of(cls, similarities: NDArray[np.floating], same: NDArray[np.bool_]) -> Roc:
        """Return the curve for P pairs, some the `same` and some not."""
        order = np.argsort(-similarities, kind="stable")
        values, hits = similarities[order].astype(np.float64), same[order]
        is_last = np.append(values[1:] < values[:-1], True)  # equal similarities pass together
        true, false = np.cumsum(hits)[is_last], np.cumsum(~hits)[is_last]
        return cls(
            np.concatenate([[np.inf], values[is_last]]), np.concatenate([[0], true / true[-1]]),
            np.concatenate([[0], false / false[-1]]), int(false[-1]),
        )  # fmt: skip

    @property
    def area(self) -> float:
        """The area under the curve: the chance that a same pair is more alike than a different one."""
        return float(((self.true[1:] + self.true[:-1]) / 2 * np.diff(self.false)).sum())

    @property
    def equal_error_rate(self) -> float:
        """The share of errors at the threshold where as many same pairs are rejected as different ones are accepted."""
        gap = self.false - (1 - self.true)
        place = int(np.argmax(gap >= 0))
        before, after = gap[place - 1], gap[place]
        weight = 0.0 if after == before else -before / (after - before)
        return float(self.false[place - 1] + weight * (self.false[place] - self.false[place - 1]))

    def true_accepts(self, false_accepts: float) -> float:
        """Return the largest share of same pairs that pass a threshold that at most this share of others passes."""
        return float(self.true[np.searchsorted(self.false, false_accepts, side="right") - 1])

    def stated_rates(self) -> list[tuple[float, float]]:
        """Return false-accept rates that the pairs suffice for, each with the share of true accepts."""
        return [
            (rate, self.true_accepts(rate)) for rate in FALSE_ACCEPT_RATES if rate * self.different >= MIN_FALSE_ACCEPTS
        ]


def fold_accuracies(similarities: NDArray[np.floating], same: NDArray[np.bool_], fold: NDArray[np.intp]) -> Floats:
    """Return the accuracy on each fold, with the threshold that is best on the others: the protocol of LFW.

    Same and different pairs count equally, however many there are. Folds without one of both kinds are left out; with
    fewer than two, there is one accuracy, at the threshold that is best on these pairs themselves.
    """
    usable = [number for number in np.unique(fold) if 0 < same[fold == number].sum() < (fold == number).sum()]
    if len(usable) < 2:
        return np.array([_accuracy(similarities, same, best_threshold(similarities, same))])
    return np.array([
        _accuracy(similarities[inside], same[inside], best_threshold(similarities[~inside], same[~inside]))
        for inside in (fold == number for number in usable)
    ])  # fmt: skip


def best_threshold(similarities: NDArray[np.floating], same: NDArray[np.bool_]) -> float:
    """Return the similarity above which taking pairs for the same is right most often."""
    curve = Roc.of(similarities, same)
    place = int(np.argmax(curve.true - curve.false))
    upper = curve.thresholds[place]
    lower = curve.thresholds[min(place + 1, len(curve.thresholds) - 1)]
    return float((upper + lower) / 2 if np.isfinite(upper) else lower + 1e-6)


def _accuracy(similarities: NDArray[np.floating], same: NDArray[np.bool_], threshold: float) -> float:
    accepted = similarities >= threshold
    return float((accepted[same].mean() + (~accepted[~same]).mean()) / 2)

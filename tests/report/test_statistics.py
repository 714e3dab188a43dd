"""Shares and calibration errors, against published values and calculations by hand."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.base.formatting import listed
from opsin.model import Evaluation
from opsin.report.phrases import interval, percent
from opsin.report.statistics import Share, class_figures, reliability


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals(count: int, total: int, low: float, high: float) -> None:
    """The examples of Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3."""
    share = Share(count, total)
    assert (round(share.low, 4), round(share.high, 4)) == (low, high)


def test_a_share_of_nothing_is_undefined() -> None:
    assert (Share(0, 0).value, Share(0, 0).low, Share(0, 0).high) == (None, 0, 1)


def test_coverage_of_the_interval() -> None:
    random = np.random.default_rng(0)
    counts = random.binomial(60, 0.85, 2000)
    covered = [Share(int(count), 60).low <= 0.85 <= Share(int(count), 60).high for count in counts]
    assert 0.93 < np.mean(covered) < 0.97


def test_precision_and_recall() -> None:
    confusion = np.array([[8, 2, 0], [1, 4, 0], [0, 0, 0]])
    cat, dog, eel = class_figures(Evaluation(("cat", "dog", "eel"), confusion, 0.5))
    assert (cat.recall, cat.precision) == (Share(8, 10), Share(8, 9))
    assert (dog.recall, dog.precision) == (Share(4, 5), Share(4, 6))
    assert cat.f1 == pytest.approx(2 * (0.8 * 8 / 9) / (0.8 + 8 / 9))
    assert (eel.recall.value, eel.precision.value, eel.f1) == (None, None, 0.0)


def test_the_calibration_error_by_hand() -> None:
    top = np.array([0.9, 0.92, 0.7, 0.7, 0.71, 1.0])
    right = np.array([1, 0, 1, 1, 0, 1], bool)
    probabilities = np.stack([top, 1 - top], axis=1)
    result = reliability(probabilities, np.where(right, 0, 1))
    bins = [(0.91, 0.5, 2), (2.11 / 3, 2 / 3, 3), (1.0, 1.0, 1)]
    assert result.error == pytest.approx(sum(n * abs(sure - share) for sure, share, n in bins) / 6)
    assert [each.right.total for each in result.bins] == [3, 2, 1]
    assert result.bins[1].confidence == pytest.approx(0.91)


def test_the_calibration_error_expected_by_chance() -> None:
    random = np.random.default_rng(1)
    for count, low, high in ((50, 0.05, 0.15), (20_000, 0.0, 0.01)):
        top = random.uniform(0.5, 1, count)
        labels = (random.random(count) > top).astype(np.int32)
        result = reliability(np.stack([top, 1 - top], axis=1), labels)
        assert low < result.by_chance < high
        assert result.error < 2 * result.by_chance


def test_shares_in_words() -> None:
    assert percent(0.876) == "88%"
    assert percent(0.9861) == "98.6%"
    assert percent(0.99999) == "more than 99.9%"
    assert (percent(1), percent(0)) == ("100%", "0%")
    assert interval(Share(88, 100)) == "between 80 and 93%"
    assert interval(Share(0, 20)) == "between 0 and 16.1%"
    assert listed(["a"], conjunction="and") == "a"
    assert listed(["a", "b", "c"], conjunction="and") == "a, b and c"

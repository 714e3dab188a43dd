"""Learning curves: what they say of twice as many images, and how sure they are."""

from __future__ import annotations

import json

import numpy as np
import pytest

from opsin.training.learning_curve import TRAINING_SPREAD, CurvePoint, DataCurve

COUNTS = (250, 500, 1000)


def curve(*values: float, groups: int = 0) -> DataCurve:
    points = [CurvePoint(images, value, (value,) * groups) for images, value in zip(COUNTS, values, strict=True)]
    return DataCurve("ap", 100, tuple(points))


@pytest.mark.parametrize("exponent", [0.2, 0.5, 0.9])
def test_a_power_law_is_continued(exponent: float) -> None:
    measured = curve(*(1 - 3 * images**-exponent for images in COUNTS), groups=10)
    forecast = measured.forecast()
    assert measured.doublings == pytest.approx((exponent, exponent))
    assert forecast.value == pytest.approx(1 - 3 * 2000**-exponent)
    assert forecast.low < forecast.value < forecast.high
    assert forecast.is_certain
    error = 1 - measured.points[-1].value
    assert forecast.low == pytest.approx(1 - error * 2 ** -(exponent - 10**0.5 * TRAINING_SPREAD))


def test_a_curve_that_flattens_may_go_on_flattening() -> None:
    flattening = curve(0.5, 0.75, 0.80).forecast()
    second = np.log2(0.25 / 0.2)
    assert flattening.low <= 1 - 0.2 * 2 ** -(second**2)
    assert flattening.low - 0.80 < 0.015


@pytest.mark.parametrize("values", [(0.70, 0.71, 0.70), (0.70, 0.66, 0.71), (0.80, 0.75, 0.70)])
def test_differences_within_chance_are_not_certain(values: tuple[float, float, float]) -> None:
    assert not curve(*values).forecast().is_certain


def test_the_measured_images_widen_the_bounds() -> None:
    steady = curve(0.5, 0.6, 0.68, groups=8)
    wobbling = tuple(
        CurvePoint(point.images, point.value, tuple(point.value + sign * 0.04 for sign in (1, -1) * 4))
        for point, sign in zip(steady.points, (1, 1, -1), strict=True)
    )
    narrow, wide = steady.forecast(), DataCurve("ap", 100, wobbling).forecast()
    assert wide.high - wide.low > 1.1 * (narrow.high - narrow.low)
    assert wide.value == narrow.value


def test_a_perfect_model_stays_perfect() -> None:
    forecast = curve(0.9, 1.0, 1.0).forecast()
    assert 0.99 < forecast.low <= forecast.value <= forecast.high <= 1.0


def test_bounds_hold_the_truth_of_simulated_trainings() -> None:
    """Errors c n^-a + d with the spread of trainings, measured on 300 images by an accuracy."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        exponent, floor, scale = rng.uniform(0.15, 0.6), rng.uniform(0, 0.1), rng.uniform(0.3, 0.6)
        errors = [
            (floor + scale * (images / 250) ** -exponent) * np.exp(rng.normal(0, 0.05)) for images in (*COUNTS, 2000)
        ]
        difficulty = rng.uniform(size=300)  # an image that is right after few images usually is after more
        right = [[difficulty > error for difficulty in difficulty] for error in errors[:3]]
        groups = np.array_split(np.arange(300), 10)
        points = [
            CurvePoint(images, float(np.mean(row)), tuple(float(np.mean(np.delete(row, group))) for group in groups))
            for images, row in zip(COUNTS, right, strict=True)
        ]
        forecast = DataCurve("accuracy", 300, tuple(points)).forecast()
        level = float(np.mean([difficulty > errors[3] for difficulty in difficulty]))
        inside += forecast.low <= level <= forecast.high
    assert 0.85 < inside / 400 < 1.0


def test_curves_are_stored_as_data() -> None:
    measured = curve(0.5, 0.6, 0.68, groups=3)
    data = json.loads(json.dumps(measured.to_data()))
    assert DataCurve.from_data(data) == measured
    assert data["twice_as_many"]["is_certain"]
    for damaged in ({}, {**data, "points": data["points"][:2]}, {**data, "points": [{"images": 3}]}, {"points": 3}):
        assert DataCurve.from_data(damaged) is None

"""Scales, clipped ranges, and the whole numbers made of them, against real arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.ops import OPS
from opsin.quantization.comparison import Comparison, compared
from opsin.quantization.fixed_point import addition_factors, scaled_product, scaling
from opsin.quantization.scales import Scale, clipped_range
from opsin.quantization.steps import Product
from opsin.quantization.weights import MAX_SUM, IntegerWeights, integer_weights

RANGES = [(0.0, 1.0), (-3.0, 5.0), (-0.001, 0.2), (2.0, 3.0), (-7.0, -1.0), (0.0, 0.0), (-1e4, 1e5)]


@pytest.mark.parametrize("bounds", RANGES)
def test_zero_is_exact_and_the_range_is_covered(bounds: tuple[float, float]) -> None:
    scale = Scale.of(*bounds)
    assert scale.quantized(np.zeros(1))[0] == scale.zero
    low, high = scale.bounds
    assert low <= min(bounds[0], 0) + 0.51 * scale.step and high >= max(bounds[1], 0) - 0.51 * scale.step
    assert scale.numbers()[[0, -1]].tolist() == [low, high]


def test_a_coarser_scale_keeps_the_least_number() -> None:
    scale = Scale.of(-1.0, 3.0)
    assert scale.at_least(scale.step / 2) is scale
    coarse = scale.at_least(scale.step * 3)
    assert coarse.step == pytest.approx(scale.step * 3) and coarse.bounds[0] == pytest.approx(-1.0, abs=coarse.step)


def squared_error(values: np.ndarray, bounds: tuple[float, float]) -> float:  # type: ignore[type-arg]
    scale = Scale.of(*bounds)
    return float(((scale.numbers()[scale.quantized(values).astype(int) + 128] - values) ** 2).sum())


def test_outliers_are_clipped_if_that_lowers_the_error() -> None:
    values = np.random.default_rng(0).normal(size=400_000)
    values[0] = 40.0
    counts, edges = np.histogram(values, 2048)
    whole = float(edges[0]), float(edges[-1])
    clipped = clipped_range(counts, *whole)
    assert clipped[1] < 30
    assert squared_error(values, clipped) < 0.8 * squared_error(values, whole)
    uniform = np.full(2048, 10)
    assert clipped_range(uniform, -1.0, 1.0) == (-1.0, 1.0)


def test_the_error_may_be_that_of_a_function() -> None:
    values = np.random.default_rng(0).normal(size=100_000) * 3
    counts, edges = np.histogram(values, 2048)
    low, high = clipped_range(counts, float(edges[0]), float(edges[-1]), lambda x: np.maximum(x, 0.0))
    assert low > 0.5 * edges[0], "negative numbers do not count"
    assert high > 0.6 * edges[-1]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("steps", [(0.1, 0.1, 0.15), (0.002, 0.5, 0.4), (1.0, 0.03, 0.9), (1e-7, 1e-7, 1.0)])
def test_additions_are_right_to_the_nearest_step(sign: int, steps: tuple[float, float, float]) -> None:
    a, b, y = Scale(steps[0], -20), Scale(steps[1], 33), Scale(steps[2], -5)
    rng = np.random.default_rng(0)
    p, q = (rng.integers(-128, 128, 5000).astype(np.int8) for _ in range(2))
    found = OPS["add_int8"].evaluate(p, q, **addition_factors(a, b, sign, y), low=-128, high=127)
    exact = a.numbers()[p.astype(int) + 128] + sign * b.numbers()[q.astype(int) + 128]
    unclipped = np.abs(exact / y.step + y.zero) < 127
    assert np.abs(found - (exact / y.step + y.zero))[unclipped].max() < 0.53


def test_products_are_right_to_the_nearest_step() -> None:
    a, b = Scale(0.02, -128), Scale(1 / 255, -128)
    y, bias, multiplier = scaled_product(a.step * b.step, Scale(0.02, -128))
    rng = np.random.default_rng(0)
    p, q = (rng.integers(-128, 128, (1, 5000)).astype(np.int8) for _ in range(2))
    found = OPS["multiply_int8"].evaluate(
        p, q, a_zero=a.zero, b_zero=b.zero, bias=bias, multiplier=multiplier, zero=y.least, low=-128, high=127
    )
    exact = a.numbers()[p.astype(int) + 128] * b.numbers()[q.astype(int) + 128]
    assert np.abs(found - (exact / y.step + y.zero)).max() < 0.53


@pytest.mark.parametrize("divisor", [15, 301, 4095])
@pytest.mark.parametrize("zero", [-128, 7, 127])
def test_sums_are_divided_by_odd_numbers_exactly(divisor: int, zero: int) -> None:
    (multiplier,), (bias,) = scaling(np.array([float(divisor)]), Scale(1.0, zero))
    middle = divisor // 2 + divisor * np.arange(-130 - zero, 129 - zero)
    sums = np.concatenate([middle, middle + 1, middle + divisor // 3])
    found = -128 + (((sums + int(bias)) * int(multiplier)) >> 32)
    expected = zero + (2 * sums + divisor) // (2 * divisor)
    assert np.array_equal(np.clip(found, -128, 127), np.clip(expected, -128, 127))
    by_floats = zero + np.rint((sums.astype(np.float32) * np.float32(1 / divisor)).astype(np.float32))
    assert np.array_equal(np.clip(by_floats, -128, 127), np.clip(expected, -128, 127))


def test_steps_of_results_are_odd_numbers_of_steps_of_sums() -> None:
    rng = np.random.default_rng(0)
    weight, x, y = rng.normal(size=(5, 8, 3, 3)), Scale(0.03, -128), Scale.of(-3.0, 40.0)
    found = integer_weights(product(weight, rng.normal(size=5)), x, result=y)
    ratios = y.step / found.unit
    assert np.abs(ratios - (2 * (ratios // 2) + 1)).max() < 1e-6
    assert np.abs(found.unit / integer_weights(product(weight, np.zeros(5)), x).unit - 1).max() < 1 / 15
    learned = np.full(5, 0.01)
    kept = integer_weights(product(weight, np.zeros(5)), x, learned=learned, result=y)
    np.testing.assert_allclose(kept.unit, learned * x.step)


def test_a_scale_that_is_too_fine_becomes_coarser() -> None:
    y, _, multiplier = scaled_product(0.5, Scale(0.1, 0))
    assert multiplier <= 2**31 - 1 and y.step >= 1.0


def product(weight: np.ndarray, bias: np.ndarray) -> Product:  # type: ignore[type-arg]
    return Product(None, (), None, weight, bias, None)  # type: ignore[arg-type]


def test_weights_have_a_step_for_each_channel() -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(6, 8, 3, 3)) * np.array([1, 10, 100, 1e-3, 1e-7, 0]).reshape(-1, 1, 1, 1)
    bias = np.array([0.1, -2, 30, 1e-3, 0.5, -0.25])
    x = Scale(0.03, -128)
    found = integer_weights(product(weight, bias), x)
    column = (found.unit / x.step).reshape(-1, 1, 1, 1)
    assert np.abs(found.weight * column - weight)[:4].max(axis=(1, 2, 3)) == pytest.approx(0, abs=1)
    relative = np.abs(found.weight * column - weight).max(axis=(1, 2, 3)) / np.abs(weight).max(axis=(1, 2, 3)).clip(
        1e-9
    )
    assert relative[:4].max() < 0.3
    assert (found.weight >= -127).all()
    sums = 128 * np.abs(found.weight.astype(np.int64)).sum(axis=(1, 2, 3)) + np.abs(found.bias)
    assert sums.max() < MAX_SUM, "32 bits suffice, also for channels with weights near zero"
    constant = (found.bias + x.zero * found.weight.astype(np.int64).sum(axis=(1, 2, 3))) * found.unit
    np.testing.assert_allclose(constant, bias, rtol=1e-6)


def test_the_bias_makes_up_for_the_mean_of_rounding_errors() -> None:
    rng = np.random.default_rng(1)
    weight, mean = rng.normal(size=(4, 16, 1, 1)), rng.uniform(1, 2, 16)
    x = Scale(0.02, -128)

    def shift(weights: IntegerWeights) -> np.ndarray:  # type: ignore[type-arg]
        column = (weights.unit / x.step).reshape(-1, 1)
        constant = (weights.bias + x.zero * weights.weight.astype(np.int64).sum(axis=(1, 2, 3))) * weights.unit
        return (weights.weight[:, :, 0, 0] * column) @ mean + constant - weight[:, :, 0, 0] @ mean

    plain, corrected = (integer_weights(product(weight, np.zeros(4)), x, m) for m in (None, mean))
    assert np.abs(shift(plain)).max() > 1e-3
    assert np.abs(shift(corrected)).max() < 1e-9


def test_a_comparison_counts_pairs() -> None:
    labels = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
    exact, quantized = labels.copy(), labels.copy()
    exact[0], quantized[1:4] = 1, (0, 0, 1)
    comparison = compared(exact, quantized, labels)
    assert (comparison.images, comparison.same, comparison.lost, comparison.won) == (10, 6, 3, 1)
    assert comparison.drop == pytest.approx(20)
    assert comparison.interval is not None and comparison.interval[0] < 20 < comparison.interval[1]
    assert comparison.exceeds(19) and not comparison.exceeds(20.1)
    assert Comparison.from_data(comparison.to_data()) == comparison
    assert "3 answers lost and 1 won of 10 images: a drop of 20.00 points" in str(comparison)


def test_one_image_is_no_excess() -> None:
    assert not Comparison(20, 19, lost=1, won=0).exceeds(1.0)
    assert Comparison(20, 18, lost=2, won=0).exceeds(1.0)
    assert not Comparison(20, 18).exceeds(0.0), "without labels there is nothing to lose"
    segmented = Comparison(20, 0, metric="mean_iou", exact=0.7, quantized=0.65)
    assert segmented.exceeds(1.0) and str(segmented) == "a drop of 5.00 points in mean IoU, measured on 20 images"


@pytest.mark.parametrize(("lost", "won", "images"), [(30, 10, 1000), (5, 4, 400)])
def test_the_interval_holds_as_often_as_it_says(lost: int, won: int, images: int) -> None:
    rng = np.random.default_rng(0)
    counts = rng.multinomial(images, [lost / images, won / images, 1 - (lost + won) / images], size=4000)
    drop = 100 * (lost - won) / images
    intervals = [Comparison(images, 0, int(row[0]), int(row[1])).interval for row in counts]
    hits = sum(bounds is not None and bounds[0] <= drop <= bounds[1] for bounds in intervals)
    assert 0.93 < hits / len(intervals) < 0.985

"""The page's arithmetic against NumPy's, bit for bit, and both against exact fractions."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from opsin.explain.arithmetic import float32
from opsin.explain.arithmetic.evaluate import FUNCTIONS, power
from opsin.explain.arithmetic.sums import add_terms
from opsin.kernels.summation import HALVES, Summation
from tests.inspection.node import INSPECTION, needs_node, run

MODULE = INSPECTION / "assets" / "arithmetic.js"
HEADER = f"""
const arithmetic = require({str(MODULE)!r});
const floats = (bits) => {{
  const result = new Float32Array(bits.length);
  new Uint32Array(result.buffer).set(bits);
  return result;
}};
"""


def bits(x: Any) -> list[int]:
    return np.ascontiguousarray(x, np.float32).reshape(-1).view(np.uint32).tolist()


def hard_floats(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return numbers of all sizes, with few and with many bits, denormals and zeros among them."""
    words = rng.integers(0, 2**32, count, np.uint32)
    kind = rng.integers(0, 6, count)
    small = (words & 0x80FFFFFF) | (rng.integers(0, 4, count).astype(np.uint32) << 23)  # around the smallest normal one
    near_one = (words & 0x807FFFFF) | ((126 + rng.integers(0, 3, count)).astype(np.uint32) << 23)
    round_numbers = near_one & ~np.uint32(0x3FFF)
    words = np.select([kind == 0, kind <= 2, kind <= 4], [small, near_one, round_numbers], words)
    x = words.view(np.float32)
    x = np.where(np.isfinite(x), x, np.float32(1.5))
    return np.where(rng.integers(0, 40, count) == 0, np.float32(0) * np.sign(x), x).astype(np.float32)


def hard_triples() -> list[np.ndarray]:
    """Return operands of a · b + c: random ones, cancellation, and sums in the middle of two float32."""
    rng = np.random.default_rng(3)
    a, b, c = (hard_floats(rng, 6000) for _ in range(3))
    with np.errstate(all="ignore"):
        product = a.astype(np.float64) * b
        c[:2000] = -product[:2000].astype(np.float32)  # cancellation
        # c and a product of half its last place, or a little more or less: ties that a second rounding would break.
        c[2000:4000] = np.float32(1) + rng.integers(0, 2**23, 2000).astype(np.float32) * np.float32(2**-23)
        a[2000:4000] = np.ldexp(1 + rng.integers(-1, 2, 2000) * 2.0**-23, -12)
        b[2000:4000] = np.ldexp(1 + rng.integers(-1, 2, 2000) * 2.0**-23, -12)
        b[3000:4000] *= -1
    return [np.where(np.isfinite(x), x, np.float32(2)) for x in (a, b, c)]


def exact_fma(a: float, b: float, c: float) -> float:
    """Return a · b + c by exact arithmetic, rounded to nearest, ties to even, with 24 bits; tiny results are zero."""
    numbers = [Fraction(0) if abs(x) < 2.0**-126 else Fraction(x) for x in (a, b, c)]
    value = numbers[0] * numbers[1] + numbers[2]
    if value == 0:
        return 0.0
    size, exponent = abs(value), 0
    while size >= 2**24:
        size, exponent = size / 2, exponent + 1
    while size < 2**23:
        size, exponent = size * 2, exponent - 1
    mantissa = round(size)  # to even
    result = float(mantissa * Fraction(2) ** exponent)
    return (result if result >= 2.0**-126 else 0.0) * (1 if value > 0 else -1)


def test_fma_is_rounded_once() -> None:
    a, b, c = hard_triples()
    got = float32.fma(a, b, c)
    with np.errstate(over="ignore"):
        want = np.array([exact_fma(*map(float, triple)) for triple in zip(a, b, c, strict=True)]).astype(np.float32)
    assert np.array_equal(got, want)
    with np.errstate(all="ignore"):
        twice = (a.astype(np.float64) * b + c).astype(np.float32)
    assert (twice != want)[2000:4000].sum() > 50  # The cases are hard: rounding twice fails.


@needs_node
def test_functions_in_the_page() -> None:
    a, b, c = hard_triples()
    script = HEADER + """
    const [a, b, c] = data.map(floats);
    const all = {};
    const keep = (name, values) => { all[name] = Array.from(new Uint32Array(Float32Array.from(values).buffer)); };
    keep('fma', a.map((x, i) => arithmetic.fma(x, b[i], c[i])));
    for (const exponent of [2, 3, -1, 0.5, -0.75]) {
      keep(`power ${exponent}`, a.map((x) => arithmetic.power(Math.abs(x), exponent)));
    }
    for (const name of Object.keys(arithmetic.functions)) {
      const call = arithmetic.functions[name];
      keep(name, a.map((x, i) => (name === 'sqrt' ? call(Math.abs(x)) : call(x, b[i], c[i]))));
    }
    return all;
    """  # fmt: skip
    got = run(script, [bits(x) for x in (a, b, c)])
    want = {"fma": float32.fma(a, b, c)}
    with np.errstate(all="ignore"):
        for exponent in (2, 3, -1, 0.5, -0.75):
            want[f"power {exponent}"] = power(np.abs(a), exponent)
        for name, function in FUNCTIONS.items():
            count = {"where": 3, "sqrt": 1}.get(
                name, function.__code__.co_argcount if hasattr(function, "__code__") else 1
            )
            operands = [np.abs(a)] if name == "sqrt" else [a, b, c][:count]
            want[name] = function(*operands)
    assert got.keys() == want.keys()
    for name, values in want.items():
        expected = np.array(bits(values), np.uint32)
        found = np.array(got[name], np.uint32)
        is_nan = np.isnan(np.asarray(values, np.float32))
        assert np.array_equal(found[~is_nan], expected[~is_nan]), name
        assert np.isnan(found[is_nan].view(np.float32)).all(), name


ORDERS = [
    Summation(),
    Summation(lanes=2),
    Summation(lanes=4),
    Summation(segment=128),
    Summation(segment=37, unroll=4),
    Summation(lanes=8, fold=HALVES, row=29),
    Summation(lanes=16, fold=HALVES, row=145),
    Summation(lanes=16, fold=HALVES, row=5),
]


@needs_node
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("products", [True, False])
def test_sums_in_the_page(products: bool, fused: bool) -> None:
    rng = np.random.default_rng(5)
    left, right = (rng.standard_normal(145).astype(np.float32) for _ in range(2))
    orders = [order for order in ORDERS if not products or (order.unroll == 1 and order.fold != HALVES)]
    script = (
        HEADER
        + """
    const [left, right] = [floats(data.left), data.right && floats(data.right)];
    return data.orders.map((order) => {
      const total = arithmetic.addTerms(left, right, order);
      const { bits } = arithmetic;
      return [Array.from(total.partial, bits), total.lanes.map(bits), bits(total.result)];
    });
    """
    )
    data = {"left": bits(left), "right": bits(right) if products else None}
    rows = run(script, data | {"orders": [asdict(order) | {"fused": fused} for order in orders]})
    results = []
    for order, (partial, lanes, result) in zip(orders, rows, strict=True):
        total = add_terms(left[:, None], right[:, None] if products else None, order, fused)
        assert partial == bits(np.concatenate(total.partial)), order
        assert lanes == bits(np.concatenate(total.lanes)), order
        assert [result] == bits(total.result), order
        results.append(result)
    assert len(set(results)) > 1  # The orders differ.

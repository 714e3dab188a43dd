"""Pointwise expressions on arrays of any strides, against NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from opsin.kernels.expression import FUNCTIONS, IDENTITY, Expression, Step
from opsin.kernels.ir import F32, I32, TARGETS, Target
from opsin.kernels.pointwise import FLOATS, Pointwise, Stream
from tests.kernels.support import HOST_TARGETS, UNTOUCHED, each_run, guarded, margins_hold, run_interpreted, run_native

Array = np.ndarray
WHOLE = Stream(I32, 1)
Run = Callable[..., None]
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 1e30, -1e30, 1e-30]


def floats(*, low: float = -3, high: float = 3, count: int = 61, special: bool = True) -> Array:
    rng = np.random.default_rng(count)
    x = rng.uniform(low, high, count).astype(np.float32)
    if special:
        x[: len(SPECIAL)] = SPECIAL
    return x


def pairs() -> list[Array]:
    """Every special number with every other, and some more."""
    a, b = np.array(list(product(SPECIAL, SPECIAL)), np.float32).T
    return [np.concatenate([a, floats(special=False)]), np.concatenate([b, floats(special=False)[::-1]])]


def mix(x: Array) -> Array:
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(0x7FEB352D)
    x = x ^ (x >> np.uint32(15))
    x = x * np.uint32(0x846CA68B)
    return np.asarray(x ^ (x >> np.uint32(16)))


def random_key(seed: Array, step: Array, site: int) -> Array:
    with np.errstate(over="ignore"):
        key = mix(mix(mix(seed.view(np.uint32)) + np.uint32(site)) + step.view(np.uint32))
    return np.asarray(key.view(np.int32))


def bernoulli(key: Array, index: Array, threshold: int) -> Array:
    bits = key.view(np.uint32)
    drawn = mix(mix(index.view(np.uint32) + bits) ^ bits) >> np.uint32(8)
    return np.asarray(drawn < threshold).astype(np.float32)


def fake_quantize(x: Array, step: Array, low: Array, high: Array) -> Array:
    return np.asarray(np.floor(np.clip(x / step, low, high) + np.float32(0.5)) * step)


def whole(low: int = -(2**31), high: int = 2**31) -> Array:
    return np.random.default_rng(7).integers(low, high, 61).astype(np.int32)


EXACT: list[tuple[str, Callable[..., Array], list[Array], float | int | None]] = [
    ("add", np.add, pairs(), None),
    ("subtract", np.subtract, pairs(), None),
    ("multiply", np.multiply, pairs(), None),
    ("divide", np.divide, pairs(), None),
    ("maximum", np.maximum, pairs(), None),
    ("minimum", np.minimum, pairs(), None),
    ("greater", np.greater, pairs(), None),
    ("equal", np.equal, pairs(), None),
    ("where", lambda c, a, b: np.asarray(np.where(c != 0, a, b)), [*pairs(), pairs()[0][::-1].copy()], None),
    ("constant", lambda x, a: np.full_like(x, a), [floats()], 2.5),
    ("whole", lambda x, a: np.full_like(x, a), [whole()], -7),
    ("negate", np.negative, [floats()], None),
    ("sqrt", np.sqrt, [floats(low=0)], None),
    ("absolute", np.abs, [floats()], None),
    ("sign", np.sign, [floats(special=False)], None),
    ("relu", lambda x: np.maximum(x, 0), [floats()], None),
    ("relu6", lambda x: np.minimum(np.maximum(x, 0), 6), [floats()], None),
    ("fake_quantize", fake_quantize, [floats(), *(np.full(61, value, np.float32) for value in (0.13, -9, 7))], None),
    ("cast", lambda x: x.astype(np.float32), [whole()], None),
    ("same_index", np.equal, [whole(0, 3), whole(0, 3)[::-1].copy()], None),
    ("random_key", random_key, [whole(), whole()[::-1].copy()], 5),
    ("bernoulli", bernoulli, [whole(), whole()[::-1].copy()], 1 << 23),
    *(("power", lambda x, a: x**a, [floats()], a) for a in (0.0, 1.0, 2.0, -1.0)),
]
"""Functions whose every bit is known (the sign of zero apart)."""

CLOSE: list[tuple[str, Callable[..., Array], list[Array], float | None]] = [
    ("exp", np.exp, [floats(low=-80, high=80)], None),
    ("log", np.log, [floats(low=1e-3, high=50)], None),
    ("tanh", np.tanh, [floats()], None),
    ("sigmoid", lambda x: 1 / (1 + np.exp(-x)), [floats()], None),
    ("erf", np.vectorize(math.erf, otypes=[float]), [floats()], None),
    *(("power", lambda x, a: x**a, [floats(special=False)], a) for a in (3.0, -2.0, 9.0, 12.0)),
    *(("power", lambda x, a: x**a, [floats(low=0.1, special=False)], a) for a in (-0.5, 0.5, -0.75, 0.75, 1.5, -2.3)),
]


def call(name: str, inputs: list[Array], attribute: float | int | None, run: Run, target: Target) -> Array:
    """Apply one function to whole arrays."""
    streams = tuple(WHOLE if x.dtype == np.int32 else FLOATS for x in inputs)
    result = WHOLE if name in ("random_key", "whole") else FLOATS
    step = Step(name, tuple(range(len(inputs))), attribute)
    spec = Pointwise(Expression(len(inputs), (step,), (len(inputs),)), streams, (result,), 0, 0)
    y = guarded(inputs[0].shape, np.int32 if result == WHOLE else np.float32)
    run(spec, [*inputs, y, y.size, y.size], 0, 1, target=target)
    assert margins_hold(y)
    return y


INTEGER = {
    "quantize", "dequantize", "requantize", "rescale", "add_int8", "multiply_int8", "high_byte", "low_byte",
    "join_bytes",
}  # fmt: skip
"""Functions for 8-bit integers; `tests/backends/test_quantized.py` compares them with the reference."""


def test_every_function_is_tested() -> None:
    assert {name for name, *_ in EXACT + CLOSE} | INTEGER == set(FUNCTIONS)


@each_run
@pytest.mark.parametrize(("name", "function", "inputs", "attribute"), EXACT)
def test_exact_functions(
    name: str, function: Callable[..., Array], inputs: list[Array], attribute: float | None, run: Run, target: Target
) -> None:
    with np.errstate(all="ignore"):
        expected = function(*inputs) if attribute is None else function(*inputs, attribute)
    np.testing.assert_array_equal(call(name, inputs, attribute, run, target), expected)


@each_run
@pytest.mark.parametrize(("name", "function", "inputs", "attribute"), CLOSE)
def test_close_functions(
    name: str, function: Callable[..., Array], inputs: list[Array], attribute: float | None, run: Run, target: Target
) -> None:
    wide = [x.astype(np.float64) for x in inputs]
    with np.errstate(all="ignore"):
        expected = function(*wide) if attribute is None else function(*wide, attribute)
        expected = np.where(np.abs(expected) > 3.4e38, np.sign(expected) * np.inf, expected)
    np.testing.assert_allclose(call(name, inputs, attribute, run, target), expected, rtol=2e-6, atol=3e-7)


# -- shapes ---------------------------------------------------------------------------------------

SCALE_AND_SHIFT = Expression(3, (Step("multiply", (0, 1)), Step("add", (3, 2))), (4,))
"""a · b + c"""


@dataclass(frozen=True)
class View:
    """An array of any strides, counted in elements; `memory` holds just what it reaches."""

    memory: Array
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def array(self) -> Array:
        return as_strided(self.memory, self.shape, [4 * step for step in self.strides])

    @property
    def stream(self) -> Stream:
        return Stream(F32, self.strides[-1] if self.strides[-1] in (0, 1) else None)

    @property
    def words(self) -> list[int]:
        """The strides as arguments: the last one only if it is not fixed."""
        return [*(self.strides if self.stream.inner is None else self.strides[:-1])]


def random_view(rng: np.random.Generator, shape: tuple[int, ...]) -> View:
    """Dimensions in any order in memory, some of them broadcast or with gaps."""
    strides, step = [0] * len(shape), 1
    for d in rng.permutation(len(shape)) if rng.random() < 0.5 else range(len(shape))[::-1]:
        if rng.random() < 0.8:
            strides[d] = step * int(rng.choice([1, 1, 2]))
            step = strides[d] * shape[d]
    reach = 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    return View(rng.standard_normal(reach).astype(np.float32), shape, tuple(strides))


def dense(shape: tuple[int, ...]) -> View:
    strides = tuple(prod(shape[d + 1 :]) for d in range(len(shape)))
    return View(guarded((prod(shape),)), shape, strides)


def compute(operands: list[View], result: View, target: Target, run: Run = run_native) -> None:
    """Compute a · b + c in two runs, each with some blocks of the outermost dimension."""
    views = [*operands, result]
    *outer, extent = result.shape
    streams = [view.stream for view in views]
    spec = Pointwise(SCALE_AND_SHIFT, tuple(streams[:3]), tuple(streams[3:]), len(outer), extent)
    args = [*(view.memory for view in views), *outer, *(word for view in views for word in view.words)]
    middle = outer[0] // 2
    run(spec, args, middle, outer[0], target=target)
    run(spec, args, 0, middle, target=target)


def random_problem(seed: int) -> tuple[list[View], View, Array]:
    rng = np.random.default_rng(seed)
    shape = (*(int(n) for n in rng.integers(1, 5, int(rng.integers(1, 4)))), int(rng.integers(1, 36)))
    operands = [random_view(rng, shape) for _ in range(3)]
    a, b, c = (view.array for view in operands)
    return operands, dense(shape), a * b + c


@pytest.mark.parametrize("target", HOST_TARGETS, ids=lambda row: row.name)
@pytest.mark.parametrize("seed", range(32))
def test_any_strides(seed: int, target: Target) -> None:
    operands, result, expected = random_problem(seed)
    compute(operands, result, target)
    np.testing.assert_array_equal(result.array, expected)
    assert margins_hold(result.memory)


@pytest.mark.parametrize("target", TARGETS, ids=lambda row: row.name)
@pytest.mark.parametrize("seed", range(8))
def test_any_strides_in_the_interpreter(seed: int, target: Target) -> None:
    operands, result, expected = random_problem(seed)
    compute(operands, result, target, run_interpreted)
    np.testing.assert_array_equal(result.array, expected)
    assert margins_hold(result.memory)


def test_results_of_any_strides() -> None:
    """They are written at their strides, and nothing else is."""
    rng = np.random.default_rng(3)
    operands = [random_view(rng, (3, 13)) for _ in range(3)]
    result = View(guarded((3 * 13 * 2,)), (3, 13), (1, 6))
    compute(operands, result, HOST_TARGETS[0])
    a, b, c = (view.array for view in operands)
    np.testing.assert_array_equal(result.array, a * b + c)
    assert (result.memory.reshape(13, 2, 3)[:, 1] == UNTOUCHED).all()
    assert margins_hold(result.memory)


@each_run
@pytest.mark.parametrize(("count", "block"), [(1, 1), (7, 8), (8, 8), (61, 16), (61, 7), (64, 24)])
def test_flat_blocks(count: int, block: int, run: Run, target: Target) -> None:
    rng = np.random.default_rng(count)
    a, b, c = rng.standard_normal((3, count)).astype(np.float32)
    spec = Pointwise(SCALE_AND_SHIFT, (FLOATS,) * 3, (FLOATS,), 0, 0)
    y = guarded((count,))
    run(spec, [a, b, c, y, count, block], 1, -(-count // block), target=target)
    np.testing.assert_array_equal(y[block:], (a * b + c)[block:])
    assert (y[:block] == UNTOUCHED).all()
    run(spec, [a, b, c, y, count, block], 0, 1, target=target)
    np.testing.assert_array_equal(y, a * b + c)
    assert margins_hold(y)


@each_run
def test_flat_streams_of_every_kind(run: Run, target: Target) -> None:
    """A scalar, a strided operand, and results of an intermediate value and of a copy."""
    scalar, strided = np.array([3], np.float32), np.arange(63, dtype=np.float32)
    expression = Expression(2, (Step("multiply", (0, 1)), Step("negate", (2,))), (2, 3, 1))
    streams = (Stream(F32, 0), Stream(F32, None))
    spec = Pointwise(expression, streams, (FLOATS, FLOATS, FLOATS), 0, 0)
    results = [guarded((21,)) for _ in range(3)]
    run(spec, [scalar, strided, *results, 21, 21, 3], 0, 1, target=target)
    for actual, expected in zip(results, (9, -9, 3), strict=True):
        np.testing.assert_array_equal(actual, np.arange(21) * expected)
        assert margins_hold(actual)


@each_run
@pytest.mark.parametrize("step", [0, 1, None])
def test_places(step: int | None, run: Run, target: Target) -> None:
    """The index itself as an operand, with every form of innermost stride."""
    expression = Expression(1, (Step("cast", (0,)),), (1,))
    spec = Pointwise(expression, (Stream("place", step),), (FLOATS,), 1, 19)
    y = guarded((4, 19))
    stride = 5 if step is None else step
    run(spec, [y, 4, 100, *([stride] if step is None else []), 19], 0, 4, target=target)
    np.testing.assert_array_equal(y, np.arange(4)[:, None] * 100 + np.arange(19) * stride)
    assert margins_hold(y)


def test_flat_places() -> None:
    spec = Pointwise(Expression(1, (Step("cast", (0,)),), (1,)), (Stream("place", 1),), (FLOATS,), 0, 0)
    y = guarded((29,))
    run_native(spec, [y, 29, 10], 0, 3)
    np.testing.assert_array_equal(y, np.arange(29))


def test_a_copy() -> None:
    x, y = floats(), guarded((61,))
    run_native(Pointwise(IDENTITY, (FLOATS,), (FLOATS,), 0, 0), [x, y, 61, 61], 0, 1)
    np.testing.assert_array_equal(y, x)

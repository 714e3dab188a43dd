"""Numbers at the edges: denormals are kept, nothing is fused, NaN and −0 are as in the interpreter."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.kernels.ir import I8, I32, Builder, Kernel, Value
from opsin.kernels.ir.interpreter import Interpreter
from tests.kernels.support import same_bits
from tests.wasm import call_wasm, needs_wasmtime

EDGES = np.array(
    [0, -0.0, 1e-45, -1e-45, 1.1754942e-38, 1.1754944e-38, -3e-39, 1e-30, 1, -1, 3.4028235e38, np.inf, -np.inf, np.nan],
    np.float32,
)
PAIRS = np.array([(a, b) for a in EDGES for b in EDGES], np.float32)
"""All pairs, a multiple of four."""


def kernel(lanes: int) -> Kernel:
    """Return a kernel that stores results of many instructions for each pair."""
    k = Builder("edges")
    a, b, y, n = k.buffer("a"), k.buffer("b"), k.buffer("y"), k.index("n")
    with k.loop(0, n, lanes) as i:
        x, z = k.load(a, i, lanes), k.load(b, i, lanes)
        for number, value in enumerate(results(k, x, z)):
            k.store(k.offset(y, n * number), i, value)
    return k.kernel()


def results(k: Builder, x: Value, z: Value) -> list[Value]:
    zero = k.broadcast(0.0, x.kind.lanes)
    return [
        x + z, x - z, x * z, x / z, k.minimum(x, z), k.maximum(x, z), -x, k.unary("abs", x), k.unary("sqrt", x),
        k.unary("floor", x), k.fma(x, z, x), x * 0.5, x * 1e-7, k.maximum(x, zero), k.maximum(zero, x),
        k.select(x < z, x, z), k.select(k.equal(x, x), 1.0, zero),
    ]  # fmt: skip


@needs_wasmtime
@pytest.mark.parametrize("simd", [True, False], ids=["vector", "scalar"])
@pytest.mark.parametrize("lanes", [1, 4])
def test_edges(lanes: int, simd: bool) -> None:
    a, b = np.ascontiguousarray(PAIRS.T)
    built = kernel(lanes)
    expected = np.zeros(len(a) * 17, np.float32)
    Interpreter(built, fused=False).run([a.copy(), b.copy(), expected, len(a)], 0, 1)
    actual = np.zeros_like(expected)
    call_wasm(built, simd, [a, b, actual, len(a)], 0, 1)
    assert same_bits(actual, expected)


@needs_wasmtime
@pytest.mark.parametrize("simd", [True, False], ids=["vector", "scalar"])
def test_products_are_rounded_before_the_sum(simd: bool) -> None:
    k = Builder("multiply_add")
    x, y = k.buffer("x"), k.buffer("y")
    value = k.load(x, 0, 4)
    k.store(y, 0, k.fma(value, value, k.broadcast(-1.0, 4)))
    numbers, result = np.array([1 + 2**-12, 1 - 2**-13, 3, 1 + 2**-23], np.float32), np.zeros(4, np.float32)
    call_wasm(k.kernel(), simd, [numbers, result], 0, 1)
    fused = (numbers.astype(np.float64) ** 2 - 1).astype(np.float32)
    assert np.array_equal(result, numbers * numbers - np.float32(1)) and not np.array_equal(result, fused)


@needs_wasmtime
def test_denormals_are_kept() -> None:
    k = Builder("halve")
    x = k.buffer("x")
    k.store(x, 0, k.load(x, 0, 4) * 0.5)
    numbers = np.full(4, 1.1754944e-38, np.float32)
    call_wasm(k.kernel(), True, [numbers], 0, 1)
    assert (numbers == np.float32(5.877472e-39)).all() and (numbers > 0).all()


@needs_wasmtime
@pytest.mark.parametrize("low", [-128, -7])
@pytest.mark.parametrize("simd", [True, False], ids=["vector", "scalar"])
def test_sums_of_pairs_of_bytes_are_limited_to_bytes(simd: bool, low: int) -> None:
    k = Builder("pairs")
    a, b, total, y = k.buffer("a", I8), k.buffer("b", I8), k.buffer("total", I32), k.buffer("y", I8)
    pairs = k.pair(k.load(a, 0, 4), k.load(b, 0, 4))
    value = k.dot(pairs, pairs, k.load(total, 0, 4))
    k.store(y, 0, k.minimum(k.maximum(value, low), 127))
    x, z = np.array([-128, 127, -1, 3], np.int8), np.array([127, -128, 5, -128], np.int8)
    expected = x.astype(np.int64) ** 2 + z.astype(np.int64) ** 2
    for sums in (-expected, [2**31 - 1 - 40_000, -(2**31), -40_000, 100], -expected + [-129, 128, -128, 127]):
        numbers, result = np.array(sums, np.int32), np.zeros(4, np.int8)
        call_wasm(k.kernel(), simd, [x, z, numbers, result], 0, 1)
        assert np.array_equal(result, np.clip(expected + numbers, low, 127)), sums

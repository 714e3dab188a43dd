"""Properties of the LLVM text of a kernel."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from opsin.backends.native.render import MIN_OPAQUE_ACCESSES, literal, render
from opsin.kernels.ir import F32, I32, INDEX, TARGETS, Builder, Kernel, Target
from tests.kernels.ir.support import agree
from tests.kernels.support import HOST_TARGETS as ROWS_HERE

ROWS = {row.name: row for row in TARGETS}


@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, 0.1, -3.4e38, 1e-45, float("inf"), float("nan")])
def test_constants_are_the_bits_of_a_float32(value: float) -> None:
    bits = int(literal(value, F32), 16)
    (actual,) = struct.unpack("d", struct.pack("Q", bits))
    np.testing.assert_array_equal(actual, float(np.float32(value)))
    assert np.signbit(actual) == np.signbit(value)


def test_whole_constants_are_plain() -> None:
    assert literal(-7, I32) == "-7"
    assert literal(1 << 40, INDEX) == "1099511627776"


def axpy(lanes: int) -> Kernel:
    k = Builder("axpy")
    x, y, n = k.buffer("x"), k.buffer("y"), k.index("n")
    with k.loop(0, n, lanes) as i:
        k.store(y, i, k.fma(k.load(x, i, lanes), k.broadcast(2.0, lanes), k.load(y, i, lanes)))
    return k.kernel()


@pytest.mark.parametrize("target", TARGETS, ids=lambda row: row.name)
def test_every_row_renders(target: Target) -> None:
    text = render(axpy(target.lanes), target)
    assert "define void @axpy(ptr" in text
    assert f"load <{target.lanes} x float>" in text
    assert ("@llvm.fma" in text) == target.fma
    assert ("fmul" in text) == (not target.fma)


def test_loop_indices_may_be_negative() -> None:
    """Loops may begin below zero; "no unsigned wrap" would let LLVM compute anything there."""
    assert "nuw" not in render(axpy(8), ROWS["avx2"])


def test_the_same_kernel_is_the_same_text() -> None:
    assert render(axpy(8), ROWS["avx2"]) == render(axpy(8), ROWS["avx2"])


def test_intrinsics_are_declared_once() -> None:
    k = Builder("roots")
    x = k.buffer("x")
    for i in range(3):
        k.store(x, i, k.unary("sqrt", k.load(x, i)))
    assert render(k.kernel(), ROWS["avx2"]).count("declare float @llvm.sqrt.f32(float)") == 1


def strided_sums(reads: int) -> Kernel:
    """y[i] = Σ_j x[j · step + i], for eight numbers of as many `reads`."""
    k = Builder("strided_sums")
    x, y, step = k.buffer("x"), k.buffer("y"), k.index("step")
    with k.loop(0, 8) as i:
        total = k.load(x, i)
        for j in range(1, reads):
            total = total + k.load(x, j * step + i)
        k.store(y, i, total)
    return k.kernel()


@pytest.mark.parametrize("target", ROWS_HERE, ids=lambda row: row.name)
def test_the_index_of_many_addresses_is_hidden_and_means_the_same(target: Target) -> None:
    few, many = strided_sums(MIN_OPAQUE_ACCESSES - 2), strided_sums(MIN_OPAQUE_ACCESSES - 1)
    assert 'asm ""' not in render(few, target)
    assert render(many, target).count('asm ""') == 1
    x = np.random.default_rng(0).standard_normal(9 * MIN_OPAQUE_ACCESSES).astype(np.float32)
    agree(many, [x, np.zeros(8, np.float32), 9], target)


def test_what_an_inner_loop_reads_counts_for_that_loop_alone() -> None:
    k = Builder("nested")
    x = k.buffer("x")
    with k.loop(0, 4) as i, k.loop(0, 4) as j:
        for n in range(MIN_OPAQUE_ACCESSES):
            k.store(x, j + n * i, 0.0 * k.load(x, j))
    assert render(k.kernel(), ROWS["avx2"]).count('asm ""') == 1

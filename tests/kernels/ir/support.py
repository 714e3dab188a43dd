"""Kernels in the interpreter and as machine code, compared bit by bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from opsin.kernels.ir import Builder, Kernel, Target, Value, interpret
from tests.kernels.support import AVX512, HOST_TARGETS, call_native, is_native_only, same_bits
from tests.wasm import HAS_WASMTIME, call_wasm

ALL_TARGETS = HOST_TARGETS if AVX512 in HOST_TARGETS else [*HOST_TARGETS, AVX512]
"""The targets that every instruction is compiled for: those that run here, and the one with the widest vectors."""

FLOATS = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.1, -2.5, 3.5, 1e30, -1e-30, 16777217.0, 3.4e38]
INTS = [0, 1, -1, 2, -7, 13, 255, -256, 65537, 2**30, 2**31 - 1, -(2**31) + 1]


def all_pairs(numbers: Sequence[float], dtype: type, multiple: int) -> tuple[np.ndarray, np.ndarray]:
    """Return every pair of numbers, padded to a multiple of `multiple` pairs."""
    pairs = [(a, b) for a in numbers for b in numbers]
    pairs += [(numbers[1], numbers[1])] * (-len(pairs) % multiple)
    a, b = np.array(pairs, dtype).T
    return a.copy(), b.copy()


def agree(
    kernel: Kernel,
    args: Sequence[np.ndarray | int],
    target: Target,
    begin: int = 0,
    end: int = 1,
    scratch: int = 0,
    portable: bool = True,
) -> list[np.ndarray]:
    """Run a kernel in the interpreter and natively on copies of `args`, compare, and return the arrays.

    A kernel with four lanes and without fused multiply-add also runs as WebAssembly, unless it is not `portable`, such
    as one that computes with whole numbers of 64 bits.
    """
    interpreted, actual, vectors, scalars = (
        [arg if isinstance(arg, int) else arg.copy() for arg in args] for _ in range(4)
    )
    interpret(kernel, interpreted, begin, end, scratch)
    call_native(kernel, target, actual, begin, end, scratch)
    arrays = []
    for number, (a, b) in enumerate(zip(interpreted, actual, strict=True)):
        if not isinstance(a, int) and not isinstance(b, int):
            assert same_bits(a, b), f"argument {number} on {target.name}:\n{a}\nin the interpreter,\n{b}\nnatively"
            arrays.append(b)
    if portable and HAS_WASMTIME and target.lanes == 4 and not target.fma and not is_native_only(kernel):
        for simd, copy in ((True, vectors), (False, scalars)):
            call_wasm(kernel, simd, copy, begin, end, scratch)
            for number, (a, b) in enumerate(zip(actual, copy, strict=True)):
                if not isinstance(a, int) and not isinstance(b, int):
                    assert same_bits(a, b), f"argument {number}:\n{a}\nnatively,\n{b}\nas WebAssembly, {simd=}"
    return arrays


def check_parts_and_strides(
    element: str, x: np.ndarray, target: Target, load: Callable[[Builder, Value, int, int], Value] = Builder.load
) -> None:
    """Load and store parts of vectors, and numbers that are apart, of `x`: three vectors of narrow numbers.

    `load` is the way of loading whole vectors that are stored in part.
    """
    lanes = target.lanes
    k = Builder("parts")
    source, y, z = (k.buffer(name, element) for name in "xyz")
    for count in range(lanes + 1):
        k.store(y, count * lanes, k.load(source, 1, lanes, count))
        k.store(z, count * lanes, load(k, source, 0, lanes), count)
    k.store(y, (lanes + 1) * lanes, k.load(source, 1, lanes, stride=2))
    k.store(z, (lanes + 1) * lanes, k.load(source, 1, lanes), stride=3)
    arrays = [x, *np.full((2, (lanes + 5) * lanes), 77, x.dtype)]
    x_actual, y_actual, z_actual = agree(k.kernel(), arrays, target)
    for count in range(lanes + 1):
        assert y_actual[count * lanes :][:lanes].tolist() == [*x_actual[1 : count + 1], *[0] * (lanes - count)]
        assert z_actual[count * lanes :][:lanes].tolist() == [*x_actual[:count], *[77] * (lanes - count)]
    assert y_actual[(lanes + 1) * lanes :][:lanes].tolist() == x_actual[1 : 2 * lanes + 1 : 2].tolist()
    assert z_actual[(lanes + 1) * lanes :][: 3 * lanes : 3].tolist() == x_actual[1 : lanes + 1].tolist()

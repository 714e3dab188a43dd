"""Kernels by their definition and as machine code, compared bit by bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.kernels.ir import Kernel, Target, interpret
from tests.kernels.support import AVX512, HOST_TARGETS, call_native

ROWS = [*HOST_TARGETS, AVX512]
"""What every instruction is rendered for: all rows that run here, and vectors wider than this processor's."""

FLOATS = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.1, -2.5, 3.5, 1e30, -1e-30, 16777217.0, 3.4e38]
INTS = [0, 1, -1, 2, -7, 13, 255, -256, 65537, 2**30, 2**31 - 1, -(2**31) + 1]


def all_pairs(numbers: Sequence[float], dtype: type, multiple: int) -> tuple[np.ndarray, np.ndarray]:
    """Every number with every other, filled up to a multiple of `multiple`."""
    pairs = [(a, b) for a in numbers for b in numbers]
    pairs += [(numbers[1], numbers[1])] * (-len(pairs) % multiple)
    a, b = np.array(pairs, dtype).T
    return a.copy(), b.copy()


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether all numbers are the same, the sign of zero included; one NaN is like another."""
    if a.dtype != np.float32:
        return bool(np.array_equal(a, b))
    return bool(np.all((a.view(np.int32) == b.view(np.int32)) | (np.isnan(a) & np.isnan(b))))


def agree(
    kernel: Kernel, args: Sequence[np.ndarray | int], target: Target, begin: int = 0, end: int = 1, scratch: int = 0
) -> list[np.ndarray]:
    """The arrays among `args` after the kernel has run on copies of them: the same both ways, or the test fails."""
    meant, found = (
        [arg if isinstance(arg, int) else arg.copy() for arg in args],
        [arg if isinstance(arg, int) else arg.copy() for arg in args],
    )
    interpret(kernel, meant, begin, end, scratch)
    call_native(kernel, target, found, begin, end, scratch)
    arrays = []
    for number, (a, b) in enumerate(zip(meant, found, strict=True)):
        if not isinstance(a, int) and not isinstance(b, int):
            assert same_bits(a, b), f"argument {number} on {target.name}:\n{a}\nis meant,\n{b}\nwas found"
            arrays.append(b)
    return arrays

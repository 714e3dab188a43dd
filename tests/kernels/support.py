"""Running one kernel on arrays: in the interpreter, and as machine code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import count
from math import prod
from typing import Any

import numpy as np
import pytest

from opsin.backends.native import codegen, render
from opsin.kernels import ir
from opsin.kernels.ir import Kernel, Target, interpret
from opsin.kernels.panels import PanelShape
from opsin.kernels.spec import KERNEL_FUNCTION, KernelSpec
from tests.wasm import HAS_WASMTIME, call_wasm

HOST_TARGETS = codegen.host().targets
"""The rows of the target table that run here."""

AVX512 = next(row for row in ir.TARGETS if row.lanes == 16)
"""The row with the widest vectors. Narrower processors run its kernels, too, but more slowly."""

MARGIN, UNTOUCHED = 32, 77
_numbers = count()


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether all numbers are equal, including the sign of zero; all NaNs are equal."""
    if a.dtype != np.float32:
        return bool(np.array_equal(a, b))
    return bool(np.all((a.view(np.int32) == b.view(np.int32)) | (np.isnan(a) & np.isnan(b))))


def guarded(shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    """Return an array for results, full of `UNTOUCHED`, with a margin of the same before and after it."""
    whole = np.full(prod(shape) + 2 * MARGIN, UNTOUCHED, dtype)
    return whole[MARGIN:-MARGIN].reshape(shape)


def margins_hold(array: np.ndarray) -> bool:
    """Return whether nothing was written around an array from `guarded`."""
    whole = array.base
    assert whole is not None
    assert whole.size == array.size + 2 * MARGIN
    return bool((whole[:MARGIN] == UNTOUCHED).all() and (whole[-MARGIN:] == UNTOUCHED).all())


def call_native(
    kernel: Kernel, target: Target, args: Sequence[np.ndarray | int], begin: int, end: int, scratch: int = 0
) -> None:
    """Compile `kernel` and run it on blocks `begin … end`; arrays are changed in place."""
    _call(_compile(kernel, target), args, begin, end, scratch)


def run_native(
    spec: KernelSpec,
    args: Sequence[np.ndarray | int],
    begin: int,
    end: int,
    scratch: int = 0,
    target: Target | None = None,
) -> None:
    """Run the kernel of `spec` as machine code; `scratch` counts float32 elements."""
    _call(_compile_spec(spec, target or codegen.host().target), args, begin, end, scratch)


def run_interpreted(
    spec: KernelSpec,
    args: Sequence[np.ndarray | int],
    begin: int,
    end: int,
    scratch: int = 0,
    target: Target | None = None,
) -> None:
    """Run the kernel of `spec` in the interpreter."""
    interpret(spec.build(target or codegen.host().target), args, begin, end, scratch)


def run_portable(
    spec: KernelSpec,
    args: Sequence[np.ndarray | int],
    begin: int,
    end: int,
    scratch: int = 0,
    target: Target | None = None,
) -> None:
    """Run the portable kernel of `spec` as machine code and as WebAssembly with and without vectors, to the bit."""
    kernel = spec.build(ir.PORTABLE)
    if is_native_only(kernel):
        pytest.skip("exported programs compute with neither bfloat16 nor four bytes in a lane")
    copies = [[arg if isinstance(arg, int) else arg.copy() for arg in args] for _ in range(2)]
    run_native(spec, args, begin, end, scratch, ir.PORTABLE)
    for simd, copy in zip((True, False), copies, strict=True):
        call_wasm(kernel, simd, copy, begin, end, scratch)
        for number, (a, b) in enumerate(zip(args, copy, strict=True)):
            if not isinstance(a, int) and not isinstance(b, int):
                assert same_bits(a, b), f"argument {number} of {kernel.name}, {simd=}"


NATIVE_ELEMENTS = (ir.BF16, ir.PAIR, ir.QUAD, ir.U8_QUAD)
"""Elements that exported programs do not compute with: their kernels are those of `PORTABLE`."""


def is_native_only(kernel: Kernel) -> bool:
    """Return whether a kernel computes with elements that exported programs do not have."""
    return any(
        value.kind.element in NATIVE_ELEMENTS
        for item in kernel.instructions()
        for value in item.operands
        if hasattr(value, "kind")
    ) or any(parameter.element in NATIVE_ELEMENTS for parameter in kernel.parameters)


RUNS = [(run_native, row) for row in HOST_TARGETS] + [(run_interpreted, row) for row in ir.TARGETS]
"""As machine code with the vectors that this processor has, and in the interpreter with those of all targets."""

if HAS_WASMTIME:
    RUNS.append((run_portable, ir.PORTABLE))

each_run = pytest.mark.parametrize(("run", "target"), RUNS, ids=[f"{run.__name__}-{row.name}" for run, row in RUNS])


def arguments(spec: KernelSpec, *epilogue: np.ndarray, **values: Any) -> list[np.ndarray | int]:
    """Return the arguments of a call in order, from `values` by the names of the signature; groups are sequences."""
    ordered: list[np.ndarray | int] = []
    for name in spec.signature.pointers + spec.signature.words:
        if name.startswith("*"):
            ordered += values.pop(name[1:])
        else:
            ordered.append(values.pop(name))
    assert not values, f"unknown arguments {sorted(values)}"
    return [*ordered, *epilogue]


def with_slack(array: np.ndarray) -> np.ndarray:
    """Return a copy whose memory continues with NaNs, for kernels that read whole vectors beyond the end."""
    memory = np.full(array.size + 2 * AVX512.lanes, np.nan, np.float32)
    memory[: array.size] = array.ravel()
    return memory


def pack(matrix: np.ndarray, target: Target) -> np.ndarray:
    """Return `matrix` (depth × columns) in panels of two vectors, with zeros beyond the last column."""
    depth, columns = matrix.shape
    width = 2 * target.lanes
    panels = -(-columns // width)
    padded = np.zeros((depth, panels * width), np.float32)
    padded[:, :columns] = matrix
    return np.ascontiguousarray(padded.reshape(depth, panels, width).swapaxes(0, 1))


def interleaved(matrix: np.ndarray, shape: PanelShape, target: Target) -> np.ndarray:
    """Return `matrix` (depth × columns) in panels of `shape`, with zeros beyond the last column."""
    depth, columns = matrix.shape
    width, panels = shape.columns(target), shape.count(columns, target)
    padded = np.zeros((depth, panels * width), np.float32)
    padded[:, :columns] = matrix
    parts = padded.reshape(depth // shape.interleave, shape.interleave, panels, width)
    return np.ascontiguousarray(parts.transpose(2, 0, 3, 1))


@cache
def _compile_spec(spec: KernelSpec, target: Target) -> int:
    return _compile(spec.build(target), target)


def _compile(kernel: Kernel, target: Target) -> int:
    # Every function of the process needs a different name.
    kernel = replace(kernel, name=f"{kernel.name}_{next(_numbers)}")
    (address,) = codegen.load(codegen.object_code(render.render(kernel, target)), kernel.name)
    return address


def _call(address: int, args: Sequence[np.ndarray | int], begin: int, end: int, scratch: int) -> None:
    for arg in args:
        if not isinstance(arg, int):
            assert arg.flags.c_contiguous
            assert arg.dtype in (np.float32, np.int32, np.uint8, np.uint16, np.int8, np.int16)
    words = np.array([arg if isinstance(arg, int) else arg.ctypes.data for arg in args], np.int64)
    memory = guarded((max(scratch, 1),))
    KERNEL_FUNCTION(address)(words.ctypes.data, begin, end, memory.ctypes.data)
    assert margins_hold(memory), "wrote beyond its scratch memory"

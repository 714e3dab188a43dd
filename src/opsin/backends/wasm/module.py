"""A module: kernels as functions, and a function `run` that calls them as a portable program says.

Memory begins with `MAX_OFFSET` unused bytes, so that no address becomes negative when its constant part is split off.
Then come constants, arena and scratch, and at the end free memory. The module exports its memory. The constants are not
part of it: whoever loads it copies them to their address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from opsin.backends.portable import Address, Array, PortableProgram, Segment
from opsin.backends.wasm import encoding
from opsin.backends.wasm.encoding import CALL, I32, name, sized, unsigned, vector
from opsin.backends.wasm.function import render
from opsin.backends.wasm.memory import MAX_OFFSET
from opsin.base.errors import CompileError
from opsin.kernels.ir import Kernel

PAGE_BYTES = 2**16
MAX_BYTES = 2**31
"""Addresses are compared as signed numbers."""

ALIGNMENT = 64
READ_MARGIN = 64
"""Bytes beyond the last buffer that kernels may read."""


@dataclass(frozen=True)
class Tensor:
    """An input or output in the module's memory: its address, shape (N C H W) and strides in bytes."""

    address: int
    element: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class WasmModule:
    """The bytes of a module, where its constants go, and where its inputs and outputs are; `free` is the first byte
    that it does not use, and `scratch` the scratch memory."""

    code: bytes
    constants: int
    scratch: int
    free: int
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]


def program_module(
    program: PortableProgram, simd: bool = True, kernels: Mapping[str, Kernel] | None = None, scratch_bytes: int = 0
) -> WasmModule:
    """Return the module of a program: `run()` computes the outputs from the inputs.

    `kernels` are exported as functions, too: their arguments, begin, end, and the address of scratch memory, of which
    there are at least `scratch_bytes`. Without `simd`, the module has no vector instructions; its results are equal to
    the bit. Raise `CompileError` if the program does not fit into the memory of a module.
    """
    bases = {Segment.CONSTANTS: MAX_OFFSET}
    bases[Segment.ARENA] = _after(MAX_OFFSET, len(program.constants))
    bases[Segment.SCRATCH] = _after(bases[Segment.ARENA], program.arena_bytes)
    free = _after(bases[Segment.SCRATCH], max(program.scratch_bytes, scratch_bytes))
    if free > MAX_BYTES:
        raise CompileError(f"the network needs {free:,} bytes, and WebAssembly addresses {MAX_BYTES:,}")

    def place(address: Address) -> int:
        return bases[address.segment] + address.offset

    def tensors(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
        return {key: Tensor(place(a.address), a.element, a.shape, a.strides) for key, a in arrays.items()}

    run = bytearray()
    for call in program.calls:
        arguments = [a if isinstance(a, int) else place(a) for a in call.arguments]
        for number in (*arguments, 0, call.blocks, bases[Segment.SCRATCH]):
            run += b"\x41" + encoding.signed(number)
        run += CALL + unsigned(call.kernel)
    code = _module([*program.kernels], dict(kernels or {}), simd, bytes(run), free)
    return WasmModule(code, MAX_OFFSET, bases[Segment.SCRATCH], free, tensors(program.inputs), tensors(program.outputs))


def kernel_module(kernels: Mapping[str, Kernel], simd: bool = True, memory_bytes: int = 0) -> bytes:
    """Return a module that exports `kernels` as functions, and memory with `memory_bytes` after `MAX_OFFSET`."""
    return _module([], kernels, simd, None, _after(MAX_OFFSET, memory_bytes))


def _after(start: int, size: int) -> int:
    """Return the address after a segment and the bytes beyond it that may be read."""
    return -(-(start + size + READ_MARGIN) // ALIGNMENT) * ALIGNMENT


def _module(
    private: list[Kernel], exported: Mapping[str, Kernel], simd: bool, run: bytes | None, memory_bytes: int
) -> bytes:
    kernels = [*private, *exported.values()]
    counts = [len(kernel.parameters) + 3 for kernel in kernels] + ([] if run is None else [0])
    types = list(dict.fromkeys(counts))
    bodies = [render(kernel, simd) for kernel in kernels]
    exports = [name("memory") + b"\x02\x00"]
    exports += [_export(key, number) for number, key in enumerate(exported, len(private))]
    if run is not None:
        exports.append(_export("run", len(kernels)))
        bodies.append(sized(vector([]) + run + encoding.END))
    return encoding.module(
        [
            (1, vector([_function_type(count) for count in types])),
            (3, vector([unsigned(types.index(count)) for count in counts])),
            (5, vector([b"\x00" + unsigned(-(-memory_bytes // PAGE_BYTES))])),
            (7, vector(exports)),
            (10, vector(bodies)),
        ]
    )


def _function_type(parameters: int) -> bytes:
    return b"\x60" + vector([bytes([I32])] * parameters) + vector([])


def _export(key: str, number: int) -> bytes:
    return name(key) + b"\x00" + unsigned(number)

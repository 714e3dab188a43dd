"""The nodes of the kernel IR: instructions on vectors, loops and branches.

A `Kernel` is a list of instructions in nested blocks. Python code builds it with a `Builder`: a Python `for` loop
unrolls while the kernel is built, and `Builder.loop` emits a loop. Values are scalars or short vectors of float32,
int32 or booleans, and 64-bit whole numbers for indices and addresses. Memory may also hold narrower numbers (`WIDE`): a
load widens them, and a store narrows. bfloat16 becomes float32, which a store rounds (`bfloat16.py` defines how); bytes
and int16 become int32, of which a store takes the low bits. Kernels that multiply narrow numbers load several of them
into each lane of four bytes (`PACKED`), and `dot` adds the products of all (`bfloat16.py`, `integers.py`). The
interpreter (`interpreter.py`, in NumPy) defines the semantics; any number of code generators translate the IR.

All kernels have the same calling convention, so that a compiled program is a table of calls:
`kernel(args, begin, end, scratch)`. `args` holds one 64-bit word for each parameter (an address or a number),
`begin … end` is the range of independent blocks of work to compute, and `scratch` is memory of the calling thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

F32, I32, U8, INDEX, BOOL = "f32", "i32", "u8", "index", "bool"
BF16, I16, I8 = "bf16", "i16", "i8"
"""Narrow elements of memory: bfloat16, and signed whole numbers of 16 and 8 bits."""
PAIR, I16_PAIR, QUAD, U8_QUAD = "bf16x2", "i16x2", "i8x4", "u8x4"
"""Several narrow elements in a lane of four bytes: the first one in memory in the lowest bits."""

WIDE = {BF16: F32, I16: I32, I8: I32, U8: I32}
"""The element kind that each narrow one becomes when it is loaded."""
PACKED = {BF16: PAIR, I16: I16_PAIR, I8: QUAD, U8: U8_QUAD}
"""The element kind of lanes that hold several of a narrow one."""
SUMS = {F32: F32, PAIR: F32, I16_PAIR: I32, QUAD: I32}
"""The element kind of sums of products, by that of the right factors."""
ELEMENT_BYTES = {
    F32: 4, I32: 4, INDEX: 8, U8: 1, I8: 1, BF16: 2, I16: 2, PAIR: 4, I16_PAIR: 4, QUAD: 4, U8_QUAD: 4
}  # fmt: skip
"""The size of each element that memory may hold."""

TILE_ROWS = 16
"""The rows of a tile register, and the words of four bytes in a row."""


@dataclass(frozen=True)
class ScalarType:
    """The type of a value: an element kind and a number of lanes (1 for a scalar)."""

    element: str
    lanes: int = 1

    def __str__(self) -> str:
        return self.element if self.lanes == 1 else f"{self.element}×{self.lanes}"


@dataclass(frozen=True, eq=False)
class Parameter:
    """One word of the argument table: the address of an array of `element`s, or a whole number (`INDEX`)."""

    name: str
    element: str
    is_buffer: bool


@dataclass(eq=False)
class Instruction:
    """`result = name(operands)`; `data` is fixed when the kernel is built."""

    name: str
    result: Any  # Value | None
    operands: tuple[Any, ...]
    data: Any = None


@dataclass(eq=False)
class Loop:
    """Runs `body` with `index` from `start` up to (not including) `stop`, in positive steps of `step`."""

    index: Any
    start: Any
    stop: Any
    step: Any
    body: list[Any] = field(default_factory=list)


@dataclass(eq=False)
class Branch:
    """Runs `body` if `condition` holds, and `otherwise` if not."""

    condition: Any
    body: list[Any] = field(default_factory=list)
    otherwise: list[Any] = field(default_factory=list)


@dataclass(eq=False)
class Kernel:
    """A finished kernel. `begin`, `end` and `scratch_base` are the values of the calling convention."""

    name: str
    parameters: list[Parameter]
    begin: Any
    end: Any
    scratch_base: Any
    body: list[Any]
    registers: list[Any]

    def instructions(self) -> Iterator[Instruction]:
        """Yield all instructions in order, with those of loops and branches flattened."""
        stack: list[Any] = list(reversed(self.body))
        while stack:
            item = stack.pop()
            if isinstance(item, Instruction):
                yield item
            elif isinstance(item, Loop):
                stack.extend(reversed(item.body))
            else:
                stack.extend(reversed(item.body + item.otherwise))

"""The kernel language: loops over vectors, as data.

A `Kernel` is a list of instructions in nested blocks, built by ordinary Python (`build.Builder`):
Python's own `for` unrolls while building, `Builder.loop` runs at run time. Values are scalars or
short vectors of float32 or int32, whole numbers for addresses (64 bits), and truth values; memory
may hold unsigned bytes, too, which are int32 once loaded. There is one meaning of each instruction
(`meaning.py`, in NumPy), and any number of renderings.

Every kernel has the same calling convention, so that a compiled program is a table of calls:
`kernel(args, begin, end, scratch)`, where `args` holds one 64-bit word per parameter (an address
or a number), `begin … end` are the independent blocks of work to do, and `scratch` is memory of
the calling thread's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

F32, I32, U8, INDEX, BOOL = "f32", "i32", "u8", "index", "bool"


@dataclass(frozen=True)
class ScalarType:
    """What a value is: an element kind and a number of lanes (1 is a scalar)."""

    element: str
    lanes: int = 1

    def __str__(self) -> str:
        return self.element if self.lanes == 1 else f"{self.element}×{self.lanes}"


@dataclass(frozen=True, eq=False)
class Parameter:
    """A word of the argument table: the address of `element`s, or a whole number (`INDEX`)."""

    name: str
    element: str
    is_buffer: bool


@dataclass(eq=False)
class Instruction:
    """`result = name(operands)`, with `data` for what is fixed when the kernel is built."""

    name: str
    result: Any  # Value | None
    operands: tuple[Any, ...]
    data: Any = None


@dataclass(eq=False)
class Loop:
    """Runs `body` with `index` from `start` up to (not including) `stop`, by a positive `step`."""

    index: Any
    start: Any
    stop: Any
    step: Any
    body: list[Any] = field(default_factory=list)


@dataclass(eq=False)
class Branch:
    """Runs `body` where `condition` holds, `otherwise` where not."""

    condition: Any
    body: list[Any] = field(default_factory=list)
    otherwise: list[Any] = field(default_factory=list)


@dataclass(eq=False)
class Kernel:
    """A finished kernel; `scratch` is the number of float32 elements each thread needs beside."""

    name: str
    parameters: list[Parameter]
    begin: Any
    end: Any
    scratch_base: Any
    body: list[Any]
    registers: list[Any]

    def instructions(self) -> Iterator[Instruction]:
        """Every instruction, loops and branches flattened, in order."""
        stack: list[Any] = list(reversed(self.body))
        while stack:
            item = stack.pop()
            if isinstance(item, Instruction):
                yield item
            elif isinstance(item, Loop):
                stack.extend(reversed(item.body))
            else:
                stack.extend(reversed(item.body + item.otherwise))

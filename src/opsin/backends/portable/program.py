"""A program as plain data: calls of kernels, their addresses, and the numbers that no run changes.

A program has three segments of memory. `CONSTANTS` holds weights as the kernels read them, such as packed in panels,
and tables; it may be in read-only memory. `ARENA` holds inputs, outputs and everything between. `SCRATCH` is the
private memory of one call. Calls run one after the other, so a buffer lives from the first call that touches it to the
last, and inputs share the arena with what is computed later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.compiler.arena import ALIGNMENT, OVERREAD_WORDS
from opsin.kernels.ir import DTYPES, PORTABLE, Kernel


class Segment(Enum):
    """A part of the memory of a program."""

    CONSTANTS = "constants"
    ARENA = "arena"
    SCRATCH = "scratch"


@dataclass(frozen=True)
class Address:
    """A byte of a segment."""

    segment: Segment
    offset: int


@dataclass(frozen=True)
class Call:
    """`kernel(arguments, 0, blocks, scratch)`; `kernel` is a number in `PortableProgram.kernels`.

    `scope` is the layer, `label` the operation, and `macs` counts its multiplications; `arena_bytes`
    and `constants_bytes` are those of the arrays that it reads and writes. They are for people.
    """

    kernel: int
    arguments: tuple[Address | int, ...]
    blocks: int
    scope: str
    label: str
    macs: int
    arena_bytes: int
    constants_bytes: int
    scratch: Address = Address(Segment.SCRATCH, 0)


@dataclass(frozen=True)
class Layout:
    """How buffers are placed: the words that each is aligned to, and those that follow it because kernels read them.

    If `compact`, only the last buffer of a segment is followed by them, since it does no harm to read the next one; the
    scratch memory of a call is placed in the arena, where it lives during this call only; and results replace what is
    read for the last time.
    """

    alignment: int = ALIGNMENT
    overread: int = OVERREAD_WORDS
    compact: bool = False

    def size(self, words: int) -> int:
        """Return the words that a buffer of `words` takes."""
        if not self.compact:
            words += self.overread
        return -(-words // self.alignment) * self.alignment

    @property
    def tail(self) -> int:
        """The words at the end of a segment."""
        return self.overread if self.compact else 0


ALIGNED = Layout()
COMPACT = Layout(1, PORTABLE.lanes - 1, compact=True)
"""The layout with the least memory: vectors of the portable target begin at any word and inside a buffer."""


@dataclass(frozen=True)
class Array:
    """A tensor in memory: its logical shape (N C H W), and its strides in bytes."""

    address: Address
    element: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, memory: NDArray[np.uint8]) -> NDArray[Any]:
        """Return the array in the bytes of its segment, as a view."""
        data: NDArray[Any] = memory[self.address.offset :].view(DTYPES[self.element])
        return np.lib.stride_tricks.as_strided(data, self.shape, self.strides)


@dataclass(frozen=True)
class Step:
    """Calls that run at `count` ticks, every `period` of them from `first` on."""

    calls: tuple[Call, ...]
    first: int
    period: int
    count: int


@dataclass(frozen=True)
class Stream:
    """What runs before the calls of a program whose input is the next row of an image.

    At each of `ticks` ticks, the next of the image's `rows` rows is written to the input, as long as there are any, and
    the calls of all steps that are due run in order. After the first row is written, the calls of `begin` run. The
    first `layers` calls of the network run row by row.
    """

    begin: tuple[Call, ...]
    steps: tuple[Step, ...]
    rows: int
    ticks: int
    layers: int

    @property
    def calls(self) -> tuple[Call, ...]:
        return (*self.begin, *(call for step in self.steps for call in step.calls))


@dataclass(frozen=True, eq=False)
class PortableProgram:
    """A graph for one sample as kernels, calls and memory; sizes are in bytes, offsets multiples of the alignment.

    With a `stream`, the input is a row of the image, and `calls` are those that follow the last row.
    """

    kernels: tuple[Kernel, ...]
    calls: tuple[Call, ...]
    constants: bytes
    arena_bytes: int
    scratch_bytes: int
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    stream: Stream | None = None

    @property
    def all_calls(self) -> tuple[Call, ...]:
        """The calls in the order of a program's text, each once."""
        return (*(self.stream.calls if self.stream else ()), *self.calls)

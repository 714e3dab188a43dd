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
from numpy.typing import ArrayLike, NDArray

from opsin.backends.portable.engine import compile
from opsin.compiler.arena import ALIGNMENT, OVERREAD_WORDS, lifetimes, place
from opsin.compiler.calls import KernelCall
from opsin.compiler.execution_plan import ExecutionPlan
from opsin.compiler.overlays import overlays
from opsin.compiler.schedule import CallGroup
from opsin.compiler.tight_arena import place_tightly
from opsin.compiler.views import WORD_BYTES, Buffer, View
from opsin.ir import Graph
from opsin.kernels.ir import DTYPES, ELEMENT_BYTES, F32, PORTABLE, Kernel, Target


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

    `scope` is the layer, `label` the operation, and `macs` counts its multiplications; they are for people.
    """

    kernel: int
    arguments: tuple[Address | int, ...]
    blocks: int
    scope: str
    label: str
    macs: int
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


@dataclass(frozen=True, eq=False)
class PortableProgram:
    """A graph for one sample as kernels, calls and memory; sizes are in bytes, offsets multiples of the alignment."""

    kernels: tuple[Kernel, ...]
    calls: tuple[Call, ...]
    constants: bytes
    arena_bytes: int
    scratch_bytes: int
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


def portable_program(
    graph: Graph, state: Mapping[str, ArrayLike], layout: Layout = Layout(), target: Target = PORTABLE
) -> PortableProgram:
    """Return `graph` for one sample with the variables of `state`; what depends on them alone is computed here.

    Kernels are built for `target`, which is `PORTABLE` or `PORTABLE_SMALL`.
    """
    program = compile(graph, 1, 1, target=target)
    program.load_state(state)
    plan = program.plan
    calls = [call for group in plan.groups[plan.setup :] for call in group.calls]
    scratch = [Buffer(call.scratch, F32, "scratch") for call in calls] if layout.compact else []
    offsets, arena_words = _arena(plan, calls, scratch, layout)
    constants = _Constants(offsets, layout)
    needed = [*(buffer for call in calls for buffer in call.reads), *(view.buffer for view in plan.outputs.values())]
    for buffer in dict.fromkeys(needed):
        if buffer not in offsets:
            constants.add(buffer, program.prepared(buffer))
    numbers: dict[Any, int] = {}
    portable_calls = [
        Call(
            numbers.setdefault(call.spec, len(numbers)),
            tuple(a if isinstance(a, int) else constants.address(a) for a in call.arguments),
            call.blocks,
            call.scope,
            call.label,
            call.macs,
            *([Address(Segment.ARENA, WORD_BYTES * offsets[scratch[number]])] if layout.compact else []),
        )
        for number, call in enumerate(calls)
    ]
    return PortableProgram(
        tuple(spec.build(target) for spec in numbers),
        tuple(portable_calls),
        constants.data(),
        WORD_BYTES * arena_words,
        0 if layout.compact else WORD_BYTES * plan.scratch_size,
        {name: constants.array(view) for name, view in plan.inputs.items()},
        {name: constants.array(view) for name, view in plan.outputs.items()},
    )


def _arena(
    plan: ExecutionPlan, calls: list[KernelCall], scratch: list[Buffer], layout: Layout
) -> tuple[dict[Buffer, int], int]:
    """Return the places of inputs, outputs, temporaries and each call's scratch in words, and the size of the arena."""
    groups = [CallGroup(False, [call]) for call in calls]
    outputs = {view.buffer for view in plan.outputs.values()}
    spans = {b: span for b, span in lifetimes(groups, outputs).items() if b not in plan.permanent}
    for view in plan.inputs.values():
        readers = [number for number, call in enumerate(calls) if view.buffer in call.reads]
        spans[view.buffer] = 0, max(readers, default=0)
    spans |= {buffer: (number, number) for number, buffer in enumerate(scratch)}
    if not layout.compact:
        return place(spans)
    offsets, words = place_tightly(spans, layout.alignment, overlays(calls))
    return offsets, words + layout.tail


class _Constants:
    """The constants, one after the other, and the addresses of all buffers."""

    def __init__(self, arena: Mapping[Buffer, int], layout: Layout) -> None:
        self._arena, self._layout = arena, layout
        self._offsets: dict[Buffer, int] = {}
        self._parts: list[bytes] = []
        self._words = 0

    def add(self, buffer: Buffer, data: bytes) -> None:
        self._offsets[buffer] = self._words
        words = self._layout.size(buffer.words)
        self._parts.append(data.ljust(WORD_BYTES * words, b"\0"))
        self._words += words

    def address(self, view: View) -> Address:
        places, segment = (
            (self._arena, Segment.ARENA) if view.buffer in self._arena else (self._offsets, Segment.CONSTANTS)
        )
        start = WORD_BYTES * places[view.buffer]
        return Address(segment, start + ELEMENT_BYTES[view.buffer.element] * view.offset)

    def array(self, view: View) -> Array:
        size = ELEMENT_BYTES[view.buffer.element]
        strides = tuple(size * stride for stride in view.strides)
        return Array(self.address(view), view.buffer.element, view.shape, strides)

    def data(self) -> bytes:
        return b"".join(self._parts) + bytes(WORD_BYTES * self._layout.tail)

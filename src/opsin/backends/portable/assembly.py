"""From the calls of a plan, with the places of their buffers, to a program as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from opsin.backends.native import Native
from opsin.backends.portable.program import Address, Array, Call, Layout, PortableProgram, Segment, Stream
from opsin.compiler.calls import KernelCall
from opsin.compiler.views import WORD_BYTES, Buffer, View
from opsin.kernels.ir import ELEMENT_BYTES, Target


class Assembly:
    """Numbers the kernels of calls, and gathers the constants that they read."""

    def __init__(
        self, program: Native, arena: Mapping[Buffer, int], scratch: Mapping[KernelCall, Buffer], layout: Layout
    ) -> None:
        self._program, self._arena, self._scratch, self._layout = program, arena, scratch, layout
        self._constants = _Constants(arena, layout)
        self._numbers: dict[Any, int] = {}

    def keep(self, buffers: Iterable[Buffer]) -> None:
        """Add the buffers that are not in the arena to the constants."""
        for buffer in dict.fromkeys(buffers):
            if buffer not in self._arena:
                self._constants.add(buffer, self._program.prepared(buffer))

    def call(self, call: KernelCall) -> Call:
        """Return a call with addresses."""
        self.keep(call.reads)
        touched = {**call.reads, **call.writes}
        scratch = self._arena.get(self._scratch.get(call))  # type: ignore[arg-type]
        return Call(
            self._numbers.setdefault(call.spec, len(self._numbers)),
            tuple(a if isinstance(a, int) else self._constants.address(a) for a in call.arguments),
            call.blocks,
            call.scope,
            call.label,
            call.macs,
            WORD_BYTES * (call.scratch + sum(b.words for b in touched if b in self._arena)),
            WORD_BYTES * sum(buffer.words for buffer in touched if buffer not in self._arena),
            *([] if scratch is None else [Address(Segment.ARENA, WORD_BYTES * scratch)]),
        )

    def program(
        self, calls: tuple[Call, ...], inputs: Mapping[str, View], outputs: Mapping[str, View],
        sizes: tuple[int, int], target: Target, stream: Stream | None = None,
    ) -> PortableProgram:  # fmt: skip
        """Return the program of `calls` that were assembled; `sizes` are the words of the arena and of the scratch
        memory."""
        self.keep(view.buffer for view in outputs.values())
        return PortableProgram(
            tuple(spec.build(target) for spec in self._numbers),
            calls,
            self._constants.data(),
            WORD_BYTES * sizes[0],
            WORD_BYTES * sizes[1],
            {name: self._constants.array(view) for name, view in inputs.items()},
            {name: self._constants.array(view) for name, view in outputs.items()},
            stream,
        )


class _Constants:
    """The constants, one after the other, and the addresses of all buffers. Equal constants are stored once."""

    def __init__(self, arena: Mapping[Buffer, int], layout: Layout) -> None:
        self._arena, self._layout = arena, layout
        self._offsets: dict[Buffer, int] = {}
        self._parts: dict[bytes, int] = {}
        self._words = 0

    def add(self, buffer: Buffer, data: bytes) -> None:
        words = self._layout.size(buffer.words)
        place = self._parts.setdefault(data.ljust(WORD_BYTES * words, b"\0"), self._words)
        self._offsets[buffer] = place
        if place == self._words:
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

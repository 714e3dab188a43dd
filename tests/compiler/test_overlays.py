"""Overlays are safe: what kernels read after they wrote, as the interpreter records it, is beyond what they wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from opsin import ops
from opsin.compiler.calls import KernelCall
from opsin.compiler.execution_plan import make_plan
from opsin.compiler.overlays import Overlay, overlays
from opsin.compiler.tight_arena import least_size, place_tightly
from opsin.compiler.views import Buffer, View
from opsin.ir import Graph, input_tensor, variable
from opsin.kernels.ir import DTYPES, ELEMENT_BYTES, F32, PORTABLE, PORTABLE_SMALL, Instruction
from opsin.kernels.ir.interpreter import Interpreter
from opsin.kernels.row_order import RowOrder
from tests.backends.test_quantized import block
from tests.support import cases, forward_graph, generator

OVERREAD = 64


class Recorder(Interpreter):
    """Records accesses as (is a store, array, first byte, byte past the last)."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.accesses: list[tuple[bool, int, int, int]] = []

    def record(self, item: Instruction, element: str, count: int, is_store: bool = False) -> None:
        address, index = (int(self.values[v][0]) for v in item.operands[:2])
        size = ELEMENT_BYTES[element]
        array, first = divmod(address + index * size, 1 << 36)
        self.accesses.append((is_store, array - 1, first, first + count * size))

    def _read(self, item: Instruction, stride: int) -> None:
        self.record(item, item.result.kind.element, 1 + (item.data - 1) * stride)
        super()._read(item, stride)

    def _write(self, item: Instruction, stride: int) -> None:
        self.record(item, item.operands[2].kind.element, 1 + (item.data - 1) * stride, is_store=True)
        super()._write(item, stride)

    def _do_load_pairs(self, item: Instruction) -> None:
        self.record(item, "i8", 2 * item.result.kind.lanes)
        super()._do_load_pairs(item)


def recorded(call: KernelCall, target: Any) -> list[tuple[bool, Buffer, int, int]]:
    """Run a call on arrays of zeros, and return its accesses to them."""
    buffers = {a.buffer: np.zeros(a.buffer.size + OVERREAD, DTYPES[a.buffer.element]) for a in views(call)}
    numbers = {buffer: number for number, buffer in enumerate(buffers)}
    run = Recorder(call.spec.build(target), False)
    bases = {buffer: run.memory.add(array) for buffer, array in buffers.items()}
    words = [a if isinstance(a, int) else bases[a.buffer] + ELEMENT_BYTES[a.buffer.element] * a.offset
             for a in call.arguments]  # fmt: skip
    run.run(words, 0, call.blocks, call.scratch)
    by_number = {number: buffer for buffer, number in numbers.items()}
    return [(store, by_number[n], a, b) for store, n, a, b in run.accesses if n in by_number]


def views(call: KernelCall) -> list[View]:
    return [argument for argument in call.arguments if isinstance(argument, View)]


def least_distance(accesses: list[tuple[bool, Buffer, int, int]], read: Buffer, written: Buffer) -> int:
    """Return the bytes that `written` must begin before `read`."""
    distance, needed = 0, 1 << 40
    for is_store, buffer, first, end in reversed(accesses):
        if is_store and buffer is written:
            distance = max(distance, end - needed)
        elif not is_store and buffer is read:
            needed = min(needed, first)
    return distance


def is_safe_in_place(accesses: list[tuple[bool, Buffer, int, int]], read: Buffer, written: Buffer) -> bool:
    """Whether no byte is read after one was written at the same place."""
    bytes_written: set[int] = set()
    for is_store, buffer, first, end in accesses:
        if is_store and buffer is written:
            bytes_written.update(range(first, end))
        elif not is_store and buffer is read and not bytes_written.isdisjoint(range(first, end)):
            return False
    return True


OPERATIONS = (
    "conv2d_int8", "lookup_int8", "add_int8", "avg_pool2d_int8", "quantize", "dequantize", "conv2d", "max_pool2d",
    "avg_pool2d",
)  # fmt: skip


def graphs() -> Iterator[Graph]:
    """Yield networks and single operations of many sizes, strides and paddings."""
    yield block(3, 1)[0]
    x, w = input_tensor("x", (1, 8, 7, 5)), variable("w", (8, 8, 3, 3))
    square = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    hidden = ops.conv2d(x, w, **square)
    yield Graph((x,), {"y": ops.add(ops.conv2d(ops.relu(hidden), w, **square), hidden)})
    for name in OPERATIONS:
        for sample in cases(name, generator("overlays", name), 3):
            yield forward_graph(name, sample)


def test_kernels_read_nothing_that_an_overlay_replaced() -> None:
    tight: Counter[str] = Counter()
    in_place: set[str] = set()
    for number, graph in enumerate(graphs()):
        target = (PORTABLE, PORTABLE_SMALL)[number % 2]
        for call in make_plan(graph, 1, target, winograd=False).calls:
            found = overlays([call])
            accesses = recorded(call, target) if found else []
            for (read, written), overlay in found.items():
                name = type(call.spec).__name__
                least = least_distance(accesses, read, written)
                assert 4 * overlay.distance >= least, (name, overlay, least)
                tight[name] += 4 * overlay.distance < least + 4
                if overlay.same_place:
                    assert is_safe_in_place(accesses, read, written), name
                    in_place.add(name)
    assert {name for name, count in tight.items() if count} >= {"Conv2d", "ConvPanels", "Lookup", "Pointwise"}
    assert in_place


def test_rows_that_are_copied_first_may_be_replaced_at_once() -> None:
    order = RowOrder(count=8, stride=1, top=1, image_row=10, result_row=10, reads_first=True)
    assert order.distance(1, 1) == 10, "row 0 of the results may not replace row 0, which row 1 reads"
    assert RowOrder(8, 1, 1, 10, 10).distance(1, 1) == 20
    assert RowOrder(8, 2, 0, 10, 10, reads_first=True).distance(1, 1) == 0
    assert RowOrder(8, 1, 0, 10, 20, reads_first=True).distance(1, 1) == 70
    assert RowOrder(8, 1, 0, 10, 10, reads_first=True).distance(1, 4) == 210
    assert RowOrder(8, 1, 1, 10, 10, step=8, reads_first=True).distance(1, 1) == 0


def test_a_sum_is_placed_over_its_operand_and_rows_over_dead_rows() -> None:
    a, b, c, d = (Buffer(words, F32, "temporary") for words in (100, 100, 100, 50))
    spans = {a: (0, 2), b: (1, 2), c: (2, 3), d: (3, 4)}
    found = {(a, c): Overlay(100, same_place=True), (c, d): Overlay(10)}
    offsets, size = place_tightly(spans, 1, found)
    assert size == least_size(spans, 1, found) == 200
    assert offsets[c] == offsets[a]
    assert place_tightly({c: (0, 1), d: (1, 2)}, 1, found)[1] == 110
    assert place_tightly({c: (0, 2), d: (1, 2)}, 1, found)[1] == 150, "c is still read later"

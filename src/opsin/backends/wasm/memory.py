"""Loads and stores of the kernel IR as WebAssembly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opsin.backends.wasm.encoding import F32, I32, V128
from opsin.backends.wasm.lanes import Scalars, Vectors
from opsin.backends.wasm.linear import Linear, value
from opsin.backends.wasm.nodes import Blocks, Node, Store
from opsin.base.errors import CompileError
from opsin.kernels.ir import ELEMENT_BYTES, I8, I16, I16_PAIR, INDEX, U8, Instruction, Kernel, ScalarType
from opsin.kernels.ir import F32 as FLOAT
from opsin.kernels.ir import I32 as INT

MAX_OFFSET = 2**20
"""Constant parts of addresses below this become offsets of accesses. An engine adds offsets without wrapping around, so
the rest of the address must not be negative: memory below this address holds no data (see `module.py`)."""

NUMBER = ScalarType(INDEX)
"""The kind of values that are kept as sums; vectors of indices are vectors of i32."""

WORDS = (FLOAT, INT, I16_PAIR)
"""Elements of four bytes."""
SCALAR_LOADS = {
    FLOAT: "f32.load", INT: "i32.load", I16_PAIR: "i32.load", U8: "i32.load8_u", I8: "i32.load8_s", I16: "i32.load16_s"
}  # fmt: skip
SCALAR_STORES = {
    FLOAT: "f32.store", INT: "i32.store", I16_PAIR: "i32.store", U8: "i32.store8", I8: "i32.store8", I16: "i32.store16"
}  # fmt: skip
"""The instructions that load and store each element; in WebAssembly's values, narrow integers have 32 bits."""


class MemoryLowering:
    """Translates the accesses of one kernel; `simd` selects vectors or scalars."""

    def __init__(self, kernel: Kernel, simd: bool) -> None:
        self.kernel, self.blocks = kernel, Blocks()
        self.lanes = Vectors(self.blocks) if simd else Scalars(self.blocks)
        self.parts: dict[Any, list[Node]] = {}
        self.numbers: dict[Any, Linear] = {}

    # -- values -------------------------------------------------------------------------------

    def _set(self, result: Any, parts: Sequence[Node]) -> None:
        if result.kind == NUMBER:
            self.numbers[result] = Linear.of(parts[0])
        else:
            self.parts[result] = list(parts)

    def _get(self, operand: Any) -> list[Node]:
        """Return the parts of a value; a whole number is one."""
        return [value(self.blocks, self.numbers[operand])] if operand.kind == NUMBER else self.parts[operand]

    def _number(self, operand: Any) -> Node:
        return value(self.blocks, self.numbers[operand])

    # -- memory -------------------------------------------------------------------------------

    def _do_address(self, item: Instruction) -> None:
        base, index = (self.numbers[each] for each in item.operands)
        self.numbers[item.result] = base + index.scaled(ELEMENT_BYTES[item.data])

    def _place(self, number: Linear) -> tuple[Node, int]:
        """Return an address as a node and a constant offset."""
        offset = number.constant if 0 <= number.constant < MAX_OFFSET else 0
        return value(self.blocks, Linear(number.constant - offset, number.terms)), offset

    def _address(self, item: Instruction, element: str) -> Linear:
        if element not in SCALAR_LOADS:
            raise CompileError(f"{self.kernel.name}: WebAssembly has no rendering of arrays of {element}")
        return self.numbers[item.operands[0]] + self.numbers[item.operands[1]].scaled(ELEMENT_BYTES[element])

    def _load(self, name: str, type: int, at: Linear, *operands: Node, lane: int = 0) -> Node:
        address, offset = self._place(at)
        return self.blocks.ordered(name, type, (address, *operands), (offset, lane))

    def _scalar_load(self, element: str, at: Linear) -> Node:
        return self._load(SCALAR_LOADS[element], F32 if element == FLOAT else I32, at)

    def _do_load(self, item: Instruction) -> None:
        kind = item.result.kind
        at, size = self._address(item, kind.element), ELEMENT_BYTES[kind.element]
        if kind.lanes == 1 or self.lanes.width == 1:
            self._load_scalars(item, at, Linear(size))
            return
        self.parts[item.result] = [
            self._load_part(kind.element, at + Linear(size * first), min(4, item.data - first))
            for first in range(0, kind.lanes, 4)
        ]

    def _load_part(self, element: str, at: Linear, count: int) -> Node:
        if count <= 0:
            return self.lanes.fill(element, 4, self.lanes.constant(element, 0))
        if element not in WORDS:
            return self._load_narrow(element, at, count)
        if count == 4:
            return self._load("v128.load", V128, at)
        part = self._load("v128.load32_zero" if count == 1 else "v128.load64_zero", V128, at)
        return part if count < 3 else self._load("v128.load32_lane", V128, at + Linear(8), part, lane=2)

    def _load_narrow(self, element: str, at: Linear, count: int) -> Node:
        """Load up to four bytes or int16 into lanes of 32 bits."""
        if count == 4 and element == I16:
            return self._load("v128.load16x4_s", V128, at)
        if count == 4:
            sign = "u" if element == U8 else "s"
            part = self._load("v128.load32_zero", V128, at)
            half = self.blocks.pure(f"i16x8.extend_low_i8x16_{sign}", V128, (part,))
            return self.blocks.pure(f"i32x4.extend_low_i16x8_{sign}", V128, (half,))
        size = ELEMENT_BYTES[element]
        loads = [self._scalar_load(element, at + Linear(size * lane)) for lane in range(count)]
        return self.lanes.join(INT, loads + [self.lanes.constant(INT, 0)] * (4 - count))[0]

    def _load_scalars(self, item: Instruction, at: Linear, step: Linear) -> None:
        kind, loads = item.result.kind, []
        for _ in range(item.data):
            loads.append(self._scalar_load(kind.element, at))
            at = at + step
        zeros = [self.lanes.constant(kind.element, 0)] * (kind.lanes - item.data)
        self.parts[item.result] = loads + zeros

    def _do_gather(self, item: Instruction) -> None:
        kind = item.result.kind
        at = self._address(item, kind.element)
        step = self.numbers[item.operands[2]].scaled(ELEMENT_BYTES[kind.element])
        if self.lanes.width == 1 or kind.element not in WORDS:
            self._load_scalars(item, at, step)
            if self.lanes.width > 1:
                self.parts[item.result] = self.lanes.join(INT, self.parts[item.result])
            return
        parts = []
        for first in range(0, kind.lanes, 4):
            count = min(4, item.data - first)
            part = self._load_part(kind.element, at, min(1, count))
            for lane in range(1, max(1, count)):
                at = at + step
                part = self._load("v128.load32_lane", V128, at, part, lane=lane)
            at = at + step
            parts.append(part)
        self.parts[item.result] = parts

    def _do_load_pairs(self, item: Instruction) -> None:
        at, lanes = self._address(item, I8), item.result.kind.lanes
        if lanes % 4 == 0 and self.lanes.width == 4:
            self.parts[item.result] = [
                self._load("v128.load8x8_s", V128, at + Linear(2 * first)) for first in range(0, lanes, 4)
            ]
            return
        pairs = []
        for first in range(0, 2 * lanes, 2):
            low, high = (self._scalar_load(I8, at + Linear(first + octet)) for octet in (0, 1))
            low = self.lanes.scalar("and", INT, (low, self.lanes.constant(INT, 0xFFFF)))
            high = self.lanes.scalar("shl", INT, (high, self.lanes.constant(INT, 16)))
            pairs.append(self.lanes.scalar("or", INT, (low, high)))
        self.parts[item.result] = self.lanes.join(INT, pairs) if lanes > 1 else pairs

    def _do_load_bytes(self, item: Instruction) -> None:
        base, parts, lanes = self.numbers[item.operands[0]], self._get(item.operands[1]), item.result.kind.lanes
        indices = [self.lanes.lane(INT, parts, lane) for lane in range(lanes)] if lanes > 1 else parts
        loads = [self._scalar_load(item.data, base + Linear.of(index)) for index in indices]
        self.parts[item.result] = self.lanes.join(INT, loads) if lanes > 1 else loads

    def _do_store(self, item: Instruction) -> None:
        element = item.operands[2].kind.element
        self._store(item, element, Linear(ELEMENT_BYTES[element]), contiguous=True)

    def _do_scatter(self, item: Instruction) -> None:
        element = item.operands[2].kind.element
        self._store(item, element, self.numbers[item.operands[3]].scaled(ELEMENT_BYTES[element]), contiguous=False)

    def _store(self, item: Instruction, element: str, step: Linear, contiguous: bool) -> None:
        source, count = item.operands[2], item.data
        at, parts = self._address(item, element), self._get(source)
        is_scalar, lane = source.kind.lanes == 1 or self.lanes.width == 1, 0
        while lane < count:
            part, left = parts[lane if is_scalar else lane // 4], min(4 - lane % 4, count - lane)
            size, name, place = 1, "v128.store32_lane", lane % 4
            if is_scalar:
                name = SCALAR_STORES[element]
            elif element not in WORDS:
                size, name, part, place = self._narrow_part(element, part, lane % 4, contiguous and left == 4)
            elif contiguous and left == 4:
                size, name = 4, "v128.store"
            elif contiguous and left >= 2:
                size, name, place = 2, "v128.store64_lane", lane % 4 // 2
            address, offset = self._place(at)
            self.blocks.append(Store(name, address, offset, part, place if name.endswith("_lane") else None))
            lane += size
            for _ in range(size):
                at = at + step

    def _narrow_part(self, element: str, part: Node, lane: int, whole: bool) -> tuple[int, str, Node, int]:
        """Return (lanes, instruction, vector, place in it) of a store: of all four lanes, or of one."""
        size = ELEMENT_BYTES[element]
        if not whole:
            return 1, f"v128.store{8 * size}_lane", part, lane * (4 // size)
        if element == I8 and (number := self._limited_to_bytes(part)):
            words = self.blocks.pure("i16x8.narrow_i32x4_s", V128, (number, number))
            return 4, "v128.store32_lane", self.blocks.pure("i8x16.narrow_i16x8_s", V128, (words, words)), 0
        octets = [4 * each + octet for each in range(4) for octet in range(size)]
        packed = self.blocks.pure("i8x16.shuffle bytes", V128, (part, part), (*octets, *range(len(octets), 16)))
        return 4, f"v128.store{32 * size}_lane", packed, 0

    def _limited_to_bytes(self, part: Node) -> Node | None:
        """Return the number that `part` limits to -128 to 127, which narrowing does by itself; None if it does not."""
        for name, limit in (("i32x4.min_s", 127), ("i32x4.max_s", -128)):
            bound = self.lanes.fill(INT, 4, self.lanes.constant(INT, limit))
            if part.name != name or part.operands[1] is not bound:
                return None
            part = part.operands[0]
        return part

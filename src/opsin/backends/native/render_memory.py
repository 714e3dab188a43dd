"""Reads and writes of memory, and matrix tiles, as LLVM text."""

from __future__ import annotations

from opsin.backends.native.render_narrow import NarrowText
from opsin.backends.native.render_text import ELEMENTS, llvm_type
from opsin.kernels.ir import ELEMENT_BYTES, F32, I8, PACKED, TILE_ROWS, U8, Instruction, ScalarType, Value

ALIGNMENTS = ELEMENT_BYTES | {packed: ELEMENT_BYTES[narrow] for narrow, packed in PACKED.items()}
"""The alignment of each element: lanes with several narrow numbers begin at any of these."""


class MemoryText(NarrowText):
    """The instructions that read or write memory."""

    def pointer(self, address: Value, index: str, element: str) -> str:
        return self.assign(None, f"getelementptr {ELEMENTS[element]}, ptr {self.name(address)}, i64 {index}")

    def do_address(self, item: Instruction) -> None:
        address, index = item.operands
        self.names[item.result] = self.pointer(address, self.name(index), item.data)

    def do_load(self, item: Instruction) -> None:
        kind: ScalarType = item.result.kind
        pointer = self.pointer(item.operands[0], self.name(item.operands[1]), kind.element)
        vector, alignment = llvm_type(kind), ALIGNMENTS[kind.element]
        if item.data == kind.lanes:
            self.assign(item.result, f"load {vector}, ptr {pointer}, align {alignment}")
            return
        if ELEMENT_BYTES[kind.element] == 1 and not self.target.masks_bytes:
            self.load_pieces(item.result, pointer, item.data)
            return
        element = ELEMENTS[kind.element].replace("float", "f32")
        name = f"@llvm.masked.load.v{kind.lanes}{element}.p0"
        mask = f"<{kind.lanes} x i1>"
        self.intrinsics.add(f"{vector} {name}(ptr, {mask}, {vector})")
        bits = ", ".join(f"i1 {str(lane < item.data).lower()}" for lane in range(kind.lanes))
        operands = f"ptr align {alignment} {pointer}, {mask} <{bits}>, {vector} zeroinitializer"
        self.assign(item.result, f"call {vector} {name}({operands})")

    def load_pieces(self, result: Value, pointer: str, count: int) -> None:
        """Load `count` bytes in pieces of 8, 4, 2 and 1, with zeros behind them."""
        kind: ScalarType = result.kind
        vector, name, position, size = llvm_type(kind), "zeroinitializer", 0, kind.lanes // 2
        while size:
            if count - position >= size:
                at = self.assign(None, f"getelementptr i8, ptr {pointer}, i64 {position}")
                piece = self.assign(None, f"load <{size} x i8>, ptr {at}, align 1")
                places = ", ".join(f"i32 {min(i, size - 1)}" for i in range(kind.lanes))
                text = f"shufflevector <{size} x i8> {piece}, <{size} x i8> poison, <{kind.lanes} x i32> <{places}>"
                wide = self.assign(None, text)
                lanes = [kind.lanes + i - position if position <= i < position + size else i for i in range(kind.lanes)]
                places = ", ".join(f"i32 {lane}" for lane in lanes)
                text = f"shufflevector {vector} {name}, {vector} {wide}, <{kind.lanes} x i32> <{places}>"
                name = self.assign(None, text)
                position += size
            size //= 2
        self.names[result] = name

    def do_prefetch(self, item: Instruction) -> None:
        address, index = item.operands
        element, to_write = item.data
        self.intrinsics.add("void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        pointer = self.pointer(address, self.name(index), element)
        self.line(f"call void @llvm.prefetch.p0(ptr {pointer}, i32 {int(to_write)}, i32 3, i32 1)")

    def do_load_pairs(self, item: Instruction) -> None:
        kind: ScalarType = item.result.kind
        pointer, count = self.pointer(item.operands[0], self.name(item.operands[1]), I8), 2 * kind.lanes
        octets = self.assign(None, f"load <{count} x i8>, ptr {pointer}, align 1")
        wide = self.assign(None, f"sext <{count} x i8> {octets} to <{count} x i16>")
        self.assign(item.result, f"bitcast <{count} x i16> {wide} to {llvm_type(kind)}")

    def do_load_bytes(self, item: Instruction) -> None:
        address, places = item.operands
        kind: ScalarType = places.kind
        name = self.byte(address, self.name(places)) if kind.lanes == 1 else "poison"
        vector = "i8" if kind.lanes == 1 else f"<{kind.lanes} x i8>"
        for lane in range(kind.lanes if kind.lanes > 1 else 0):
            place = self.assign(None, f"extractelement {self.typed(places)}, i32 {lane}")
            name = self.assign(None, f"insertelement {vector} {name}, i8 {self.byte(address, place)}, i32 {lane}")
        conversion = "zext" if item.data == U8 else "sext"
        self.assign(item.result, f"{conversion} {vector} {name} to {llvm_type(kind)}")

    def byte(self, address: Value, place: str) -> str:
        offset = self.assign(None, f"sext i32 {place} to i64")
        return self.assign(None, f"load i8, ptr {self.pointer(address, offset, U8)}")

    def do_gather(self, item: Instruction) -> None:
        kind: ScalarType = item.result.kind
        address, index, stride = item.operands
        vector, element = llvm_type(kind), ELEMENTS[kind.element]
        name, place = "zeroinitializer", self.name(index)
        for lane in range(item.data):
            pointer = self.pointer(address, place, kind.element)
            scalar = self.assign(None, f"load {element}, ptr {pointer}, align {ALIGNMENTS[kind.element]}")
            name = self.assign(None, f"insertelement {vector} {name}, {element} {scalar}, i32 {lane}")
            if lane + 1 < item.data:
                place = self.assign(None, f"add i64 {place}, {self.name(stride)}")
        self.names[item.result] = name

    def do_tiles_begin(self, _item: Instruction) -> None:
        """Configure all eight tiles with 16 rows of 64 bytes: palette 1, then the bytes of a row and the rows."""
        self.intrinsics |= {"void @llvm.x86.ldtilecfg(ptr)", "void @llvm.x86.tilerelease()"}
        configuration = self.assign(None, "alloca [64 x i8], align 64")
        octets = [1] + [0] * 15 + [4 * TILE_ROWS, 0] * 8 + [0] * 16 + [TILE_ROWS] * 8 + [0] * 8
        values = ", ".join(f"i8 {octet}" for octet in octets)
        self.line(f"store [64 x i8] [{values}], ptr {configuration}, align 64")
        self.line(f"call void @llvm.x86.ldtilecfg(ptr {configuration})")

    def do_tiles_end(self, _item: Instruction) -> None:
        self.line("call void @llvm.x86.tilerelease()")

    def do_tile_zero(self, item: Instruction) -> None:
        self.intrinsics.add("void @llvm.x86.tilezero(i8 immarg)")
        self.line(f"call void @llvm.x86.tilezero(i8 {item.data})")

    def do_tile_load(self, item: Instruction) -> None:
        self.move_tile(item, "tileloadd64")

    def do_tile_store(self, item: Instruction) -> None:
        self.move_tile(item, "tilestored64")

    def move_tile(self, item: Instruction, function: str) -> None:
        address, index, stride = item.operands
        self.intrinsics.add(f"void @llvm.x86.{function}(i8 immarg, ptr, i64)")
        pointer = self.pointer(address, self.name(index), F32)
        octets = self.assign(None, f"shl i64 {self.name(stride)}, 2")
        self.line(f"call void @llvm.x86.{function}(i8 {item.data}, ptr {pointer}, i64 {octets})")

    def do_tile_dot(self, item: Instruction) -> None:
        self.intrinsics.add("void @llvm.x86.tdpbf16ps(i8 immarg, i8 immarg, i8 immarg)")
        numbers = ", ".join(f"i8 {number}" for number in item.data)
        self.line(f"call void @llvm.x86.tdpbf16ps({numbers})")

    def do_store(self, item: Instruction) -> None:
        """Store a vector; a part of one in pieces of 8, 4, 2 and 1, because masked stores are slow on some
        processors."""
        address, index, value = item.operands
        kind: ScalarType = value.kind
        pointer, alignment = self.pointer(address, self.name(index), kind.element), ALIGNMENTS[kind.element]
        if item.data == kind.lanes:
            self.line(f"store {self.typed(value)}, ptr {pointer}, align {alignment}")
            return
        position, size = 0, kind.lanes // 2
        while size:
            if item.data - position >= size:
                places = ", ".join(f"i32 {position + i}" for i in range(size))
                text = f"shufflevector {self.typed(value)}, {llvm_type(kind)} poison, <{size} x i32> <{places}>"
                piece = self.assign(None, text)
                at = self.assign(None, f"getelementptr {ELEMENTS[kind.element]}, ptr {pointer}, i64 {position}")
                self.line(f"store <{size} x {ELEMENTS[kind.element]}> {piece}, ptr {at}, align {alignment}")
                position += size
            size //= 2

    def do_scatter(self, item: Instruction) -> None:
        address, index, value, stride = item.operands
        kind: ScalarType = value.kind
        element, place = ELEMENTS[kind.element], self.name(index)
        for lane in range(item.data):
            scalar = self.assign(None, f"extractelement {self.typed(value)}, i32 {lane}")
            pointer = self.pointer(address, place, kind.element)
            self.line(f"store {element} {scalar}, ptr {pointer}, align {ALIGNMENTS[kind.element]}")
            if lane + 1 < item.data:
                place = self.assign(None, f"add i64 {place}, {self.name(stride)}")

"""The kernel language as LLVM's textual intermediate representation.

Plain text, made without llvmlite: reading it needs nothing but LLVM's language reference.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from opsin.backends.native.render_memory import MemoryText
from opsin.backends.native.render_text import ELEMENTS, llvm_type
from opsin.kernels.ir import (
    BOOL,
    F32,
    Branch,
    Instruction,
    Kernel,
    Loop,
    ScalarType,
    Target,
)

FLOAT_BINARY = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
INT_BINARY = {
    "add": "add", "sub": "sub", "mul": "mul", "div": "sdiv", "rem": "srem",
    "and": "and", "or": "or", "xor": "xor", "shl": "shl", "shr": "lshr", "sar": "ashr",
}  # fmt: skip
FLOAT_COMPARE = {"lt": "olt", "le": "ole", "eq": "oeq", "min": "olt", "max": "ogt"}
INT_COMPARE = {"lt": "slt", "le": "sle", "eq": "eq", "min": "slt", "max": "sgt"}
CONVERSIONS = {
    "float": "sitofp", "float_bits": "bitcast", "int_bits": "bitcast", "i32": "trunc", "index": "sext",
}  # fmt: skip


def literal(value: float, element: str) -> str:
    if element != F32:
        return str(value)
    # LLVM writes a float constant as the bits of the double that it equals.
    rounded_value = struct.unpack("f", struct.pack("f", value))[0]
    return f"0x{struct.unpack('Q', struct.pack('d', rounded_value))[0]:016X}"


MIN_OPAQUE_ACCESSES = 64
"""Minimum memory accesses of a loop to hide its index from LLVM. Strength reduction of so many addresses takes most of
the compile time, and a pointer for each is slower than computing them."""


class Renderer(MemoryText):
    """Renders one kernel as one function."""

    def __init__(self, kernel: Kernel, target: Target) -> None:
        super().__init__(target)
        self.kernel, self.label = kernel, "%entry"

    def place(self, label: str) -> None:
        self.lines.append(f"{label[1:]}:")
        self.label = label

    def render(self) -> str:
        kernel = self.kernel
        self.names.update({kernel.begin: "%begin", kernel.end: "%end", kernel.scratch_base: "%scratch"})
        for register in kernel.registers:
            self.names[register] = self.fresh("r")
            self.line(f"{self.names[register]} = alloca {llvm_type(register.kind)}")
        for kind in dict.fromkeys(i.result.kind for i in kernel.instructions() if i.name == "unsigned"):
            self.flips[kind] = self.flip(kind)
        self.block(kernel.body)
        self.line("ret void")
        head = f"define void @{kernel.name}(ptr noalias readonly %args, i64 %begin, i64 %end, ptr %scratch) nounwind {{"
        declarations = sorted(f"declare {text}" for text in self.intrinsics)
        return "\n".join([*declarations, head, "entry:", *self.lines, "}", ""])

    def block(self, items: list[Any]) -> None:
        for item in items:
            if isinstance(item, Loop):
                self.loop(item)
            elif isinstance(item, Branch):
                self.branch(item)
            else:
                self.instruction(item)

    def loop(self, loop: Loop) -> None:
        """Render a loop, tested before the first iteration and after each: the body needs no jump to a head."""
        body, exit = self.fresh("body"), self.fresh("exit")
        index, next_index = self.fresh("i"), self.fresh("n")
        start, stop, step = (self.name(v) for v in (loop.start, loop.stop, loop.step))
        enter = self.assign(None, f"icmp slt i64 {start}, {stop}")
        self.line(f"br i1 {enter}, label {body}, label {exit}")
        before = self.label
        self.place(body)
        phi = len(self.lines)
        self.lines.append("")
        self.names[loop.index] = self.opaque(index) if accesses(loop.body) >= MIN_OPAQUE_ACCESSES else index
        self.block(loop.body)
        self.line(f"{next_index} = add nsw i64 {index}, {step}")
        condition = self.assign(None, f"icmp slt i64 {next_index}, {stop}")
        self.line(f"br i1 {condition}, label {body}, label {exit}")
        self.lines[phi] = f"  {index} = phi i64 [ {start}, {before} ], [ {next_index}, {self.label} ]"
        self.place(exit)

    def opaque(self, index: str) -> str:
        """Hide the growth of `index` from LLVM; return its new name."""
        return self.assign(None, f'call i64 asm "", "=r,0"(i64 {index})')

    def branch(self, branch: Branch) -> None:
        then_label, else_label, join_label = self.fresh("then"), self.fresh("else"), self.fresh("after")
        self.line(f"br i1 {self.name(branch.condition)}, label {then_label}, label {else_label}")
        for label, body in ((then_label, branch.body), (else_label, branch.otherwise)):
            self.place(label)
            self.block(body)
            self.line(f"br label {join_label}")
        self.place(join_label)

    # -- instructions -------------------------------------------------------------------------

    def instruction(self, item: Instruction) -> None:
        handler: Callable[[Instruction], None] | None = getattr(self, f"do_{item.name}", None)
        if handler is not None:
            handler(item)
        elif item.name in CONVERSIONS:
            source = item.operands[0]
            self.assign(item.result, f"{CONVERSIONS[item.name]} {self.typed(source)} to {llvm_type(item.result.kind)}")
        elif item.name in ("lt", "le", "eq"):
            self.assign(item.result, self.compare(item))
        else:
            table = FLOAT_BINARY if item.result.kind.element == F32 else INT_BINARY
            a, b = item.operands
            self.assign(item.result, f"{table[item.name]} {self.typed(a)}, {self.name(b)}")

    def compare(self, item: Instruction) -> str:
        a, b = item.operands
        if a.kind.element == F32:
            return f"fcmp {FLOAT_COMPARE[item.name]} {self.typed(a)}, {self.name(b)}"
        return f"icmp {INT_COMPARE[item.name]} {self.typed(a)}, {self.name(b)}"

    def choose(self, item: Instruction) -> None:
        a, b = item.operands
        test = self.assign(None, self.compare(item))
        mask = llvm_type(ScalarType(BOOL, a.kind.lanes))
        self.assign(item.result, f"select {mask} {test}, {self.typed(a)}, {self.typed(b)}")

    do_min = choose
    do_max = choose

    def do_select(self, item: Instruction) -> None:
        condition, a, b = item.operands
        self.assign(item.result, f"select {self.typed(condition)}, {self.typed(a)}, {self.typed(b)}")

    def call(self, item: Instruction, function: str) -> None:
        kind = llvm_type(item.result.kind)
        lanes = item.result.kind.lanes
        name = f"@llvm.{function}.{'f32' if lanes == 1 else f'v{lanes}f32'}"
        self.intrinsics.add(f"{kind} {name}({', '.join([kind] * len(item.operands))})")
        self.assign(item.result, f"call {kind} {name}({', '.join(self.typed(v) for v in item.operands)})")

    def do_fma(self, item: Instruction) -> None:
        self.names[item.result] = self.multiply_add(item.result.kind, *map(self.name, item.operands))

    def do_int(self, item: Instruction) -> None:
        # A NaN may become any number, but the result must not be poison.
        kind, (source,) = llvm_type(item.result.kind), item.operands
        number = self.assign(None, f"fptosi {self.typed(source)} to {kind}")
        self.assign(item.result, f"freeze {kind} {number}")

    def do_neg(self, item: Instruction) -> None:
        self.assign(item.result, f"fneg {self.typed(item.operands[0])}")

    def do_sqrt(self, item: Instruction) -> None:
        self.call(item, "sqrt")

    def do_abs(self, item: Instruction) -> None:
        self.call(item, "fabs")

    def do_floor(self, item: Instruction) -> None:
        self.call(item, "floor")

    def do_parameter(self, item: Instruction) -> None:
        parameter = self.kernel.parameters[item.data]
        slot = self.assign(None, f"getelementptr i64, ptr %args, i64 {item.data}")
        kind = "ptr" if parameter.is_buffer else "i64"
        self.assign(item.result, f"load {kind}, ptr {slot}, align 8, !invariant.load !0")

    def do_constant(self, item: Instruction) -> None:
        kind = item.result.kind
        text = literal(item.data, kind.element)
        if kind.lanes > 1:
            text = "<" + ", ".join([f"{ELEMENTS[kind.element]} {text}"] * kind.lanes) + ">"
        self.names[item.result] = text

    def do_broadcast(self, item: Instruction) -> None:
        kind, (source,) = item.result.kind, item.operands
        vector = llvm_type(kind)
        first = self.assign(None, f"insertelement {vector} poison, {self.typed(source)}, i32 0")
        zeros = f"<{kind.lanes} x i32> zeroinitializer"
        self.assign(item.result, f"shufflevector {vector} {first}, {vector} poison, {zeros}")

    def do_shuffle(self, item: Instruction) -> None:
        a, b = map(self.typed, item.operands)
        picks = ", ".join(f"i32 {pick}" for pick in item.data)
        self.assign(item.result, f"shufflevector {a}, {b}, <{len(item.data)} x i32> <{picks}>")

    def do_iota(self, item: Instruction) -> None:
        lanes = item.result.kind.lanes
        self.names[item.result] = "<" + ", ".join(f"i32 {i}" for i in range(lanes)) + ">" if lanes > 1 else "0"

    def do_reduce(self, item: Instruction) -> None:
        (source,) = item.operands
        name, kind = self.name(source), source.kind
        while kind.lanes > 1:
            half = kind.lanes // 2
            parts = []
            for offset in (0, half):
                places = ", ".join(f"i32 {i + offset}" for i in range(half))
                text = f"shufflevector {llvm_type(kind)} {name}, {llvm_type(kind)} poison, <{half} x i32> <{places}>"
                parts.append(self.assign(None, text))
            kind = ScalarType(kind.element, half)
            if half == 1:
                parts = [self.assign(None, f"extractelement <1 x {ELEMENTS[kind.element]}> {p}, i32 0") for p in parts]
            if item.data == "add":
                op = "fadd" if kind.element == F32 else "add"
                name = self.assign(None, f"{op} {llvm_type(kind)} {parts[0]}, {parts[1]}")
            else:
                op = "fcmp ogt" if kind.element == F32 else "icmp sgt"
                test = self.assign(None, f"{op} {llvm_type(kind)} {parts[0]}, {parts[1]}")
                mask = llvm_type(ScalarType(BOOL, half))
                text = f"select {mask} {test}, {llvm_type(kind)} {parts[0]}, {llvm_type(kind)} {parts[1]}"
                name = self.assign(None, text)
        self.names[item.result] = name

    def do_get(self, item: Instruction) -> None:
        self.assign(item.result, f"load {llvm_type(item.result.kind)}, ptr {self.name(item.operands[0])}")

    def do_set(self, item: Instruction) -> None:
        register, value = item.operands
        self.line(f"store {self.typed(value)}, ptr {self.name(register)}")


def accesses(body: list[Any]) -> int:
    """Reads and writes of memory in `body`, those of loops inside it apart."""
    count = 0
    for item in body:
        if isinstance(item, Branch):
            count += accesses(item.body) + accesses(item.otherwise)
        elif isinstance(item, Instruction):
            count += item.name in ("load", "load_pairs", "load_bytes", "gather", "store", "scatter")
    return count


def render(kernel: Kernel, target: Target) -> str:
    """`kernel` as an LLVM module of one function, named as the kernel is."""
    return Renderer(kernel, target).render() + "!0 = !{}\n"

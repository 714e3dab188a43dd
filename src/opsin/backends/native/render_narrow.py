"""Arithmetic on narrow numbers as LLVM text: by the instructions that processors have for it, and without them."""

from __future__ import annotations

from opsin.backends.native.render_text import ELEMENTS, FunctionText, llvm_type, splat
from opsin.kernels.ir import (
    BF16,
    BOOL,
    I8,
    I16,
    I16_PAIR,
    I32,
    INDEX,
    PAIR,
    QUAD,
    U8,
    Instruction,
    ScalarType,
    Target,
    Value,
)

DOT_LANES = (4, 8, 16)
"""The lanes of the vectors that AVX512-BF16 and VNNI multiply."""

PAIR_PRODUCTS = {4: "sse2.pmadd.wd", 8: "avx2.pmadd.wd", 16: "avx512.pmaddw.d.512"}
"""LLVM's names of the instructions that multiply pairs of int16, by lanes. They are called by name, because LLVM does
not recognize the general form if a factor is the same in all lanes."""
X86_FEATURES = frozenset({"sse4.1", "avx2", "avx512f"})


class NarrowText(FunctionText):
    """The instructions whose operands or results are narrow numbers, or products of more than 32 bits."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.flips: dict[ScalarType, str] = {}

    def do_dot(self, item: Instruction) -> None:
        kind: str = item.operands[1].kind.element
        {PAIR: self.dot_bf16, I16_PAIR: self.dot_i16, QUAD: self.dot_bytes}[kind](item)

    def dot_i16(self, item: Instruction) -> None:
        """Multiply and add: by vpdpwssd, by vpmaddwd, or in the general form that LLVM makes smull and smlal of."""
        a, b, c = item.operands
        lanes = c.kind.lanes
        kind, sums = ScalarType(I16, 2 * lanes), llvm_type(c.kind)
        if self.target.byte_dot and lanes in DOT_LANES:
            self.sum_of_products(item, f"vpdpwssd.{32 * lanes}")
            return
        if lanes in PAIR_PRODUCTS and lanes <= self.target.lanes and X86_FEATURES.intersection(self.target.needs):
            name, pairs = f"@llvm.x86.{PAIR_PRODUCTS[lanes]}", llvm_type(kind)
            self.intrinsics.add(f"{sums} {name}({pairs}, {pairs})")
            left, right = (self.assign(None, f"bitcast {self.typed(v)} to {pairs}") for v in (a, b))
            product = self.assign(None, f"call {sums} {name}({pairs} {left}, {pairs} {right})")
            self.assign(item.result, f"add {self.typed(c)}, {product}")
            return
        numbers = [self.assign(None, f"bitcast {self.typed(v)} to {llvm_type(kind)}") for v in (a, b)]
        products = []
        for first in (0, 1):
            left, right = (self.every(number, kind, 2, first, "sext") for number in numbers)
            products.append(self.assign(None, f"mul nsw {sums} {left}, {right}"))
        pair = self.assign(None, f"add {sums} {products[0]}, {products[1]}")
        self.assign(item.result, f"add {sums} {pair}, {self.name(c)}")

    def dot_bytes(self, item: Instruction) -> None:
        a, b, c = item.operands
        lanes, sums = c.kind.lanes, llvm_type(c.kind)
        if self.target.byte_dot and lanes in DOT_LANES:
            self.sum_of_products(item, f"vpdpbusd.{32 * lanes}")
            return
        kind, total = ScalarType(I8, 4 * lanes), self.name(c)
        numbers = [self.assign(None, f"bitcast {self.typed(v)} to {llvm_type(kind)}") for v in (a, b)]
        for first in range(4):
            left, right = (
                self.every(number, kind, 4, first, how) for number, how in zip(numbers, ("zext", "sext"), strict=True)
            )
            product = self.assign(None, f"mul nsw {sums} {left}, {right}")
            total = self.assign(None, f"add {sums} {total}, {product}")
        self.names[item.result] = total

    def sum_of_products(self, item: Instruction, function: str) -> None:
        """Add products by an instruction of VNNI."""
        a, b, c = item.operands
        sums, name = llvm_type(c.kind), f"@llvm.x86.avx512.{function}"
        self.intrinsics.add(f"{sums} {name}({', '.join([sums] * 3)})")
        self.assign(item.result, f"call {sums} {name}({self.typed(c)}, {self.typed(a)}, {self.typed(b)})")

    def every(self, vector: str, kind: ScalarType, step: int, first: int, conversion: str) -> str:
        """Return the elements `first`, `first + step`, … of a vector of narrow `kind` as i32, by sext or zext."""
        lanes, element = kind.lanes // step, ELEMENTS[kind.element]
        if lanes == 1:
            part = self.assign(None, f"extractelement {llvm_type(kind)} {vector}, i32 {first}")
            return self.assign(None, f"{conversion} {element} {part} to i32")
        places = ", ".join(f"i32 {first + step * lane}" for lane in range(lanes))
        text = f"shufflevector {llvm_type(kind)} {vector}, {llvm_type(kind)} poison, <{lanes} x i32> <{places}>"
        return self.assign(None, f"{conversion} <{lanes} x {element}> {self.assign(None, text)} to <{lanes} x i32>")

    def do_mulh(self, item: Instruction) -> None:
        """Multiply even and odd lanes apart, because vectors hold half as many products of 64 bits."""
        a, b = item.operands
        lanes, kind = a.kind.lanes, llvm_type(a.kind)
        if lanes % 2:
            wide = llvm_type(ScalarType(INDEX, lanes))
            factors = [self.assign(None, f"sext {self.typed(v)} to {wide}") for v in (a, b)]
            product = self.assign(None, f"mul nsw {wide} {factors[0]}, {factors[1]}")
            upper = self.assign(None, f"lshr {wide} {product}, {splat(32, ScalarType(INDEX, lanes))}")
            self.assign(item.result, f"trunc {wide} {upper} to {kind}")
            return
        half = ScalarType(INDEX, lanes // 2)
        wide, shift = llvm_type(half), splat(32, half)
        numbers = [self.assign(None, f"bitcast {self.typed(v)} to {wide}") for v in (a, b)]
        even = [self.assign(None, f"shl {wide} {n}, {shift}") for n in numbers]
        products = []
        for parts in (even, numbers):
            left, right = (self.assign(None, f"ashr {wide} {n}, {shift}") for n in parts)
            product = self.assign(None, f"mul nsw {wide} {left}, {right}")
            products.append(self.assign(None, f"bitcast {wide} {product} to {kind}"))
        places = ", ".join(f"i32 {lane + 1 if lane % 2 == 0 else lanes + lane}" for lane in range(lanes))
        vectors = ", ".join(f"{kind} {product}" for product in products)
        self.assign(item.result, f"shufflevector {vectors}, <{lanes} x i32> <{places}>")

    def flip(self, kind: ScalarType) -> str:
        """Return the sign bits of four bytes in every lane, in a register.

        LLVM does not see that they are constant: it would flip a number that is broadcast before that, in a general
        register, and then move it to a vector.
        """
        vector, bits = llvm_type(kind), splat(-0x7F7F7F80, kind)
        if kind.lanes not in DOT_LANES or not self.target.byte_dot:
            return bits
        return self.assign(None, f'call {vector} asm "", "=v,0"({vector} {bits})')

    def do_unsigned(self, item: Instruction) -> None:
        self.assign(item.result, f"xor {self.typed(item.operands[0])}, {self.flips[item.result.kind]}")

    def do_bits(self, item: Instruction) -> None:
        (source,) = item.operands
        if llvm_type(source.kind) == llvm_type(item.result.kind):
            self.names[item.result] = self.name(source)
        else:
            self.assign(item.result, f"bitcast {self.typed(source)} to {llvm_type(item.result.kind)}")

    def dot_bf16(self, item: Instruction) -> None:
        a, b, c = item.operands
        lanes = c.kind.lanes
        if self.target.bf16_dot and lanes in DOT_LANES:
            pairs, sums = f"<{2 * lanes} x bfloat>", llvm_type(c.kind)
            name = f"@llvm.x86.avx512bf16.dpbf16ps.{32 * lanes}"
            self.intrinsics.add(f"{sums} {name}({sums}, {pairs}, {pairs})")
            left, right = (self.assign(None, f"bitcast {self.typed(v)} to {pairs}") for v in (a, b))
            self.assign(item.result, f"call {sums} {name}({self.typed(c)}, {pairs} {left}, {pairs} {right})")
            return
        # Products of bfloat16 are exact, so that it makes no difference whether the sum is fused.
        total = self.name(c)
        for half in ("upper", "lower"):
            left, right = (self.half(v, half, c.kind) for v in (a, b))
            total = self.multiply_add(c.kind, left, right, total)
        self.names[item.result] = total

    def half(self, pairs: Value, half: str, kind: ScalarType) -> str:
        """Return the upper or lower numbers of `pairs` as float32 of type `kind`."""
        text = f"shl {self.typed(pairs)}, {splat(16, pairs.kind)}"
        if half == "upper":
            text = f"and {self.typed(pairs)}, {splat(-65536, pairs.kind)}"
        bits = self.assign(None, text)
        return self.assign(None, f"bitcast {llvm_type(pairs.kind)} {bits} to {llvm_type(kind)}")

    def do_pair(self, item: Instruction) -> None:
        lower, upper = item.operands
        kind = item.result.kind
        parts = [self.assign(None, f"zext {self.typed(v)} to {llvm_type(kind)}") for v in (lower, upper)]
        shifted = self.assign(None, f"shl {llvm_type(kind)} {parts[1]}, {splat(16, kind)}")
        self.assign(item.result, f"or {llvm_type(kind)} {parts[0]}, {shifted}")

    def do_widen(self, item: Instruction) -> None:
        if item.result.kind.element == I32:
            (source,) = item.operands
            conversion = "zext" if source.kind.element == U8 else "sext"
            self.assign(item.result, f"{conversion} {self.typed(source)} to {llvm_type(item.result.kind)}")
            return
        (source,), kind = item.operands, ScalarType(I32, item.result.kind.lanes)
        bits = self.assign(None, f"zext {self.typed(source)} to {llvm_type(kind)}")
        shifted = self.assign(None, f"shl {llvm_type(kind)} {bits}, {splat(16, kind)}")
        self.assign(item.result, f"bitcast {llvm_type(kind)} {shifted} to {llvm_type(item.result.kind)}")

    def do_narrow(self, item: Instruction) -> None:
        """Round as `bfloat16.narrow` defines it, which is what the instruction of AVX512-BF16 does."""
        (source,), lanes = item.operands, item.result.kind.lanes
        if item.result.kind.element != BF16:
            self.assign(item.result, f"trunc {self.typed(source)} to {llvm_type(item.result.kind)}")
            return
        result, whole = llvm_type(item.result.kind), ScalarType(I32, lanes)
        if self.target.bf16_dot and lanes in DOT_LANES:
            number = self.assign(None, f"fptrunc {self.typed(source)} to <{lanes} x bfloat>")
            self.assign(item.result, f"bitcast <{lanes} x bfloat> {number} to {result}")
            return
        kind, mask = llvm_type(whole), llvm_type(ScalarType(BOOL, lanes))

        def step(text: str) -> str:
            return self.assign(None, text)

        bits = step(f"bitcast {self.typed(source)} to {kind}")
        upper = step(f"lshr {kind} {bits}, {splat(16, whole)}")
        odd = step(f"and {kind} {upper}, {splat(1, whole)}")
        biased = step(f"add {kind} {bits}, {splat(0x7FFF, whole)}")
        rounded = step(f"lshr {kind} {step(f'add {kind} {biased}, {odd}')}, {splat(16, whole)}")
        quiet = step(f"or {kind} {upper}, {splat(0x40, whole)}")
        sign = step(f"and {kind} {upper}, {splat(0x8000, whole)}")
        size = step(f"and {kind} {bits}, {splat(0x7FFFFFFF, whole)}")
        is_small = step(f"icmp slt {kind} {size}, {splat(0x00800000, whole)}")
        is_nan = step(f"icmp sgt {kind} {size}, {splat(0x7F800000, whole)}")
        number = step(f"select {mask} {is_small}, {kind} {sign}, {kind} {rounded}")
        number = step(f"select {mask} {is_nan}, {kind} {quiet}, {kind} {number}")
        self.assign(item.result, f"trunc {kind} {number} to {result}")

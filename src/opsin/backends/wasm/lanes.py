"""How values of the kernel IR become values of WebAssembly: vectors of four lanes, or a scalar for each lane.

A value of the kernel IR is a list of parts. With `Vectors`, a scalar is one part, and a vector has a part for every
four lanes; with `Scalars`, every lane is a part. Results are bit-identical.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from opsin.backends.wasm.encoding import F32, I32, I64, V128
from opsin.backends.wasm.nodes import Blocks, Node
from opsin.kernels.ir import BOOL
from opsin.kernels.ir import F32 as FLOAT
from opsin.kernels.ir import I32 as INT

SCALAR_NAMES = {
    "and": "i32.and", "or": "i32.or", "xor": "i32.xor", "shl": "i32.shl", "shr": "i32.shr_u", "sar": "i32.shr_s",
    "rem": "i32.rem_s",
    "float": "f32.convert_i32_s", "int": "i32.trunc_sat_f32_s",
    "float_bits": "f32.reinterpret_i32", "int_bits": "i32.reinterpret_f32",
}  # fmt: skip
FLOAT_NAMES = {"div": "f32.div", "lt": "f32.lt", "le": "f32.le", "eq": "f32.eq"}
INT_NAMES = {"div": "i32.div_s", "lt": "i32.lt_s", "le": "i32.le_s", "eq": "i32.eq"}
COMPARISONS = ("lt", "le", "eq")

VECTOR_NAMES = {
    "and": "v128.and", "or": "v128.or", "xor": "v128.xor",
    "float": "f32x4.convert_i32x4_s", "int": "i32x4.trunc_sat_f32x4_s",
}  # fmt: skip
WEAVE = tuple(lane // 2 + 16 * (lane % 2) for lane in range(16))
"""The bytes at the beginning of two vectors, in turns."""
SHIFTS = {"shl": "i32x4.shl", "shr": "i32x4.shr_u", "sar": "i32x4.shr_s"}


class Scalars:
    """One part for each lane."""

    width = 1

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks

    def parts(self, lanes: int) -> int:
        """Return the number of parts of a value with `lanes` lanes."""
        return 1 if lanes == 1 else -(-lanes // self.width)

    def part_type(self, element: str, lanes: int) -> int:
        """Return WebAssembly's type of each part."""
        return F32 if element == FLOAT else I32

    def constant(self, element: str, value: float) -> Node:
        """Return a scalar constant."""
        if element == FLOAT:
            return self.blocks.pure("const", F32, (), np.float32(value).tobytes())
        return self.blocks.pure("const", I32, (), int(value))

    def fill(self, element: str, lanes: int, scalar: Node) -> Node:
        """Return a part of a vector with `scalar` in every lane."""
        return scalar

    def compute(self, name: str, element: str, lanes: int, operands: Sequence[Node]) -> Node:
        """Apply an instruction that acts on each lane to a part; `element` is the kind of its operands."""
        return self.scalar(name, element, operands)

    def scalar(self, name: str, element: str, operands: Sequence[Node]) -> Node:
        """Apply an instruction to scalars."""
        pure, operands = self.blocks.pure, tuple(operands)
        type, prefix = (F32, "f32.") if element == FLOAT else (I32, "i32.")
        if name == "sub" and type == I32 and all(each.is_constant for each in operands):
            return self.constant(INT, operands[0].data - operands[1].data)
        if name in ("min", "max"):  # the second operand unless the comparison holds, whatever is NaN
            a, b = operands
            less = pure(("f32.lt" if name == "min" else "f32.gt") if type == F32 else
                        ("i32.lt_s" if name == "min" else "i32.gt_s"), I32, (a, b))  # fmt: skip
            return pure("select", type, (a, b, less))
        if name == "select":
            condition, a, b = operands
            return pure("select", a.type, (a, b, condition))
        if name == "fma":
            a, b, c = operands
            return pure("f32.add", F32, (pure("f32.mul", F32, (a, b)), c))
        if name == "mulh":
            product = pure("i64.mul", I64, tuple(pure("i64.extend_i32_s", I64, (each,)) for each in operands))
            bits = pure("i64.extend_i32_s", I64, (self.constant(INT, 32),))
            return pure("i32.wrap_i64", I32, (pure("i64.shr_s", I64, (product, bits)),))
        if name == "dot":
            return self._dot(operands)
        names = FLOAT_NAMES if type == F32 else INT_NAMES
        full = SCALAR_NAMES.get(name) or names.get(name) or prefix + name
        result = I32 if name in COMPARISONS else F32 if full.startswith("f32.") else I32
        return pure(full, result, operands)

    def _dot(self, operands: tuple[Node, ...]) -> Node:
        """Add the products of both int16 of pairs."""
        (a, b, total), bits = operands, self.constant(INT, 16)
        for half in ("shl", "sar"):
            factors = [self.scalar("shl", INT, (each, bits)) if half == "shl" else each for each in (a, b)]
            left, right = (self.scalar("sar", INT, (each, bits)) for each in factors)
            total = self.scalar("add", INT, (total, self.scalar("mul", INT, (left, right))))
        return total

    def signed(self, lanes: int, part: Node, bits: int) -> Node:
        """Return the low `bits` of each lane, with their sign."""
        count = self.fill(INT, lanes, self.constant(INT, 32 - bits))
        return self.compute("sar", INT, lanes, (self.compute("shl", INT, lanes, (part, count)), count))

    def lane(self, element: str, parts: Sequence[Node], lane: int) -> Node:
        """Return one lane of a vector as a scalar."""
        return parts[lane]

    def join(self, element: str, scalars: Sequence[Node]) -> list[Node]:
        """Return a vector of scalars."""
        return list(scalars)

    def shuffle(self, element: str, parts: Sequence[Node], picks: Sequence[int]) -> list[Node]:
        """Return the vector of the lanes `picks` of a vector."""
        return [parts[pick] for pick in picks]


class Vectors(Scalars):
    """A part for every four lanes; comparisons give lanes of ones or zeros."""

    width = 4

    def part_type(self, element: str, lanes: int) -> int:
        return super().part_type(element, lanes) if lanes == 1 else V128

    def fill(self, element: str, lanes: int, scalar: Node) -> Node:
        if lanes == 1:
            return scalar
        if element == BOOL:
            return self.fill(INT, lanes, self.scalar("sub", INT, (self.constant(INT, 0), scalar)))
        if scalar.is_constant:
            lane = scalar.data if scalar.type == F32 else scalar.data.to_bytes(4, "little", signed=True)
            return self.blocks.pure("const", V128, (), lane * 4)
        return self.blocks.pure("f32x4.splat" if scalar.type == F32 else "i32x4.splat", V128, (scalar,))

    def compute(self, name: str, element: str, lanes: int, operands: Sequence[Node]) -> Node:
        if lanes == 1:
            return self.scalar(name, element, operands)
        pure, operands = self.blocks.pure, tuple(operands)
        prefix = "f32x4." if element == FLOAT else "i32x4."
        if name in ("min", "max") and element == FLOAT:
            return pure(f"f32x4.p{name}", V128, operands[::-1])
        if name in ("min", "max"):
            return pure(f"i32x4.{name}_s", V128, operands)
        if name == "select":
            return pure("v128.bitselect", V128, (operands[1], operands[2], operands[0]))
        if name == "fma":
            a, b, c = operands
            return pure("f32x4.add", V128, (pure("f32x4.mul", V128, (a, b)), c))
        if name in ("float_bits", "int_bits"):
            return operands[0]
        if name in ("shl", "shr", "sar"):
            return self._shift(name, operands)
        if name == "or" and (octets := self._octets_of_pairs(*operands)):
            woven = pure("i8x16.shuffle bytes", V128, octets, WEAVE)
            return pure("i16x8.extend_low_i8x16_s", V128, (woven,))
        if name == "mulh":
            low, high = (pure(f"i64x2.extmul_{half}_i32x4_s", V128, operands) for half in ("low", "high"))
            return pure("i8x16.shuffle", V128, (low, high), (1, 3, 5, 7))
        if name == "dot":
            a, b, c = operands
            return pure("i32x4.add", V128, (pure("i32x4.dot_i16x8_s", V128, (a, b)), c))
        if name in ("lt", "le") and element != FLOAT:
            return pure(f"i32x4.{name}_s", V128, operands)
        if name in ("div", "rem") and element != FLOAT:
            return self._by_lane(name, element, operands)
        return pure(VECTOR_NAMES.get(name) or prefix + name, V128, operands)

    def _shift(self, name: str, operands: tuple[Node, ...]) -> Node:
        """Shift all lanes by the same number, which the instruction needs, or each lane by its own."""
        value, count = operands
        if not count.is_constant or count.data != count.data[:4] * 4:
            return self._by_lane(name, "i32", operands)
        amount = self.constant("i32", int.from_bytes(count.data[:4], "little", signed=True))
        return self.blocks.pure(SHIFTS[name], V128, (value, amount))

    def _octets_of_pairs(self, low: Node, high: Node) -> tuple[Node, ...]:
        """Return the vectors of bytes from which both halves of pairs of int16 were widened; () if they were not."""
        if low.name != "v128.and" or high.name != "i32x4.shl":
            return ()
        mask = self.fill(INT, 4, self.constant(INT, 0xFFFF))
        halves = low.operands[0], high.operands[0]
        if low.operands[1] is not mask or high.operands[1].data != 16:
            return ()
        words = [each.operands[0] for each in halves if each.name == "i32x4.extend_low_i16x8_s"]
        octets = [each.operands[0] for each in words if each.name == "i16x8.extend_low_i8x16_s"]
        return tuple(octets) if len(octets) == 2 else ()

    def _by_lane(self, name: str, element: str, operands: tuple[Node, ...]) -> Node:
        lanes = [[self.lane(element, [each], lane) for each in operands] for lane in range(4)]
        return self.join(element, [self.scalar(name, element, values) for values in lanes])[0]

    def lane(self, element: str, parts: Sequence[Node], lane: int) -> Node:
        prefix, type = ("f32x4", F32) if element == FLOAT else ("i32x4", I32)
        result = self.blocks.pure(f"{prefix}.extract_lane", type, (parts[lane // 4],), lane % 4)
        return self.scalar("and", INT, (result, self.constant(INT, 1))) if element == BOOL else result

    def join(self, element: str, scalars: Sequence[Node]) -> list[Node]:
        prefix, result = "f32x4" if element == FLOAT else "i32x4", []
        for first in range(0, len(scalars), 4):
            part = self.fill(element, 4, scalars[first])
            for lane, scalar in enumerate(scalars[first + 1 : first + 4], 1):
                part = self.blocks.pure(f"{prefix}.replace_lane", V128, (part, scalar), lane)
            result.append(part)
        return result

    def shuffle(self, element: str, parts: Sequence[Node], picks: Sequence[int]) -> list[Node]:
        return [self._shuffled(parts, picks[first : first + 4]) for first in range(0, len(picks), 4)]

    def _shuffled(self, parts: Sequence[Node], picks: Sequence[int]) -> Node:
        """Return up to four lanes of several vectors: by one instruction for each vector after the first."""
        used = list(dict.fromkeys(pick // 4 for pick in picks))
        result = parts[used[0]]
        lanes: list[Any] = [pick % 4 if pick // 4 == used[0] else None for pick in picks]
        if len(used) == 1:
            return self._shuffle(result, result, lanes)
        for number in used[1:]:
            chosen = [4 + pick % 4 if pick // 4 == number else lane for pick, lane in zip(picks, lanes, strict=True)]
            result = self._shuffle(result, parts[number], chosen)
            lanes = [None if lane is None else place for place, lane in enumerate(chosen)]
        return result

    def _shuffle(self, a: Node, b: Node, lanes: Sequence[int | None]) -> Node:
        full = [place if lane is None else lane for place, lane in enumerate([*lanes, *[None] * (4 - len(lanes))])]
        if full == [0, 1, 2, 3]:
            return a
        return self.blocks.pure("i8x16.shuffle", V128, (a, b), tuple(full))

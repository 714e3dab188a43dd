"""Expressions of C with their precedence, and the types and literals of the kernel IR."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from opsin.base.errors import CompileError
from opsin.kernels.ir import BOOL, F32, I32, INDEX, ScalarType

SCALARS = {F32: "float", I32: "int32_t", INDEX: "idx", BOOL: "int"}
MEMORY = {F32: "float", I32: "word"}
"""The type through which each element is accessed; `word` may alias float, because programs reuse memory."""
VECTORS = {F32: "f", I32: "i", BOOL: "i"}
LANES = (2, 4)

OTHER, SUM, PRODUCT, ATOM = range(4)
"""Precedences: operands of a lower one are put in parentheses."""
OPERATORS = {
    "add": ("+", SUM), "sub": ("-", SUM), "mul": ("*", PRODUCT), "div": ("/", PRODUCT), "rem": ("%", PRODUCT),
    "and": ("&", OTHER), "or": ("|", OTHER), "xor": ("^", OTHER), "shl": ("<<", OTHER), "shr": (">>", OTHER),
    "lt": ("<", OTHER), "le": ("<=", OTHER), "eq": ("==", OTHER),
}  # fmt: skip


@dataclass(frozen=True)
class Expression:
    """The text of an expression and its precedence."""

    text: str
    precedence: int = ATOM

    def within(self, precedence: int) -> str:
        """Return the text as an operand where `precedence` is needed."""
        return self.text if self.precedence >= precedence else f"({self.text})"


def infix(name: str, a: Expression, b: Expression) -> Expression:
    """Return `a name b`. Sums keep the order that they are written in: the right operand is in parentheses."""
    operator, precedence = OPERATORS[name]
    left = ATOM if precedence == OTHER else precedence
    right = min(precedence + 1, ATOM) if precedence != OTHER else ATOM
    return Expression(f"{a.within(left)} {operator} {b.within(right)}", precedence)


def type_name(kind: ScalarType) -> str:
    """Return the C type of a value. Raise `CompileError` if there is none."""
    if kind.lanes == 1 and kind.element in SCALARS:
        return SCALARS[kind.element]
    if kind.lanes in LANES and kind.element in VECTORS:
        return f"{VECTORS[kind.element]}{kind.lanes}"
    raise CompileError(f"C programs cannot hold values of type {kind}")


def memory_type(element: str) -> str:
    """Return the type through which elements in memory are accessed. Raise `CompileError` if there is none."""
    if element not in MEMORY:
        raise CompileError(f"C programs cannot hold arrays of {element}")
    return MEMORY[element]


def literal(value: float, element: str) -> Expression:
    """Return a number. Floats are exact: whole, or hexadecimal as in C99; infinity and NaN are given by their bits."""
    if element != F32:
        return Expression(str(int(value)), ATOM if value >= 0 else OTHER)
    (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    if not math.isfinite(rounded):
        (bits,) = struct.unpack("<I", struct.pack("<f", rounded))
        return Expression(f"f_from_bits(0x{bits:08x}u)")
    sign = math.copysign(1.0, rounded)
    if rounded == int(rounded) and abs(rounded) < 2**24:
        text = f"{'-' if sign < 0 else ''}{abs(int(rounded))}.0f"
    else:
        digits, _, exponent = rounded.hex().partition("p")
        text = f"{digits.rstrip('0') if '.' in digits else digits}p{int(exponent)}f".replace(".p", ".0p")
    return Expression(text, ATOM if sign > 0 else OTHER)

"""The text of an LLVM function: types, names of values, and instructions line by line."""

from __future__ import annotations

from typing import Any

from opsin.kernels.ir import (
    BF16,
    BOOL,
    F32,
    I8,
    I16,
    I16_PAIR,
    I32,
    INDEX,
    PAIR,
    QUAD,
    U8,
    U8_QUAD,
    ScalarType,
    Target,
    Value,
)

ELEMENTS = {
    F32: "float", I32: "i32", INDEX: "i64", BOOL: "i1", U8: "i8", I8: "i8", I16: "i16", BF16: "i16",
    PAIR: "i32", I16_PAIR: "i32", QUAD: "i32", U8_QUAD: "i32",
}  # fmt: skip


def llvm_type(kind: ScalarType) -> str:
    element = ELEMENTS[kind.element]
    return element if kind.lanes == 1 else f"<{kind.lanes} x {element}>"


def splat(value: int, kind: ScalarType) -> str:
    """Return a whole number in every lane of `kind`."""
    return str(value) if kind.lanes == 1 else "<" + ", ".join([f"{ELEMENTS[kind.element]} {value}"] * kind.lanes) + ">"


class FunctionText:
    """The lines of a function for `target`, the names of its values, and the intrinsics that it calls."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.lines: list[str] = []
        self.names: dict[Any, str] = {}
        self.intrinsics: set[str] = set()
        self.count = 0

    def fresh(self, prefix: str = "v") -> str:
        self.count += 1
        return f"%{prefix}{self.count}"

    def line(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def name(self, value: Any) -> str:
        return self.names[value]

    def typed(self, value: Value) -> str:
        return f"{llvm_type(value.kind)} {self.names[value]}"

    def assign(self, result: Any, text: str) -> str:
        name = self.fresh()
        self.line(f"{name} = {text}")
        if result is not None:
            self.names[result] = name
        return name

    def multiply_add(self, kind: ScalarType, a: str, b: str, c: str) -> str:
        """Return the name of `a · b + c`, values of `kind`."""
        vector = llvm_type(kind)
        if not self.target.fma:
            product = self.assign(None, f"fmul {vector} {a}, {b}")
            return self.assign(None, f"fadd {vector} {product}, {c}")
        name = f"@llvm.fma.{'f32' if kind.lanes == 1 else f'v{kind.lanes}f32'}"
        self.intrinsics.add(f"{vector} {name}({', '.join([vector] * 3)})")
        return self.assign(None, f"call {vector} {name}({vector} {a}, {vector} {b}, {vector} {c})")

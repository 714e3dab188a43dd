"""Values, registers and pointers of a kernel that is being built. Python's operators append instructions to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from opsin.kernels.ir.nodes import F32, ScalarType

if TYPE_CHECKING:
    from opsin.kernels.ir.builder import Builder


class Value:
    """The result of an instruction, of type `kind`; its operators append further instructions."""

    __slots__ = ("builder", "kind")

    def __init__(self, builder: Builder, kind: ScalarType) -> None:
        self.builder, self.kind = builder, kind

    def _binary(self, name: str, other: Operand, swap: bool = False) -> Value:
        a, b = (other, self) if swap else (self, other)
        return self.builder.binary(name, a, b)

    def __add__(self, other: Operand) -> Value:
        return self._binary("add", other)

    def __radd__(self, other: Operand) -> Value:
        return self._binary("add", other, True)

    def __sub__(self, other: Operand) -> Value:
        return self._binary("sub", other)

    def __rsub__(self, other: Operand) -> Value:
        return self._binary("sub", other, True)

    def __mul__(self, other: Operand) -> Value:
        return self._binary("mul", other)

    def __rmul__(self, other: Operand) -> Value:
        return self._binary("mul", other, True)

    def __truediv__(self, other: Operand) -> Value:
        return self._binary("div", other)

    def __rtruediv__(self, other: Operand) -> Value:
        return self._binary("div", other, True)

    def __floordiv__(self, other: Operand) -> Value:
        """Divide whole numbers, rounding towards zero (Python rounds down)."""
        return self._binary("div", other)

    def __mod__(self, other: Operand) -> Value:
        """Return the remainder of `//`, which has the sign of the dividend."""
        return self._binary("rem", other)

    def __neg__(self) -> Value:
        return self.builder.unary("neg", self) if self.kind.element == F32 else 0 - self

    def __and__(self, other: Operand) -> Value:
        return self._binary("and", other)

    def __or__(self, other: Operand) -> Value:
        return self._binary("or", other)

    def __xor__(self, other: Operand) -> Value:
        return self._binary("xor", other)

    def __lshift__(self, other: Operand) -> Value:
        return self._binary("shl", other)

    def __rshift__(self, other: Operand) -> Value:
        """Shift logically, filling with zeros from the left."""
        return self._binary("shr", other)

    def __lt__(self, other: Operand) -> Value:
        return self._binary("lt", other)

    def __le__(self, other: Operand) -> Value:
        return self._binary("le", other)

    def __gt__(self, other: Operand) -> Value:
        return self._binary("lt", other, True)

    def __ge__(self, other: Operand) -> Value:
        return self._binary("le", other, True)


Operand: TypeAlias = "Value | int | float"


class Register:
    """A mutable variable of the kernel, which the code generator keeps in a machine register."""

    __slots__ = ("builder", "kind")

    def __init__(self, builder: Builder, kind: ScalarType) -> None:
        self.builder, self.kind = builder, kind

    def get(self) -> Value:
        return self.builder.emit("get", self.kind, (self,))

    def set(self, value: Operand) -> None:
        self.builder.emit_void("set", (self, self.builder.constant(value, self.kind)))


class Pointer:
    """An address and the element kind of the array there; `k.load(buffer, index)` counts elements."""

    __slots__ = ("address", "element")

    def __init__(self, address: Value, element: str) -> None:
        self.address, self.element = address, element

    def of(self, element: str) -> Pointer:
        """Return the same address as that of an array of `element`s, such as pairs of bfloat16."""
        return Pointer(self.address, element)

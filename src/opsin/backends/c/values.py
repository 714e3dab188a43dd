"""The values of a kernel as expressions of C: instructions without effects, and places in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opsin.backends.c.expressions import (
    ATOM,
    OTHER,
    PRODUCT,
    SUM,
    Expression,
    infix,
    literal,
    memory_type,
    type_name,
)
from opsin.base.errors import CompileError
from opsin.kernels.ir import BOOL, F32, I32, INDEX, Instruction, ScalarType, Value


@dataclass(frozen=True)
class Pointer:
    name: str
    element: str
    constant: bool


class Values:
    """The expressions of the values of one kernel, its pointers, and the functions of the prelude that they call."""

    def __init__(self, kernel: str) -> None:
        self.kernel_name = kernel
        self.values: dict[Any, Expression] = {}
        self.pointers: dict[Any, Pointer] = {}
        self.functions: set[str] = set()

    def text(self, value: Any) -> str:
        return self.values[value].text

    def call(self, function: str, *arguments: str) -> Expression:
        """Return a call of a function of the prelude."""
        self.functions.add(function)
        return Expression(f"{function}({', '.join(arguments)})")

    def expression(self, item: Instruction) -> Expression:
        handler: Callable[[Instruction], Expression] | None = getattr(self, f"do_{item.name}", None)
        if handler is not None:
            return handler(item)
        kind: ScalarType = item.operands[0].kind
        operands = [self.values[v] for v in item.operands]
        if kind.lanes == 1 and (
            kind.element in (INDEX, BOOL) or item.name in ("lt", "le", "eq") or _is_float_sum(item)
        ):
            if item.name in ("min", "max"):
                return self.call(f"idx_{item.name}", *(v.text for v in operands))
            return _simple(item.name, *operands) if kind.element == INDEX else infix(item.name, *operands)
        return self.call(f"{prefix(kind)}_{item.name}", *(v.text for v in operands))

    def do_constant(self, item: Instruction) -> Expression:
        kind: ScalarType = item.result.kind
        is_mask = kind.element == BOOL and kind.lanes > 1
        value = literal(-item.data if is_mask else item.data, kind.element)
        if value.text.startswith("f_from_bits"):
            self.functions.add("f_from_bits")
        return value if kind.lanes == 1 else self.call(f"{prefix(kind)}_all", value.text)

    def do_get(self, item: Instruction) -> Expression:
        return self.values[item.operands[0]]

    def do_broadcast(self, item: Instruction) -> Expression:
        return self.call(f"{prefix(item.result.kind)}_all", self.text(item.operands[0]))

    def do_iota(self, item: Instruction) -> Expression:
        return self.call(f"{prefix(item.result.kind)}_iota") if item.result.kind.lanes > 1 else Expression("0")

    def do_select(self, item: Instruction) -> Expression:
        condition, a, b = (self.values[v] for v in item.operands)
        if item.result.kind.lanes == 1:
            return Expression(f"{condition.within(SUM)} ? {a.within(SUM)} : {b.within(SUM)}", OTHER)
        return self.call(f"{prefix(item.result.kind)}_select", condition.text, a.text, b.text)

    def do_neg(self, item: Instruction) -> Expression:
        kind = item.result.kind
        operand = self.values[item.operands[0]]
        return (
            Expression(f"-{operand.within(ATOM)}", OTHER)
            if kind.lanes == 1
            else self.call(f"{prefix(kind)}_neg", operand.text)
        )

    def do_shuffle(self, item: Instruction) -> Expression:
        a, b = (self.text(v) for v in item.operands)
        picks = "_".join(map(str, item.data))
        return self.call(f"{prefix(item.operands[0].kind)}_shuffle_{picks}", a, b)

    def do_reduce(self, item: Instruction) -> Expression:
        (source,) = item.operands
        if source.kind.lanes == 1:
            return self.values[source]
        return self.call(f"{prefix(source.kind)}_reduce_{item.data}", self.text(source))

    def do_float(self, item: Instruction) -> Expression:
        return self.convert(item, "float")

    def do_int(self, item: Instruction) -> Expression:
        return self.convert(item, "int")

    def convert(self, item: Instruction, name: str) -> Expression:
        return self.call(f"{prefix(item.operands[0].kind)}_to_{name}", self.text(item.operands[0]))

    def do_float_bits(self, item: Instruction) -> Expression:
        return self.call(f"{prefix(item.operands[0].kind)}_as_float", self.text(item.operands[0]))

    def do_int_bits(self, item: Instruction) -> Expression:
        return self.call(f"{prefix(item.operands[0].kind)}_as_int", self.text(item.operands[0]))

    def do_i32(self, item: Instruction) -> Expression:
        return Expression(f"(int32_t){self.values[item.operands[0]].within(ATOM)}", OTHER)

    def do_index(self, item: Instruction) -> Expression:
        return Expression(f"(idx){self.values[item.operands[0]].within(ATOM)}", OTHER)

    # -- memory -------------------------------------------------------------------------------

    def place(self, address: Value, index: Value, element: str) -> str:
        """Return a pointer to an element of the array at `address`."""
        pointer, at = self.pointers.get(address), self.values[index]
        if pointer is None:
            raise CompileError(f"{self.kernel_name}: an address that is not that of an array")
        name = pointer.name
        if memory_type(element) != memory_type(pointer.element):
            constant = "const " if pointer.constant else ""
            name = f"({constant}{memory_type(element)} *){name}"
        return (
            name if at.text == "0" else f"{name} + {at.within(PRODUCT) if at.text.startswith('-') else at.within(SUM)}"
        )

    def element(self, address: Value, index: Value, kind: ScalarType) -> str:
        """Return the expression of one element in memory."""
        place = self.place(address, index, kind.element)
        if place.isidentifier():
            return f"{place}[0]"
        name, plus, at = place.partition(" + ")
        return f"{name}[{at}]" if plus and name.isidentifier() else f"*({place})"

    def do_load(self, item: Instruction) -> Expression:
        kind: ScalarType = item.result.kind
        address, index = item.operands
        if kind.lanes == 1:
            return Expression(self.element(address, index, kind)) if item.data else literal(0, kind.element)
        count = "" if item.data == kind.lanes else str(item.data)
        return self.call(f"{prefix(kind)}_load{count}", self.place(address, index, kind.element))

    def do_gather(self, item: Instruction) -> Expression:
        kind: ScalarType = item.result.kind
        address, index, stride = item.operands
        place = self.place(address, index, kind.element)
        if item.data == 1:
            return self.call(f"{prefix(kind)}_load1", place)
        return self.call(f"{prefix(kind)}_gather{item.data}", place, self.text(stride))


def prefix(kind: ScalarType) -> str:
    """Return the beginning of the names of the functions on values of a type."""
    if kind.lanes > 1:
        return type_name(kind)
    return {F32: "f", I32: "i", INDEX: "idx", BOOL: "idx"}[kind.element]


def _simple(name: str, a: Expression, b: Expression) -> Expression:
    """Return an expression of whole numbers, without zeros that are added and ones that are factors."""
    texts = a.text, b.text
    neutral = {"add": "0", "mul": "1"}.get(name)
    if neutral in texts:
        return b if a.text == neutral else a
    return infix(name, a, b)


def _is_float_sum(item: Instruction) -> bool:
    return item.operands[0].kind.element == F32 and item.name in ("add", "sub", "mul", "div")

"""Places in memory and narrow numbers as expressions of C.

Narrow numbers are values of 32 bits, which a load widens. After `narrow`, only their low bits count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opsin.backends.c.expressions import MEMORY_LETTERS, NARROW, PRODUCT, SUM, Expression, literal, memory_type
from opsin.backends.c.values import Values, prefix
from opsin.base.errors import CompileError
from opsin.kernels.ir import BF16, I8, I16_PAIR, I32, Instruction, ScalarType, Value


@dataclass(frozen=True)
class Pointer:
    name: str
    element: str
    constant: bool


class Memory(Values):
    """The values of one kernel, and its pointers."""

    def __init__(self, kernel: str) -> None:
        super().__init__()
        self.kernel_name = kernel
        self.pointers: dict[Any, Pointer] = {}
        self.unwrapped: set[Any] = set()
        """Narrow numbers of which only the low bits count, as for stores."""

    def array(self, address: Value, element: str) -> str:
        """Return a pointer to the array of `element`s at `address`."""
        pointer = self.pointers.get(address)
        if pointer is None:
            raise CompileError(f"{self.kernel_name}: an address that is not that of an array")
        if memory_type(element) == memory_type(pointer.element):
            return pointer.name
        return f"({'const ' if pointer.constant else ''}{memory_type(element)} *){pointer.name}"

    def place(self, address: Value, index: Value, element: str) -> str:
        """Return a pointer to an element of the array at `address`."""
        name, at = self.array(address, element), self.values[index]
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
        if kind.lanes == 1 and kind.element == I16_PAIR and item.data:
            return self.call("p_load", self.place(address, index, kind.element))
        if kind.lanes == 1:
            return Expression(self.element(address, index, kind)) if item.data else literal(0, kind.element)
        count = "" if item.data == kind.lanes else str(item.data)
        return self.call(f"{memory_prefix(kind)}_load{count}", self.place(address, index, kind.element))

    def do_gather(self, item: Instruction) -> Expression:
        kind: ScalarType = item.result.kind
        address, index, stride = item.operands
        place = self.place(address, index, kind.element)
        if item.data == 1:
            return self.call(f"{memory_prefix(kind)}_load1", place)
        return self.call(f"{memory_prefix(kind)}_gather{item.data}", place, self.text(stride))

    def do_load_pairs(self, item: Instruction) -> Expression:
        kind, (address, index) = ScalarType(I8, item.result.kind.lanes), item.operands
        place = self.place(address, index, I8)
        return self.call(f"{memory_prefix(kind)}_load_pairs" if kind.lanes > 1 else "i_load_pair", place)

    def do_load_bytes(self, item: Instruction) -> Expression:
        address, indices = item.operands
        name = self.array(address, item.data)
        kind = ScalarType(item.data, indices.kind.lanes)
        if kind.lanes == 1:
            return Expression(f"({name})[{self.text(indices)}]" if " " in name else f"{name}[{self.text(indices)}]")
        return self.call(f"{memory_prefix(kind)}_load_bytes", name, self.text(indices))

    # -- narrow numbers -----------------------------------------------------------------------

    def do_bits(self, item: Instruction) -> Expression:
        (source,) = item.operands
        if not {source.kind.element, item.result.kind.element} <= {I32, I16_PAIR}:
            raise CompileError(f"{self.kernel_name}: C programs have no bits of {source.kind} as {item.result.kind}")
        return self.values[source]

    def do_narrow(self, item: Instruction) -> Expression:
        if item.result.kind.element not in NARROW:
            raise CompileError(f"C programs cannot hold values of type {item.result.kind}")
        self.unwrapped.add(item.result)
        return self.values[item.operands[0]]

    def do_widen(self, item: Instruction) -> Expression:
        (source,) = item.operands
        if source.kind.element == BF16:
            raise CompileError(f"C programs cannot hold values of type {source.kind}")
        if source not in self.unwrapped:
            return self.values[source]
        return self.call(f"{prefix(item.result.kind)}_low_{NARROW[source.kind.element]}", self.text(source))


def memory_prefix(kind: ScalarType) -> str:
    """Return the beginning of the names of the functions on vectors of a type in memory."""
    letter = MEMORY_LETTERS.get(kind.element)
    return f"{letter}{kind.lanes}" if letter else prefix(kind)

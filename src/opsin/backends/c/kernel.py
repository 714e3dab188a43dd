"""A kernel as a function of C99.

Arithmetic on indices is written as expressions; every operation on floats is a statement of its own, so that no
compiler may fuse a product with a sum. Vectors are values of the types `f4` and `i4`, and operations on them functions
of the prelude (`prelude.py`), which defines them with the compiler's vectors or lane by lane.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opsin.backends.c.expressions import ATOM, OTHER, PRODUCT, SUM, Expression, infix, literal, memory_type, type_name
from opsin.backends.c.liveness import STORES, Liveness
from opsin.base.errors import CompileError
from opsin.kernels.ir import BOOL, F32, I32, INDEX, Branch, Instruction, Kernel, Loop, ScalarType, Value

RESERVED = re.compile(
    r"([fi][24]?(_\w*)?|[npvr]\d+|idx\w*|word|begin|end|scratch|auto|break|case|char|const|continue|default|do|double|"
    r"else|enum|extern|float|for|goto|if|inline|int|long|register|restrict|return|short|signed|sizeof|static|struct|"
    r"switch|typedef|union|unsigned|void|volatile|while)"
)
"""Names that parameters cannot have."""
LOADS = ("load", "gather", "load_bytes")
MAX_EXPRESSION = 70
"""Characters of an expression that is repeated in place instead of being a variable."""


@dataclass(frozen=True)
class CKernel:
    """A function: its name and text, which arguments it takes, and the `functions` of the prelude that it calls.

    `parameters` are the numbers of the kernel's parameters that are arguments. If they are needed, `begin`, `end` and
    `scratch` follow them.
    """

    name: str
    text: str
    parameters: tuple[int, ...]
    begin: bool
    end: bool
    scratch: bool
    functions: frozenset[str]


def render_kernel(kernel: Kernel, name: str, numbers: Mapping[int, int] | None = None) -> CKernel:
    """Return `kernel` as the function `name`. `numbers` gives the values of parameters that all calls share.

    Raise `CompileError` for an instruction or a type that C programs do not have.
    """
    return _Renderer(kernel, name, numbers or {}).render()


@dataclass(frozen=True)
class _Pointer:
    name: str
    element: str
    constant: bool


class _Renderer:
    def __init__(self, kernel: Kernel, name: str, numbers: Mapping[int, int]) -> None:
        self.kernel, self.name, self.numbers = kernel, name, numbers
        self.live = Liveness(kernel)
        self.values: dict[Any, Expression] = {}
        self.pointers: dict[Any, _Pointer] = {}
        self.lines: list[str] = []
        self.functions: set[str] = set()
        self.volatile: set[Any] = set()
        """Values that were read from registers; their expressions are repeated at once or not at all."""
        self.count = 0
        self.depth = 1
        self.written = self._written()

    def _written(self) -> set[Any]:
        """Return the addresses through which something is stored: parameters, and pointers made from them."""
        origins: dict[Any, Any] = {}
        written: set[Any] = set()
        for item in self.kernel.instructions():
            if item.name == "address":
                origins[item.result] = item.operands[0]
            elif item.name in STORES:
                address = item.operands[0]
                while address is not None:
                    written.add(address)
                    address = origins.get(address)
        return written

    def render(self) -> CKernel:
        kernel, uses = self.kernel, self.live.uses
        parameters = self._parameters()
        extra = [(kernel.begin, "idx begin"), (kernel.end, "idx end"), (kernel.scratch_base, "float *scratch")]
        self.values |= {kernel.begin: Expression("begin"), kernel.end: Expression("end")}
        self.pointers[kernel.scratch_base] = _Pointer("scratch", F32, False)
        for number, register in enumerate(kernel.registers):
            if uses[register]:
                self.values[register] = Expression(f"r{number}")
                self.line(f"{type_name(register.kind)} r{number};")
        self.block(kernel.body)
        arguments = [*parameters.values(), *(text for value, text in extra if uses[value])]
        head = f"static NOINLINE void {self.name}({', '.join(arguments) or 'void'})"
        begin, end, scratch = (bool(uses[value]) for value, _ in extra)
        text = "\n".join([head, "{", *self.lines, "}", ""])
        return CKernel(self.name, text, tuple(parameters), begin, end, scratch, frozenset(self.functions))

    def _parameters(self) -> dict[int, str]:
        """Name the parameters, and return the declarations of those that are arguments."""
        declarations: dict[int, str] = {}
        for item in self.live.items(self.kernel.body):
            if not isinstance(item, Instruction) or item.name != "parameter":
                continue
            parameter = self.kernel.parameters[item.data]
            name = f"{parameter.name}_" if RESERVED.fullmatch(parameter.name) else parameter.name
            if parameter.is_buffer:
                pointer = _Pointer(name, parameter.element, item.result not in self.written)
                self.pointers[item.result] = pointer
                declarations[item.data] = _declaration(pointer)
            elif item.data in self.numbers:
                self.values[item.result] = literal(self.numbers[item.data], INDEX)
            else:
                self.values[item.result] = Expression(name)
                declarations[item.data] = f"idx {name}"
        return declarations

    # -- text ---------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        self.lines.append("  " * self.depth + text)

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def text(self, value: Any) -> str:
        return self.values[value].text

    def call(self, function: str, *arguments: str) -> Expression:
        """Return a call of a function of the prelude."""
        self.functions.add(function)
        return Expression(f"{function}({', '.join(arguments)})")

    # -- control ------------------------------------------------------------------------------

    def block(self, body: list[Any]) -> None:
        items = self.live.items(body)
        for number, item in enumerate(items):
            rest = items[number + 1 :]
            if isinstance(item, Loop):
                self.loop(item)
            elif isinstance(item, Branch):
                self.branch(item)
            elif item.name in ("store", "scatter"):
                self.store(item)
            elif item.name == "set":
                if item.operands[1] in self.values:
                    self.line(f"{self.text(item.operands[0])} = {self.text(item.operands[1])};")
            elif item.name == "address":
                self.address(item)
            elif item.name != "parameter":
                self.assign(item, rest)

    def nested(self, body: list[Any]) -> None:
        self.depth += 1
        self.block(body)
        self.depth -= 1

    def loop(self, loop: Loop) -> None:
        index = self.fresh("n")
        self.values[loop.index] = Expression(index)
        start, step = (self.text(v) for v in (loop.start, loop.step))
        advance = f"{index}++" if step == "1" else f"{index} += {step}"
        self.line(f"for (idx {index} = {start}; {index} < {self.values[loop.stop].within(SUM)}; {advance}) {{")
        self.nested(loop.body)
        self.line("}")

    def branch(self, branch: Branch) -> None:
        self.line(f"if ({self.text(branch.condition)}) {{")
        self.nested(branch.body)
        if self.live.items(branch.otherwise):
            self.line("} else {")
            self.nested(branch.otherwise)
        self.line("}")

    # -- values -------------------------------------------------------------------------------

    def assign(self, item: Instruction, rest: list[Any]) -> None:
        """Write the statement of an instruction, or keep its expression for the place where it is used."""
        result, value = item.result, self.expression(item)
        if item.name in ("constant", "iota") or self.is_repeatable(item, value, rest):
            self.values[result] = value
        elif rest and _is_set(rest[0], result) and self.live.uses[result] == 1:
            self.line(f"{self.text(rest[0].operands[0])} = {value.text};")
        else:
            name = self.fresh("v")
            self.values[result] = Expression(name)
            self.line(f"const {type_name(result.kind)} {name} = {value.text};")

    def is_repeatable(self, item: Instruction, value: Expression, rest: list[Any]) -> bool:
        """Return whether the expression may be written where its value is used, instead of here."""
        if self.live.uses[item.result] != 1 or len(value.text) > MAX_EXPRESSION:
            return False
        if item.name == "get":
            self.volatile.add(item.result)
            return _used_before_set(item, rest)
        is_index = item.result.kind.element in (INDEX, BOOL) and item.result.kind.lanes == 1
        return is_index and item.name not in LOADS and self.volatile.isdisjoint(item.operands)

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
        return self.call(f"{_prefix(kind)}_{item.name}", *(v.text for v in operands))

    def do_constant(self, item: Instruction) -> Expression:
        kind: ScalarType = item.result.kind
        is_mask = kind.element == BOOL and kind.lanes > 1
        value = literal(-item.data if is_mask else item.data, kind.element)
        if value.text.startswith("f_from_bits"):
            self.functions.add("f_from_bits")
        return value if kind.lanes == 1 else self.call(f"{_prefix(kind)}_all", value.text)

    def do_get(self, item: Instruction) -> Expression:
        return self.values[item.operands[0]]

    def do_broadcast(self, item: Instruction) -> Expression:
        return self.call(f"{_prefix(item.result.kind)}_all", self.text(item.operands[0]))

    def do_iota(self, item: Instruction) -> Expression:
        return self.call(f"{_prefix(item.result.kind)}_iota") if item.result.kind.lanes > 1 else Expression("0")

    def do_select(self, item: Instruction) -> Expression:
        condition, a, b = (self.values[v] for v in item.operands)
        if item.result.kind.lanes == 1:
            return Expression(f"{condition.within(SUM)} ? {a.within(SUM)} : {b.within(SUM)}", OTHER)
        return self.call(f"{_prefix(item.result.kind)}_select", condition.text, a.text, b.text)

    def do_neg(self, item: Instruction) -> Expression:
        kind = item.result.kind
        operand = self.values[item.operands[0]]
        return (
            Expression(f"-{operand.within(ATOM)}", OTHER)
            if kind.lanes == 1
            else self.call(f"{_prefix(kind)}_neg", operand.text)
        )

    def do_shuffle(self, item: Instruction) -> Expression:
        a, b = (self.text(v) for v in item.operands)
        picks = "_".join(map(str, item.data))
        return self.call(f"{_prefix(item.operands[0].kind)}_shuffle_{picks}", a, b)

    def do_reduce(self, item: Instruction) -> Expression:
        (source,) = item.operands
        if source.kind.lanes == 1:
            return self.values[source]
        return self.call(f"{_prefix(source.kind)}_reduce_{item.data}", self.text(source))

    def do_float(self, item: Instruction) -> Expression:
        return self.convert(item, "float")

    def do_int(self, item: Instruction) -> Expression:
        return self.convert(item, "int")

    def convert(self, item: Instruction, name: str) -> Expression:
        return self.call(f"{_prefix(item.operands[0].kind)}_to_{name}", self.text(item.operands[0]))

    def do_float_bits(self, item: Instruction) -> Expression:
        return self.call(f"{_prefix(item.operands[0].kind)}_as_float", self.text(item.operands[0]))

    def do_int_bits(self, item: Instruction) -> Expression:
        return self.call(f"{_prefix(item.operands[0].kind)}_as_int", self.text(item.operands[0]))

    def do_i32(self, item: Instruction) -> Expression:
        return Expression(f"(int32_t){self.values[item.operands[0]].within(ATOM)}", OTHER)

    def do_index(self, item: Instruction) -> Expression:
        return Expression(f"(idx){self.values[item.operands[0]].within(ATOM)}", OTHER)

    # -- memory -------------------------------------------------------------------------------

    def place(self, address: Value, index: Value, element: str) -> str:
        """Return a pointer to an element of the array at `address`."""
        pointer, at = self.pointers.get(address), self.values[index]
        if pointer is None:
            raise CompileError(f"{self.kernel.name}: an address that is not that of an array")
        name = pointer.name
        if memory_type(element) != memory_type(pointer.element):
            constant = "const " if pointer.constant else ""
            name = f"({constant}{memory_type(element)} *){name}"
        return (
            name if at.text == "0" else f"{name} + {at.within(PRODUCT) if at.text.startswith('-') else at.within(SUM)}"
        )

    def address(self, item: Instruction) -> None:
        source, index = item.operands
        pointer = _Pointer(self.fresh("p"), item.data, item.result not in self.written)
        self.pointers[item.result] = pointer
        self.line(f"{_declaration(pointer)} = {self.place(source, index, item.data)};")

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
        return self.call(f"{_prefix(kind)}_load{count}", self.place(address, index, kind.element))

    def do_gather(self, item: Instruction) -> Expression:
        kind: ScalarType = item.result.kind
        address, index, stride = item.operands
        place = self.place(address, index, kind.element)
        if item.data == 1:
            return self.call(f"{_prefix(kind)}_load1", place)
        return self.call(f"{_prefix(kind)}_gather{item.data}", place, self.text(stride))

    def store(self, item: Instruction) -> None:
        address, index, value = item.operands[:3]
        kind: ScalarType = value.kind
        if kind.lanes == 1:
            self.line(f"{self.element(address, index, kind)} = {self.text(value)};")
            return
        place, stride = self.place(address, index, kind.element), [self.text(v) for v in item.operands[3:]]
        name, count = item.name, "" if item.data == kind.lanes and not stride else str(item.data)
        if item.data == 1:
            name, stride = "store", []
        self.line(self.call(f"{_prefix(kind)}_{name}{count}", place, *stride, self.text(value)).text + ";")


def _declaration(pointer: _Pointer) -> str:
    return f"{'const ' if pointer.constant else ''}{memory_type(pointer.element)} *{pointer.name}"


def _prefix(kind: ScalarType) -> str:
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


def _is_set(item: Any, value: Value) -> bool:
    return isinstance(item, Instruction) and item.name == "set" and item.operands[1] is value


def _used_before_set(item: Instruction, rest: list[Any]) -> bool:
    """Return whether the value that a register had is used in this block before anything may change it."""
    for later in rest:
        if not isinstance(later, Instruction):
            return False
        if item.result in later.operands:
            return later.name != "get"
        if later.name == "set" and later.operands[0] is item.operands[0]:
            return False
    return False

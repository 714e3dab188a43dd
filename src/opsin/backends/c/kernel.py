"""A kernel as a function of C99.

Arithmetic on indices is written as expressions; every operation on floats is a statement of its own, so that no
compiler may fuse a product with a sum. Vectors are values of the types `f4` and `i4`, and operations on them functions
of the prelude (`prelude.py`), which defines them with the compiler's vectors or lane by lane.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opsin.backends.c.expressions import SUM, Expression, literal, memory_type, type_name
from opsin.backends.c.liveness import STORES, Liveness
from opsin.backends.c.values import Pointer, Values, prefix
from opsin.kernels.ir import BOOL, F32, INDEX, Branch, Instruction, Kernel, Loop, ScalarType, Value

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


class _Renderer(Values):
    def __init__(self, kernel: Kernel, name: str, numbers: Mapping[int, int]) -> None:
        super().__init__(kernel.name)
        self.kernel, self.name, self.numbers = kernel, name, numbers
        self.live = Liveness(kernel)
        self.lines: list[str] = []
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
        self.pointers[kernel.scratch_base] = Pointer("scratch", F32, False)
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
                pointer = Pointer(name, parameter.element, item.result not in self.written)
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

    def address(self, item: Instruction) -> None:
        source, index = item.operands
        pointer = Pointer(self.fresh("p"), item.data, item.result not in self.written)
        self.pointers[item.result] = pointer
        self.line(f"{_declaration(pointer)} = {self.place(source, index, item.data)};")

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
        self.line(self.call(f"{prefix(kind)}_{name}{count}", place, *stride, self.text(value)).text + ";")


def _declaration(pointer: Pointer) -> str:
    return f"{'const ' if pointer.constant else ''}{memory_type(pointer.element)} *{pointer.name}"


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

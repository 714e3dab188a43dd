"""The kernel IR as blocks of WebAssembly expressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from opsin.backends.wasm.encoding import I32
from opsin.backends.wasm.linear import Linear, times
from opsin.backends.wasm.memory import NUMBER, MemoryLowering
from opsin.backends.wasm.nodes import Choice, Item, Node, Repeat, SetVariable
from opsin.base.errors import CompileError
from opsin.kernels.ir import ELEMENT_BYTES, I8, I16, I16_PAIR, INDEX, U8, Branch, Instruction, Kernel, Loop
from opsin.kernels.ir import I32 as INT


class Lowering(MemoryLowering):
    """Translates one kernel; `simd` selects vectors or scalars."""

    def __init__(self, kernel: Kernel, simd: bool) -> None:
        super().__init__(kernel, simd)
        self.variables: dict[Any, list[Variable]] = {}
        self.unwrapped: set[Any] = set()
        """Narrow numbers of which only the low bits count, as for stores."""
        first = len(kernel.parameters)
        for place, each in enumerate((kernel.begin, kernel.end, kernel.scratch_base), first):
            self.numbers[each] = Linear.of(self._parameter(place))
        for register in kernel.registers:
            kind = register.kind
            type = self.lanes.part_type(kind.element, kind.lanes)
            self.variables[register] = [Variable(type) for _ in range(self.lanes.parts(kind.lanes))]
        self._block(kernel.body)

    @property
    def body(self) -> list[Item]:
        return self.blocks.body

    def _parameter(self, place: int) -> Node:
        return self.blocks.pure("parameter", I32, (), place)

    # -- control ------------------------------------------------------------------------------

    def _block(self, items: Sequence[Any]) -> None:
        for item in items:
            if isinstance(item, Loop):
                self._loop(item)
            elif isinstance(item, Branch):
                self._branch(item)
            else:
                self._instruction(item)

    def _loop(self, loop: Loop) -> None:
        start, stop, step = (self._number(each) for each in (loop.start, loop.stop, loop.step))
        body: list[Item] = []
        for _ in self.blocks.inside(body):
            index = self.blocks.index()
            self.numbers[loop.index] = Linear.of(index)
            self._block(loop.body)
        self.blocks.append(Repeat(index, start, stop, step, body))

    def _branch(self, branch: Branch) -> None:
        choice = Choice(self._get(branch.condition)[0])
        for source, body in ((branch.body, choice.body), (branch.otherwise, choice.otherwise)):
            for _ in self.blocks.inside(body):
                self._block(source)
        self.blocks.append(choice)

    # -- instructions -------------------------------------------------------------------------

    def _instruction(self, item: Instruction) -> None:
        handler: Callable[[Instruction], None] | None = getattr(self, f"_do_{item.name}", None)
        if handler is not None:
            handler(item)
        elif item.operands and item.result is not None and item.name in ELEMENTWISE:
            if item.result.kind == NUMBER and item.name in ("add", "sub", "mul", "shl"):
                self._linear(item)
            else:
                self._elementwise(item)
        else:
            raise CompileError(f"{self.kernel.name}: WebAssembly has no rendering of the instruction {item.name}")

    def _linear(self, item: Instruction) -> None:
        a, b = (self.numbers[each] for each in item.operands)
        if item.name == "add":
            self.numbers[item.result] = a + b
        elif item.name == "sub":
            self.numbers[item.result] = a - b
        elif item.name == "mul":
            self.numbers[item.result] = times(self.blocks, a, b)
        elif b.terms:
            self._elementwise(item)
        else:
            self.numbers[item.result] = a.scaled(2**b.constant)

    def _elementwise(self, item: Instruction) -> None:
        source = item.operands[0].kind
        columns = zip(*(self._get(each) for each in item.operands), strict=True)
        element = INT if source.element == INDEX else source.element
        self._set(item.result, [self.lanes.compute(item.name, element, source.lanes, column) for column in columns])

    def _do_parameter(self, item: Instruction) -> None:
        self._set(item.result, [self._parameter(item.data)])

    def _do_constant(self, item: Instruction) -> None:
        kind = item.result.kind
        if kind == NUMBER:
            self.numbers[item.result] = Linear(item.data)
            return
        scalar = self.lanes.constant(kind.element, item.data)
        self.parts[item.result] = [self.lanes.fill(kind.element, kind.lanes, scalar)] * self.lanes.parts(kind.lanes)

    def _do_broadcast(self, item: Instruction) -> None:
        kind = item.result.kind
        part = self.lanes.fill(kind.element, kind.lanes, self._get(item.operands[0])[0])
        self.parts[item.result] = [part] * self.lanes.parts(kind.lanes)

    def _do_iota(self, item: Instruction) -> None:
        count = item.result.kind.lanes
        scalars = [self.lanes.constant(INT, lane) for lane in range(count)]
        self.parts[item.result] = self.lanes.join(INT, scalars) if count > 1 else scalars

    def _do_shuffle(self, item: Instruction) -> None:
        element, sources = item.result.kind.element, [self._get(each) for each in item.operands]
        lanes = item.operands[0].kind.lanes
        unused = len(sources[0]) * self.lanes.width - lanes  # lanes at the end of the first operand's last part
        picks = [pick if pick < lanes else pick + unused for pick in item.data]
        parts = sources[0] + sources[1]
        is_scalar = len(picks) == 1
        self.parts[item.result] = (
            [self.lanes.lane(element, parts, picks[0])] if is_scalar else self.lanes.shuffle(element, parts, picks)
        )

    def _do_reduce(self, item: Instruction) -> None:
        source = item.operands[0]
        element, lanes, parts = source.kind.element, source.kind.lanes, self._get(source)
        while lanes > 1:
            lanes //= 2
            if lanes >= self.lanes.width > 1:
                half = len(parts) // 2
                pairs = zip(parts[:half], parts[half:], strict=True)
                parts = [self.lanes.compute(item.data, element, lanes, pair) for pair in pairs]
                continue
            if lanes == 1 or self.lanes.width == 1:
                scalars = [self.lanes.lane(element, parts, lane) for lane in range(2 * lanes)]
                pairs = zip(scalars[:lanes], scalars[lanes:], strict=True)
                parts = [self.lanes.scalar(item.data, element, pair) for pair in pairs]
                continue
            upper = self.lanes.shuffle(element, parts, [lanes + lane for lane in range(lanes)])
            parts = [self.lanes.compute(item.data, element, lanes, (parts[0], upper[0]))]
        self._set(item.result, parts)

    def _do_get(self, item: Instruction) -> None:
        variables = self.variables[item.operands[0]]
        self._set(item.result, [self.blocks.ordered("variable", each.type, (), each) for each in variables])

    def _do_set(self, item: Instruction) -> None:
        register, source = item.operands
        for variable, part in zip(self.variables[register], self._get(source), strict=True):
            self.blocks.append(SetVariable(variable, part))

    def _do_i32(self, item: Instruction) -> None:
        self._set(item.result, self._get(item.operands[0]))

    _do_index = _do_i32

    def _do_prefetch(self, _item: Instruction) -> None:
        """Do nothing: WebAssembly has no prefetch."""

    # -- narrow numbers -----------------------------------------------------------------------

    def _do_bits(self, item: Instruction) -> None:
        (source,) = item.operands
        if not {source.kind.element, item.result.kind.element} <= {INT, I16_PAIR}:
            raise CompileError(f"{self.kernel.name}: WebAssembly has no rendering of the bits of {source.kind}")
        self.parts[item.result] = self._get(source)

    def _do_narrow(self, item: Instruction) -> None:
        if item.result.kind.element not in (I8, I16, U8):
            raise CompileError(f"{self.kernel.name}: WebAssembly has no rendering of {item.result.kind}")
        self.unwrapped.add(item.result)
        self.parts[item.result] = self._get(item.operands[0])

    def _do_widen(self, item: Instruction) -> None:
        (source,) = item.operands
        parts, kind = self._get(source), source.kind
        if source in self.unwrapped and kind.element == U8:
            mask = self.lanes.fill(INT, kind.lanes, self.lanes.constant(INT, 0xFF))
            parts = [self.lanes.compute("and", INT, kind.lanes, (part, mask)) for part in parts]
        elif source in self.unwrapped:
            parts = [self.lanes.signed(kind.lanes, part, 8 * ELEMENT_BYTES[kind.element]) for part in parts]
        self.parts[item.result] = parts


class Variable:
    """A mutable variable of a function."""

    __slots__ = ("type",)

    def __init__(self, type: int) -> None:
        self.type = type


ELEMENTWISE = frozenset(
    "add sub mul div rem min max and or xor shl shr sar lt le eq neg sqrt abs floor fma select float int float_bits "
    "int_bits mulh dot".split()
)
"""Instructions that act on each lane."""

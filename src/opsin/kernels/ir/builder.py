"""The kernel builder. Values support Python's operators, which append instructions:

k = Builder("scale")
x, y, n, factor = k.buffer("x"), k.buffer("y"), k.index("n"), 2.0
with k.loop(k.begin * 64, k.end * 64, 8) as i:
    k.store(y, i, k.load(x, i, 8) * factor)
kernel = k.kernel()
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from opsin.kernels.ir.nodes import (
    BOOL,
    ELEMENT_BYTES,
    F32,
    I8,
    I16_PAIR,
    I32,
    INDEX,
    PAIR,
    U8,
    U8_QUAD,
    WIDE,
    Branch,
    Instruction,
    Kernel,
    Loop,
    Parameter,
    ScalarType,
)
from opsin.kernels.ir.values import Operand, Pointer, Register, Value

CONVERTED = {
    "float": F32, "float_bits": F32, "int": I32, "int_bits": I32, "i32": I32, "index": INDEX
}  # fmt: skip
"""The element kind of the result of each conversion."""


class Builder:
    """Builds one kernel; the module's docstring has an example."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.parameters: list[Parameter] = []
        self.registers: list[Register] = []
        self.body: list[Any] = []
        self._block = self.body
        self.begin = Value(self, ScalarType(INDEX))
        self.end = Value(self, ScalarType(INDEX))
        self.scratch_base = Value(self, ScalarType(INDEX))
        self.scratch = Pointer(self.scratch_base, F32)

    # -- parameters ---------------------------------------------------------------------------

    def buffer(self, name: str, element: str = F32) -> Pointer:
        """Declare a parameter that holds the address of an array of `element`s."""
        self.parameters.append(Parameter(name, element, True))
        return Pointer(self._parameter(), element)

    def index(self, name: str) -> Value:
        """Declare a parameter that is a whole number."""
        self.parameters.append(Parameter(name, INDEX, False))
        return self._parameter()

    def _parameter(self) -> Value:
        result = Value(self, ScalarType(INDEX))
        self.body.insert(len(self.parameters) - 1, Instruction("parameter", result, (), len(self.parameters) - 1))
        return result

    # -- instructions -------------------------------------------------------------------------

    def emit(self, name: str, kind: ScalarType, operands: Sequence[Any], data: Any = None) -> Value:
        """Append the instruction `name` to the current block and return its result, of type `kind`."""
        result = Value(self, kind)
        self._block.append(Instruction(name, result, tuple(operands), data))
        return result

    def emit_void(self, name: str, operands: Sequence[Any], data: Any = None) -> None:
        """Append an instruction without a result."""
        self._block.append(Instruction(name, None, tuple(operands), data))

    def constant(self, value: Operand, kind: ScalarType) -> Value:
        """Return `value` as a `Value` of type `kind`: numbers become constants, and scalars are broadcast to all lanes.

        Raises `TypeError` if `value` has another type.
        """
        if isinstance(value, Value):
            if value.kind == kind:
                return value
            if value.kind == ScalarType(kind.element):
                return self.emit("broadcast", kind, (value,))
            raise TypeError(f"{self.name}: a value of kind {value.kind} where {kind} is expected")
        return self.emit("constant", kind, (), float(value) if kind.element == F32 else int(value))

    def binary(self, name: str, a: Operand, b: Operand) -> Value:
        """Apply the instruction `name` to `a` and `b`; a number or a scalar is broadcast to the other's lanes."""
        kinds = [v.kind for v in (a, b) if isinstance(v, Value)]
        kind = max(kinds, key=lambda k: k.lanes)
        left, right = self.constant(a, kind), self.constant(b, kind)
        result = ScalarType(BOOL, kind.lanes) if name in ("lt", "le", "eq") else kind
        return self.emit(name, result, (left, right))

    def unary(self, name: str, a: Value) -> Value:
        """Apply `name`, which is neg, sqrt, abs or floor."""
        return self.emit(name, a.kind, (a,))

    def convert(self, name: str, a: Value) -> Value:
        """Convert `a`. `name` is float (i32 to f32), int (f32 to i32, towards zero), float_bits or int_bits (the bits
        reinterpreted), i32 (index to i32) or index (i32 to index).

        `int` of a NaN, or of a number that an i32 cannot hold, is an unspecified number.
        """
        return self.emit(name, ScalarType(CONVERTED[name], a.kind.lanes), (a,))

    def widen(self, a: Value) -> Value:
        """Return narrow elements as those that hold each exactly (`nodes.WIDE`)."""
        return self.emit("widen", ScalarType(WIDE[a.kind.element], a.kind.lanes), (a,))

    def narrow(self, a: Value, element: str) -> Value:
        """Return `a` as narrow `element`s: f32 rounded to the nearest bf16 (to even on a tie), i32 by its low bits."""
        return self.emit("narrow", ScalarType(element, a.kind.lanes), (a,))

    def bits(self, a: Value, element: str) -> Value:
        """Return the bits of `a` as those of `element`s, as many as are of its size."""
        lanes = a.kind.lanes * ELEMENT_BYTES[a.kind.element] // ELEMENT_BYTES[element]
        return self.emit("bits", ScalarType(element, lanes), (a,))

    def unsigned(self, quads: Value) -> Value:
        """Return signed bytes plus 128, as unsigned ones."""
        return self.emit("unsigned", ScalarType(U8_QUAD, quads.kind.lanes), (quads,))

    def multiply_high(self, a: Value, b: Operand) -> Value:
        """Return the upper 32 bits of the signed 64-bit products of i32."""
        return self.binary("mulh", a, b)

    def shift_arithmetic(self, a: Value, count: Operand) -> Value:
        """Return `a` shifted right, filled with its sign from the left: ⌊a / 2^count⌋."""
        return self.binary("sar", a, count)

    def equal(self, a: Operand, b: Operand) -> Value:
        """Return whether `a` equals `b`, lane by lane."""
        return self.binary("eq", a, b)

    def minimum(self, a: Operand, b: Operand) -> Value:
        """Return `a` if `a < b`, otherwise `b`; so a NaN in `b` is propagated."""
        return self.binary("min", a, b)

    def maximum(self, a: Operand, b: Operand) -> Value:
        """Return `a` if `a > b`, otherwise `b`; so a NaN in `b` is propagated."""
        return self.binary("max", a, b)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """Return `a · b + c`, rounded once if the target has a fused multiply-add."""
        kind = max((a.kind, b.kind, c.kind), key=lambda k: k.lanes)
        return self.emit("fma", kind, tuple(self.constant(v, kind) for v in (a, b, c)))

    def dot(self, a: Value, b: Value, c: Value) -> Value:
        """Return `c` plus the products of all numbers that share a lane of `a` and `b`.

        Both are pairs of bf16 (`bfloat16.dot`), both are pairs of i16 (`integers.dot_pairs`), or `a` has four unsigned
        bytes and `b` four signed ones (`integers.dot_quads`), which only targets with `byte_dot` do fast.
        """
        lanes = c.kind.lanes
        factors = (self.constant(v, ScalarType(v.kind.element, lanes)) for v in (a, b))
        return self.emit("dot", c.kind, (*factors, c))

    def pair(self, lower: Value, upper: Value) -> Value:
        """Return pairs, lane by lane: of bf16 from bf16, and of i16 from the low bits of i32."""
        if lower.kind.element == I32:
            return self.bits((lower & 0xFFFF) | (upper << 16), I16_PAIR)
        return self.emit("pair", ScalarType(PAIR, lower.kind.lanes), (lower, upper))

    def select(self, condition: Value, a: Operand, b: Operand) -> Value:
        """Return, lane by lane, `a` if `condition` holds, otherwise `b`."""
        kind = next(v.kind for v in (a, b) if isinstance(v, Value))
        kind = ScalarType(kind.element, condition.kind.lanes)
        return self.emit("select", kind, (condition, self.constant(a, kind), self.constant(b, kind)))

    def broadcast(self, a: Operand, lanes: int, element: str = F32) -> Value:
        """Return a vector with the scalar `a` in every lane."""
        return self.constant(a, ScalarType(element, lanes))

    def iota(self, lanes: int) -> Value:
        """Return the vector `0, 1, …, lanes - 1` of i32."""
        return self.emit("iota", ScalarType(I32, lanes), ())

    def shuffle(self, a: Value, b: Value, picks: Sequence[int]) -> Value:
        """Return the lanes `picks` of the concatenation of `a` and `b`."""
        return self.emit("shuffle", ScalarType(a.kind.element, len(picks)), (a, b), tuple(picks))

    def reduce_lanes(self, name: str, a: Value) -> Value:
        """Combine the lanes of `a` by `add` or `max`: the first half with the second half, until one lane is left."""
        return self.emit("reduce", ScalarType(a.kind.element), (a,), name)

    # -- memory -------------------------------------------------------------------------------

    def load(
        self, buffer: Pointer, index: Operand, lanes: int = 1, count: int | None = None, stride: Operand = 1
    ) -> Value:
        """Load `lanes` elements from `index` on, `stride` apart; only the first `count` are read, the rest are 0.

        Narrow elements are widened.
        """
        value = self.load_narrow(buffer, index, lanes, count, stride)
        return self.widen(value) if buffer.element in WIDE else value

    def load_narrow(
        self, buffer: Pointer, index: Operand, lanes: int = 1, count: int | None = None, stride: Operand = 1
    ) -> Value:
        """Load as `load` does, but leave the elements as they are in memory."""
        count = lanes if count is None else count
        location = (buffer.address, self.constant(index, ScalarType(INDEX)))
        if lanes == 1 or (isinstance(stride, int) and stride == 1):
            return self.emit("load", ScalarType(buffer.element, lanes), location, count)
        return self.emit(
            "gather", ScalarType(buffer.element, lanes), (*location, self.constant(stride, ScalarType(INDEX))), count
        )

    def load_pairs(self, buffer: Pointer, index: Operand, lanes: int = 1) -> Value:
        """Load signed bytes from `index` on as pairs of i16: two in each lane."""
        if buffer.element != I8:
            raise TypeError(f"{self.name}: pairs are loaded from {I8}, not from {buffer.element}")
        location = (buffer.address, self.constant(index, ScalarType(INDEX)))
        return self.emit("load_pairs", ScalarType(I16_PAIR, lanes), location)

    def load_bytes(self, buffer: Pointer, indices: Value) -> Value:
        """Load the bytes, unsigned or signed ones, at `indices` (i32, any number of lanes) as i32."""
        if buffer.element not in (U8, I8) or indices.kind.element != I32:
            raise TypeError(f"{self.name}: bytes are loaded from {U8} or {I8} at {I32} indices")
        return self.emit("load_bytes", indices.kind, (buffer.address, indices), buffer.element)

    def store(
        self, buffer: Pointer, index: Operand, value: Value, count: int | None = None, stride: Operand = 1
    ) -> None:
        """Store the first `count` lanes of `value` from `index` on, `stride` apart; narrow elements are
        narrowed."""
        if value.kind.element == WIDE.get(buffer.element):
            value = self.narrow(value, buffer.element)
        lanes = value.kind.lanes
        count = lanes if count is None else count
        location = (buffer.address, self.constant(index, ScalarType(INDEX)))
        if lanes == 1 or (isinstance(stride, int) and stride == 1):
            self.emit_void("store", (*location, value), count)
        else:
            self.emit_void("scatter", (*location, value, self.constant(stride, ScalarType(INDEX))), count)

    def prefetch(self, buffer: Pointer, index: Operand, to_write: bool = False) -> None:
        """Prefetch the cache line of element `index`, which may be outside the array."""
        self.emit_void(
            "prefetch", (buffer.address, self.constant(index, ScalarType(INDEX))), (buffer.element, to_write)
        )

    def offset(self, buffer: Pointer, index: Operand) -> Pointer:
        """Return a pointer to element `index`."""
        address = self.emit(
            "address", ScalarType(INDEX), (buffer.address, self.constant(index, ScalarType(INDEX))), buffer.element
        )
        return Pointer(address, buffer.element)

    def register(self, initial: Value) -> Register:
        """Declare a register and set it to `initial`."""
        register = Register(self, initial.kind)
        self.registers.append(register)
        register.set(initial)
        return register

    # -- matrix tiles -------------------------------------------------------------------------

    @contextmanager
    def tiles(self) -> Iterator[None]:
        """Emit code that may use the eight tile registers, each of `TILE_ROWS` rows of as many words (AMX)."""
        self.emit_void("tiles_begin", ())
        yield
        self.emit_void("tiles_end", ())

    def tile_zero(self, number: int) -> None:
        """Clear tile register `number`."""
        self.emit_void("tile_zero", (), number)

    def tile_load(self, number: int, buffer: Pointer, index: Operand, stride: Operand) -> None:
        """Load tile register `number` from element `index` on, rows `stride` elements of four bytes apart."""
        kind = ScalarType(INDEX)
        self.emit_void("tile_load", (buffer.address, self.constant(index, kind), self.constant(stride, kind)), number)

    def tile_store(self, number: int, buffer: Pointer, index: Operand, stride: Operand) -> None:
        """Store tile register `number` to element `index`, rows `stride` elements of four bytes apart."""
        kind = ScalarType(INDEX)
        self.emit_void("tile_store", (buffer.address, self.constant(index, kind), self.constant(stride, kind)), number)

    def tile_dot(self, sums: int, left: int, right: int) -> None:
        """Add to the float32 tile `sums` the product of two tiles of pairs, as `bfloat16.tile_dot` defines it."""
        self.emit_void("tile_dot", (), (sums, left, right))

    # -- control ------------------------------------------------------------------------------

    @contextmanager
    def _append_to(self, block: list[Any]) -> Iterator[None]:
        outer, self._block = self._block, block
        try:
            yield
        finally:
            self._block = outer

    @contextmanager
    def loop(self, start: Operand, stop: Operand, step: Operand = 1) -> Iterator[Value]:
        """Emit a loop that runs when the kernel does, and yield its index."""
        kind = ScalarType(INDEX)
        index = Value(self, kind)
        loop = Loop(index, self.constant(start, kind), self.constant(stop, kind), self.constant(step, kind))
        self._block.append(loop)
        with self._append_to(loop.body):
            yield index

    @contextmanager
    def when(self, condition: Value) -> Iterator[Branch]:
        """Emit a branch that runs its body if `condition` holds; `with k.otherwise(branch):` adds the other case."""
        branch = Branch(condition)
        self._block.append(branch)
        with self._append_to(branch.body):
            yield branch

    @contextmanager
    def otherwise(self, branch: Branch) -> Iterator[None]:
        """Emit the body of `branch` that runs if its condition does not hold."""
        with self._append_to(branch.otherwise):
            yield

    def kernel(self) -> Kernel:
        """Return the finished kernel."""
        return Kernel(
            self.name, self.parameters, self.begin, self.end, self.scratch_base, self.body, list(self.registers)
        )

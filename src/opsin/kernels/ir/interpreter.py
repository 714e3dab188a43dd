"""The interpreter of the kernel IR in NumPy, which defines the semantics that every code generator is tested against.

It is slow and simple. Each array has a base address, far from all others, and an address is a byte offset from one of
these bases. An access beyond the end of an array therefore raises `IndexError`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np

from opsin.kernels.ir import bfloat16, integers
from opsin.kernels.ir.nodes import (
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
    TILE_ROWS,
    U8,
    U8_QUAD,
    Branch,
    Instruction,
    Kernel,
    Loop,
    ScalarType,
)

DTYPES = {
    F32: np.float32, I32: np.int32, INDEX: np.int64, BOOL: np.bool_, U8: np.uint8, I8: np.int8, I16: np.int16,
    BF16: np.uint16, PAIR: np.uint32, I16_PAIR: np.uint32, QUAD: np.uint32, U8_QUAD: np.uint32,
}  # fmt: skip
"""The dtype of arrays of each element kind in NumPy, which has no bfloat16."""
DOTS = {PAIR: bfloat16.dot, I16_PAIR: integers.dot_pairs, QUAD: integers.dot_quads}
"""The meaning of `dot`, by the element kind of the right factors."""


def _fma(a: Any, b: Any, c: Any) -> Any:
    # The product of two float32 is exact in float64; the second rounding differs from a true
    # fused one only on ties of the sum.
    return (a.astype(np.float64) * b.astype(np.float64) + c.astype(np.float64)).astype(np.float32)


def _multiply_add(a: Any, b: Any, c: Any) -> Any:
    return a * b + c


def _divide(a: Any, b: Any) -> Any:
    # Whole numbers are divided towards zero, as processors do.
    return a / b if a.dtype == np.float32 else (a - np.fmod(a, b)) // b


def _unsigned(a: Any) -> Any:
    return a.view(np.uint32 if a.dtype == np.int32 else np.uint64)


def _shift_right(a: Any, b: Any) -> Any:
    return (_unsigned(a) >> _unsigned(b)).view(a.dtype)


ELEMENTWISE: dict[str, Any] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": _divide,
    "rem": np.fmod,
    "min": lambda a, b: np.where(a < b, a, b),
    "max": lambda a, b: np.where(a > b, a, b),
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "shl": np.left_shift,
    "shr": _shift_right,
    "sar": np.right_shift,
    "lt": np.less,
    "le": np.less_equal,
    "eq": np.equal,
    "neg": np.negative,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "floor": np.floor,
    "fma": _fma,
    "select": lambda c, a, b: np.where(c, a, b),
    "float": lambda a: a.astype(np.float32),
    "int": lambda a: np.trunc(a).astype(np.int32),
    "float_bits": lambda a: a.view(np.float32),
    "int_bits": lambda a: a.view(np.int32),
    "i32": lambda a: a.astype(np.int32),
    "index": lambda a: a.astype(np.int64),
    "mulh": integers.multiply_high,
    "unsigned": lambda a: a ^ np.uint32(0x80808080),
    "pair": lambda a, b: a.astype(np.uint32) | (b.astype(np.uint32) << np.uint32(16)),
}
"""The instructions that act on each lane; a value is an array of `lanes` elements, of one element for a scalar."""


class InterpreterMemory:
    """Arrays at invented addresses, far apart: a stray address belongs to no array."""

    def __init__(self) -> None:
        self._bases: list[int] = []
        self._arrays: list[np.ndarray] = []
        self._untyped: set[int] = set()

    def add(self, array: np.ndarray, untyped: bool = False) -> int:
        """Give `array` an address and return it; elements of `untyped` memory may have any type."""
        if untyped:
            self._untyped.add(len(self._bases))
        base = (len(self._bases) + 1) << 36
        self._bases.append(base)
        self._arrays.append(array.reshape(-1))
        return base

    def locate(self, address: int, index: int, dtype: Any) -> tuple[np.ndarray, int]:
        """Return the array that holds element `index` from `address` on, and the element's index in that array.

        Raises `IndexError` if no array holds it, and `TypeError` if the array has another dtype. Untyped memory has any
        dtype, and narrow numbers may be read several in a lane, which can begin at any of them.
        """
        size = np.dtype(dtype).itemsize
        number = bisect_right(self._bases, address + index * size) - 1
        array, offset = self._arrays[number], address + index * size - self._bases[number]
        if array.dtype != dtype and (number in self._untyped or (array.itemsize < size and dtype == np.uint32)):
            first = offset % size
            octets = array.view(np.uint8)
            array, offset = octets[first : first + (octets.size - first) // size * size].view(dtype), offset - first
        _check_index(offset // size, array)
        if array.dtype != dtype:
            raise TypeError(f"an array of {array.dtype} read as {dtype}")
        return array, offset // size

    def locate_strided(self, address: int, index: int, count: int, stride: int, dtype: Any) -> np.ndarray:
        """Return a view of `count` elements of one array, `stride` apart, the first being element `index`."""
        if not count:
            return np.empty(0, dtype)
        array, first = self.locate(address, index, dtype)
        last = first + (count - 1) * stride
        _check_index(last, array)
        if stride == 0:
            return np.lib.stride_tricks.as_strided(array[first:], (count,), (0,))
        return array[first : (last + stride if last + stride >= 0 else None) : stride]


def _check_index(element: int, array: np.ndarray) -> None:
    if not 0 <= element < array.size:
        raise IndexError(f"element {element} of an array of {array.size}")


class Interpreter:
    """Runs one kernel on NumPy arrays. Without `fused`, the product of a multiply-add is rounded before the sum."""

    def __init__(self, kernel: Kernel, fused: bool = True) -> None:
        self.kernel = kernel
        self.elementwise = ELEMENTWISE if fused else ELEMENTWISE | {"fma": _multiply_add}
        self.values: dict[Any, Any] = {}
        self.memory = InterpreterMemory()
        self.words: list[int] = []
        self.tiles: dict[int, np.ndarray] = {}

    def run(self, args: Sequence[np.ndarray | int], begin: int, end: int, scratch: int = 0) -> None:
        """Execute blocks `begin … end`, changing the arrays in `args` in place; `scratch` counts float32 elements.

        Raises `TypeError` for a wrong number of arguments, and `IndexError` for an access outside all arrays.
        """
        if len(args) != len(self.kernel.parameters):
            raise TypeError(f"{self.kernel.name} takes {len(self.kernel.parameters)} arguments, not {len(args)}")
        self.words = [arg if isinstance(arg, int) else self.memory.add(arg) for arg in args]
        base = self.memory.add(np.zeros(max(scratch, 1), np.float32), untyped=True)
        for value, number in ((self.kernel.begin, begin), (self.kernel.end, end), (self.kernel.scratch_base, base)):
            self.values[value] = np.array([number], np.int64)
        with np.errstate(all="ignore"):
            self._block(self.kernel.body)

    def _block(self, block: Sequence[Any]) -> None:
        for item in block:
            if isinstance(item, Loop):
                start, stop, step = (int(self.values[v][0]) for v in (item.start, item.stop, item.step))
                for number in range(start, stop, step):
                    self.values[item.index] = np.array([number], np.int64)
                    self._block(item.body)
            elif isinstance(item, Branch):
                self._block(item.body if self.values[item.condition][0] else item.otherwise)
            else:
                self._instruction(item)

    def _instruction(self, item: Instruction) -> None:
        function = self.elementwise.get(item.name)
        if function is not None:
            self.values[item.result] = function(*[self.values[v] for v in item.operands])
        else:
            getattr(self, f"_do_{item.name}")(item)

    def _do_parameter(self, item: Instruction) -> None:
        self.values[item.result] = np.array([self.words[item.data]], np.int64)

    def _do_constant(self, item: Instruction) -> None:
        if item.result not in self.values:
            kind: ScalarType = item.result.kind
            self.values[item.result] = np.full(kind.lanes, item.data).astype(DTYPES[kind.element])

    def _do_broadcast(self, item: Instruction) -> None:
        self.values[item.result] = np.repeat(self.values[item.operands[0]], item.result.kind.lanes)

    def _do_iota(self, item: Instruction) -> None:
        self.values[item.result] = np.arange(item.result.kind.lanes, dtype=np.int32)

    def _do_shuffle(self, item: Instruction) -> None:
        self.values[item.result] = np.concatenate([self.values[v] for v in item.operands])[list(item.data)]

    def _do_reduce(self, item: Instruction) -> None:
        value = self.values[item.operands[0]]
        while value.size > 1:
            middle = value.size // 2
            value = self.elementwise[item.data](value[:middle], value[middle:])
        self.values[item.result] = value

    def _do_get(self, item: Instruction) -> None:
        self.values[item.result] = self.values[item.operands[0]]

    def _do_set(self, item: Instruction) -> None:
        self.values[item.operands[0]] = self.values[item.operands[1]]

    def _do_address(self, item: Instruction) -> None:
        address, index = (self.values[v] for v in item.operands)
        self.values[item.result] = address + np.dtype(DTYPES[item.data]).itemsize * index

    def _do_load(self, item: Instruction) -> None:
        self._read(item, 1)

    def _do_bits(self, item: Instruction) -> None:
        self.values[item.result] = self.values[item.operands[0]].view(DTYPES[item.result.kind.element])

    def _do_dot(self, item: Instruction) -> None:
        function: Any = DOTS[item.operands[1].kind.element]
        self.values[item.result] = function(*[self.values[v] for v in item.operands])

    def _do_widen(self, item: Instruction) -> None:
        (source,) = item.operands
        values = self.values[source]
        is_float = source.kind.element == BF16
        self.values[item.result] = bfloat16.widen(values) if is_float else values.astype(np.int32)

    def _do_narrow(self, item: Instruction) -> None:
        values, element = self.values[item.operands[0]], item.result.kind.element
        self.values[item.result] = bfloat16.narrow(values) if element == BF16 else values.astype(DTYPES[element])

    def _do_load_pairs(self, item: Instruction) -> None:
        address, index = (int(self.values[v][0]) for v in item.operands)
        octets = self.memory.locate_strided(address, index, 2 * item.result.kind.lanes, 1, np.int8)
        self.values[item.result] = octets.astype(np.int16).view(np.uint32)

    def _do_load_bytes(self, item: Instruction) -> None:
        address, indices = (self.values[v] for v in item.operands)
        dtype = DTYPES[item.data]
        elements = [self.memory.locate(int(address[0]), int(index), dtype) for index in indices]
        self.values[item.result] = np.array([array[index] for array, index in elements], np.int32)

    def _do_gather(self, item: Instruction) -> None:
        self._read(item, int(self.values[item.operands[2]][0]))

    def _do_prefetch(self, item: Instruction) -> None:
        """Do nothing: a prefetch affects when memory is fetched, never its contents."""

    def _do_tiles_begin(self, _item: Instruction) -> None:
        self.tiles = {}

    _do_tiles_end = _do_tiles_begin

    def _do_tile_zero(self, item: Instruction) -> None:
        self.tiles[item.data] = np.zeros((TILE_ROWS, TILE_ROWS), np.uint32)

    def _do_tile_load(self, item: Instruction) -> None:
        self.tiles[item.data] = np.stack([row.copy() for row in self._tile_rows(item)])

    def _do_tile_store(self, item: Instruction) -> None:
        for row, values in zip(self._tile_rows(item), self.tiles[item.data], strict=True):
            row[:] = values

    def _tile_rows(self, item: Instruction) -> list[np.ndarray]:
        address, index, stride = (int(self.values[v][0]) for v in item.operands)
        return [
            self.memory.locate_strided(address, index + row * stride, TILE_ROWS, 1, np.uint32)
            for row in range(TILE_ROWS)
        ]

    def _do_tile_dot(self, item: Instruction) -> None:
        sums, left, right = (self.tiles[number] for number in item.data)
        self.tiles[item.data[0]] = bfloat16.tile_dot(sums.view(np.float32), left, right).view(np.uint32)

    def _read(self, item: Instruction, stride: int) -> None:
        kind: ScalarType = item.result.kind
        address, index = (int(self.values[v][0]) for v in item.operands[:2])
        value: np.ndarray = np.zeros(kind.lanes, DTYPES[kind.element])
        value[: item.data] = self.memory.locate_strided(address, index, item.data, stride, DTYPES[kind.element])
        self.values[item.result] = value

    def _do_store(self, item: Instruction) -> None:
        self._write(item, 1)

    def _do_scatter(self, item: Instruction) -> None:
        self._write(item, int(self.values[item.operands[3]][0]))

    def _write(self, item: Instruction, stride: int) -> None:
        address, index = (int(self.values[v][0]) for v in item.operands[:2])
        value = self.values[item.operands[2]]
        elements = self.memory.locate_strided(address, index, item.data, stride, value.dtype)
        if stride == 0 and item.data:
            elements[0] = value[item.data - 1]  # the last lane wins
        else:
            elements[:] = value[: item.data]


def interpret(kernel: Kernel, args: Sequence[np.ndarray | int], begin: int, end: int, scratch: int = 0) -> None:
    """Run `kernel` on `args` in the interpreter; see `Interpreter.run`."""
    Interpreter(kernel).run(args, begin, end, scratch)

"""What each instruction means, in NumPy: the definition that every rendering is tested against.

Slow and plain. Memory is a dictionary from base addresses to arrays; an address is a byte offset
into one of them, so reading beyond an array's end is an error here rather than a surprise later.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np

from opsin.kernels.ir.nodes import BOOL, F32, I32, INDEX, U8, Branch, Instruction, Kernel, Loop, ScalarType

DTYPES = {F32: np.float32, I32: np.int32, U8: np.uint8, INDEX: np.int64, BOOL: np.bool_}


def _fma(a: Any, b: Any, c: Any) -> Any:
    # The product of two float32 is exact in float64; the second rounding differs from a true
    # fused one only on ties of the sum.
    return (a.astype(np.float64) * b.astype(np.float64) + c.astype(np.float64)).astype(np.float32)


def _divide(a: Any, b: Any) -> Any:
    # Whole numbers divide towards zero, as processors do.
    return a / b if a.dtype == np.float32 else (a - np.fmod(a, b)) // b


def _unsigned(a: Any) -> Any:
    return a.view(np.uint32 if a.dtype == np.int32 else np.uint64)


def _shift_right(a: Any, b: Any) -> Any:
    return (_unsigned(a) >> _unsigned(b)).view(a.dtype)


MEANING: dict[str, Any] = {
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
}
"""Lane by lane; every value is an array of `lanes` elements, scalars of one."""


class InterpreterMemory:
    """Arrays at made-up addresses, far apart, so that a stray address hits nothing."""

    def __init__(self) -> None:
        self._bases: list[int] = []
        self._arrays: list[np.ndarray] = []

    def place(self, array: np.ndarray) -> int:
        base = (len(self._bases) + 1) << 36
        self._bases.append(base)
        self._arrays.append(array.reshape(-1))
        return base

    def at(self, address: int, index: int, dtype: Any) -> tuple[np.ndarray, int]:
        """The array that holds element `index` counted from `address`, and its place in it."""
        size = np.dtype(dtype).itemsize
        number = bisect_right(self._bases, address + index * size) - 1
        array = self._arrays[number]
        place = (address - self._bases[number]) // size + index
        if not 0 <= place < array.size:
            raise IndexError(f"element {place} of an array of {array.size}")
        if array.dtype != dtype:
            raise TypeError(f"an array of {array.dtype} read as {dtype}")
        return array, place


class Interpreter:
    """Runs one kernel on NumPy arrays."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.values: dict[Any, Any] = {}
        self.memory = InterpreterMemory()

    def run(self, args: Sequence[np.ndarray | int], begin: int, end: int, scratch: int = 0) -> None:
        """Executes blocks `begin … end`; arrays in `args` are changed in place. `scratch`: float32 elements."""
        if len(args) != len(self.kernel.parameters):
            raise TypeError(f"{self.kernel.name} takes {len(self.kernel.parameters)} arguments, not {len(args)}")
        words = [arg if isinstance(arg, int) else self.memory.place(arg) for arg in args]
        self.words = words
        place = self.memory.place(np.zeros(max(scratch, 1), np.float32))
        for value, number in ((self.kernel.begin, begin), (self.kernel.end, end), (self.kernel.scratch_base, place)):
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
        handler = getattr(self, f"_do_{item.name}", None)
        if handler is not None:
            handler(item)
            return
        self.values[item.result] = MEANING[item.name](*(self.values[v] for v in item.operands))

    def _do_parameter(self, item: Instruction) -> None:
        self.values[item.result] = np.array([self.words[item.data]], np.int64)

    def _do_constant(self, item: Instruction) -> None:
        kind: ScalarType = item.result.kind
        self.values[item.result] = np.full(kind.lanes, item.data).astype(DTYPES[kind.element])

    def _do_spread(self, item: Instruction) -> None:
        self.values[item.result] = np.repeat(self.values[item.operands[0]], item.result.kind.lanes)

    def _do_lanes(self, item: Instruction) -> None:
        self.values[item.result] = np.arange(item.result.kind.lanes, dtype=np.int32)

    def _do_shuffle(self, item: Instruction) -> None:
        self.values[item.result] = np.concatenate([self.values[v] for v in item.operands])[list(item.data)]

    def _do_fold(self, item: Instruction) -> None:
        value = self.values[item.operands[0]]
        while value.size > 1:
            half = value.size // 2
            value = MEANING[item.data](value[:half], value[half:])
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

    def _do_load_bytes(self, item: Instruction) -> None:
        address, places = (self.values[v] for v in item.operands)
        found = [self.memory.at(int(address[0]), int(place), np.uint8) for place in places]
        self.values[item.result] = np.array([array[place] for array, place in found], np.int32)

    def _do_gather(self, item: Instruction) -> None:
        self._read(item, int(self.values[item.operands[2]][0]))

    def _do_prefetch(self, item: Instruction) -> None:
        """Nothing: it changes when memory is fetched, never what is in it."""

    def _read(self, item: Instruction, stride: int) -> None:
        kind: ScalarType = item.result.kind
        address, index = (int(self.values[v][0]) for v in item.operands[:2])
        value: np.ndarray = np.zeros(kind.lanes, DTYPES[kind.element])
        for lane in range(item.data):
            array, place = self.memory.at(address, index + lane * stride, DTYPES[kind.element])
            value[lane] = array[place]
        self.values[item.result] = value

    def _do_store(self, item: Instruction) -> None:
        self._write(item, 1)

    def _do_scatter(self, item: Instruction) -> None:
        self._write(item, int(self.values[item.operands[3]][0]))

    def _write(self, item: Instruction, stride: int) -> None:
        address, index = (int(self.values[v][0]) for v in item.operands[:2])
        value = self.values[item.operands[2]]
        for lane in range(item.data):
            array, place = self.memory.at(address, index + lane * stride, value.dtype)
            array[place] = value[lane]


def interpret(kernel: Kernel, args: Sequence[np.ndarray | int], begin: int, end: int, scratch: int = 0) -> None:
    """Runs `kernel` on `args` by the definition. See `Interpreter.run`."""
    Interpreter(kernel).run(args, begin, end, scratch)

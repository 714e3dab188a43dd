"""The common parts of kernels: specifications and their arguments, loops over vectors, copies, transposition in
registers."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from opsin.kernels.ir import (
    BF16,
    ELEMENT_BYTES,
    F32,
    I8,
    I16,
    PACKED,
    QUAD,
    WIDE,
    Builder,
    Kernel,
    Operand,
    Pointer,
    Target,
    Value,
)
from opsin.kernels.row_form import RowForm
from opsin.kernels.row_order import RowOrder
from opsin.kernels.summation import Summation

CACHE_LINE = 16
"""Float32 elements of a cache line."""
LANE_BYTES = ELEMENT_BYTES[F32]
KERNEL_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
"""The C type of a compiled kernel: the address of its arguments, the first block, the one past the last, scratch."""


@dataclass(frozen=True)
class Signature:
    """The arguments of a kernel, in the order of a call: `pointers`, `words` (whole numbers), and last the pointers of
    the epilogue's operands and results if there is an `epilogue`.

    A name that begins with "*" stands for a group of any number of arguments, as the specification's fields require.
    `elements` maps the pointers whose arrays are not float32 to their element kinds.
    """

    pointers: tuple[str, ...]
    words: tuple[str, ...] = ()
    epilogue: bool = False
    elements: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def expanded(names: tuple[str, ...], groups: Mapping[str, int]) -> Iterator[str]:
        """Return the names in order, groups as `name0`, `name1`, …"""
        for name in names:
            group = name.removeprefix("*")
            if group == name:
                yield name
            else:
                yield from (f"{group}{number}" for number in range(groups[group]))


@dataclass(frozen=True)
class KernelSpec:
    """Everything that a kernel is specialized on; equal specifications give the same machine code.

    A subclass adds fields of plain data, declares the `signature`, and says in its docstring what the arguments are
    and what one block of work is. The representation of a specification is its key in the code cache, so the fields
    must determine everything that `build` depends on besides the target.

    `elements` are the element kinds of the arrays that are not those of the signature, by the names of their pointers:
    narrow numbers where the signature says float32, for example.
    """

    signature: ClassVar[Signature]
    elementwise: ClassVar[tuple[str, ...]] = ()
    """Pointers to arrays of the results' shape; each element is read before the result there is written."""
    elements: tuple[tuple[str, str], ...] = field(default=(), kw_only=True)

    def typed(self, elements: Mapping[str, str]) -> Self:
        """Return the specification for arrays of `elements`, by the names of their pointers."""
        return replace(self, elements=tuple(elements.items())) if elements else self

    def narrowed(self, names: Sequence[str]) -> Self:
        """Return the specification for arrays `names` of bfloat16."""
        return self.typed(dict.fromkeys(names, BF16))

    def element(self, name: str) -> str:
        """Return the element kind of the array that pointer `name` is to."""
        return dict(self.elements).get(name) or self.signature.elements.get(name, F32)

    def bind(self, k: Builder, **groups: int) -> tuple[list[Pointer], list[Value]]:
        """Declare the pointers and words; `groups` gives the number of arguments of each group by its name."""
        pointers, words = (self.signature.expanded(n, groups) for n in (self.signature.pointers, self.signature.words))
        return [k.buffer(name, self.element(name)) for name in pointers], [k.index(name) for name in words]

    def build(self, target: Target) -> Kernel:
        """Return the kernel for a processor like `target`."""
        raise NotImplementedError

    def summation(self, words: Sequence[int], target: Target) -> Summation | None:
        """Return how `build` adds the terms of a float32 result in a call with `words`; None if it is not described.

        A kernel that changes the order of its additions must change this, too: `tests/explain/arithmetic` compares
        the bits.
        """
        return None

    def row_orders(self, words: Sequence[int]) -> Mapping[int, RowOrder]:
        """Return the order of a call with `words`, by the numbers of the pointers to images that it reads in order.

        Results may then replace what has been read (see `compiler.overlays`). Pointers that are not named share no
        memory with results. `tests/compiler/test_overlays.py` compares this with what the kernel does.
        """
        return {}

    def row_form(self, words: Sequence[int], rows: int) -> RowForm | None:
        """Return the call for one of the `rows` rows of results, bit-identical to those of a call with `words`.

        Return None if there is none: the kernel does not go by rows (see `compiler.streaming`).
        """
        return None


def loop_or_unroll(k: Builder, start: Operand, stop: Operand) -> Iterator[Operand]:
    """Yield the numbers from `start` up to `stop`: unrolled if both are Python numbers, otherwise in an emitted
    loop."""
    if isinstance(start, int) and isinstance(stop, int):
        yield from range(start, stop)
    else:
        with k.loop(start, stop) as number:
            yield number


def vector_loop(k: Builder, count: int, lanes: int) -> Iterator[tuple[Operand, int]]:
    """Yield (first, n) for vectors of `lanes` out of `count` elements; the last one has the `n` elements that remain.

    The code in the body of the `for` statement is emitted once for whole vectors, in a loop if there are several, and
    once more for the remainder.
    """
    main_end = count // lanes * lanes
    if main_end == lanes:
        yield 0, lanes
    elif main_end:
        with k.loop(0, main_end, lanes) as first:
            yield first, lanes
    if count > main_end:
        yield main_end, count - main_end


def range_loop(k: Builder, start: Operand, stop: Value, lanes: int) -> Iterator[tuple[Operand, int]]:
    """Yield (first, n) from `start` up to `stop`, which is known at run time: `lanes` at a time, then one by one."""
    main_end = start + (stop - start) // lanes * lanes
    with k.loop(start, main_end, lanes) as first:
        yield first, lanes
    with k.loop(main_end, stop) as first:
        yield first, 1


def move(k: Builder, source: Pointer, at: Operand, target: Pointer, to: Operand, lanes: int, count: int) -> None:
    """Copy `count` elements by a vector of `lanes`, from `at` in `source` to `to` in `target`, which may differ in
    kind."""
    load = k.load_narrow if source.element == target.element else k.load
    k.store(target, to, load(source, at, lanes, count), count)


def copy(k: Builder, source: Pointer, target: Pointer, start: Operand, stop: Value, lanes: int) -> None:
    """Copy the elements from `start` up to `stop`; of bytes, 2 or 4 share a lane."""
    first: Operand = start
    if source.element == I8 and target.element in (I8, I16):
        widens, size = target.element == I16, lanes * LANE_BYTES // ELEMENT_BYTES[target.element]
        main_end = start + (stop - start) // size * size
        with k.loop(start, main_end, size) as at:
            octets, result = k.offset(source, at), k.offset(target, at).of(PACKED[target.element])
            k.store(result, 0, k.load_pairs(octets, 0, lanes) if widens else k.load(octets.of(QUAD), 0, lanes))
        first = main_end
    for i, n in range_loop(k, first, stop, lanes):
        move(k, source, i, target, i, n, n)


def copy_constant(k: Builder, source: Pointer, target: Pointer, count: int, lanes: int) -> None:
    """Copy `count` elements, a number that is known when the kernel is built."""
    for i, n in vector_loop(k, count, lanes):
        move(k, source, i, target, i, lanes, n)


def clear(k: Builder, target: Pointer, start: Operand, stop: Value, lanes: int, value: Operand = 0) -> None:
    """Write `value` from `start` up to `stop`."""
    for i, n in range_loop(k, start, stop, lanes):
        k.store(target, i, k.broadcast(value, n, WIDE.get(target.element, target.element)))


def clear_constant(k: Builder, target: Pointer, count: int, zero: Value) -> None:
    """Write `count` times `zero`, a vector; `count` is known when the kernel is built."""
    for i, n in vector_loop(k, count, zero.kind.lanes):
        k.store(target, i, zero, n)


def transpose_in_registers(k: Builder, rows: Sequence[Value]) -> list[Value]:
    """Transpose a square of as many vectors as each has lanes (a power of two, at least 4) by log₂(lanes) shuffles
    each.

    First every square of 4 × 4 is transposed, as with SSE: pairs of rows are interleaved twice. Then squares of
    4, 8, … rows exchange their halves.
    """
    lanes = len(rows)
    columns = list(rows)
    for at in range(0, lanes, 4):
        low, high = (_interleave(k, columns[at + i], columns[at + i + 1], (0, lanes, 1, lanes + 1)) for i in (0, 2))
        for half in (0, 1):
            pair = _interleave(k, low[half], high[half], (0, 1, lanes, lanes + 1))
            columns[at + 2 * half : at + 2 * half + 2] = pair
    distance = 4
    while distance < lanes:
        for i in (i for i in range(lanes) if not i & distance):
            a, b = columns[i], columns[i + distance]
            picks = [lane if not lane & distance else lanes + lane - distance for lane in range(lanes)]
            columns[i] = k.shuffle(a, b, picks)
            columns[i + distance] = k.shuffle(a, b, [pick + distance for pick in picks])
        distance *= 2
    return columns


def _interleave(k: Builder, a: Value, b: Value, picks: Sequence[int]) -> list[Value]:
    """Return two vectors: of every group of four lanes the lanes `picks` of `a` and `b`, and those two lanes
    further."""
    groups = [at + pick for at in range(0, a.kind.lanes, 4) for pick in picks]
    return [k.shuffle(a, b, groups), k.shuffle(a, b, [pick + 2 for pick in groups])]

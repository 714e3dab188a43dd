"""What kernels share: the form of a specification, loops over a channel count, copies, and squares that are turned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from opsin.kernels.ir import F32, Builder, Kernel, Operand, Pointer, Target, Value

LINE = 16
"""Elements of a cache line, in which memory comes."""


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

    def bind(self, k: Builder, **groups: int) -> tuple[list[Pointer], list[Value]]:
        """Declare the pointers and words; `groups` gives the number of arguments of each group by its name."""
        pointers = [k.buffer(name, self.elements.get(name, F32)) for name in self._expand(self.pointers, groups)]
        return pointers, [k.index(name) for name in self._expand(self.words, groups)]

    @staticmethod
    def _expand(names: tuple[str, ...], groups: Mapping[str, int]) -> Iterator[str]:
        """Return the names in order, groups as `name0`, `name1`, …"""
        for name in names:
            group = name.removeprefix("*")
            if group == name:
                yield name
            else:
                yield from (f"{group}{number}" for number in range(groups[group]))


@dataclass(frozen=True)
class KernelSpec:
    """Everything that a kernel is specialised on; equal specifications are the same machine code.

    Subclasses add fields of plain data and say in their docstring which arguments the built kernel
    takes, and what one block of work is. The representation of a specification is its name in the
    code cache, so it must hold all that `build` looks at besides the target.
    """

    signature: ClassVar[Signature]

    def build(self, target: Target) -> Kernel:
        """The kernel for a processor like `target`."""
        raise NotImplementedError


def each(k: Builder, start: Operand, stop: Operand) -> Iterator[Operand]:
    """The numbers from `start` up to `stop`: Python's own, unrolled while building; others by a loop at run time."""
    if isinstance(start, int) and isinstance(stop, int):
        yield from range(start, stop)
    else:
        with k.loop(start, stop) as number:
            yield number


def over_lanes(k: Builder, count: int, lanes: int, body: Callable[[Operand, int], None]) -> None:
    """Runs `body(first, n)` over `count` channels, `lanes` at a time; the last time with the `n` that are left."""
    whole = count // lanes * lanes
    if whole == lanes:
        body(0, lanes)
    elif whole:
        with k.loop(0, whole, lanes) as first:
            body(first, lanes)
    if count > whole:
        body(whole, count - whole)


def over_range(k: Builder, start: Operand, stop: Value, lanes: int, body: Callable[[Operand, int], None]) -> None:
    """Runs `body(first, n)` from `start` up to `stop`, known at run time: `lanes` at a time, and then one by one."""
    whole = start + (stop - start) // lanes * lanes
    with k.loop(start, whole, lanes) as first:
        body(first, lanes)
    with k.loop(whole, stop) as first:
        body(first, 1)


def copy(k: Builder, source: Pointer, target: Pointer, start: Operand, stop: Value, lanes: int) -> None:
    """Copies the elements from `start` up to `stop`."""
    over_range(k, start, stop, lanes, lambda i, n: k.store(target, i, k.load(source, i, n)))


def clear(k: Builder, target: Pointer, start: Operand, stop: Value, lanes: int) -> None:
    """Zeros from `start` up to `stop`."""
    over_range(k, start, stop, lanes, lambda i, n: k.store(target, i, k.spread(0.0, n)))


def transpose_in_registers(k: Builder, square: Sequence[Value]) -> list[Value]:
    """As many vectors as each has lanes (a power of two from 4 on), rows becoming columns, in log₂ rounds of shuffles.

    Quarters of 4 × 4 are turned as SSE does it, the pairs of a pair's rows interleaved first; then they change places.
    """
    lanes = len(square)
    groups = range(0, lanes, 4)

    def zip_pairs(a: Value, b: Value, low: Sequence[int]) -> list[Value]:
        """Of every group of four lanes, `low` of both, and those beside."""
        picks = [at + i for at in groups for i in low]
        return [k.shuffle(a, b, picks), k.shuffle(a, b, [pick + 2 for pick in picks])]

    rows = list(square)
    for at in groups:
        first, second = (zip_pairs(rows[at + i], rows[at + i + 1], (0, lanes, 1, lanes + 1)) for i in (0, 2))
        for half in (0, 1):
            turned = zip_pairs(first[half], second[half], (0, 1, lanes, lanes + 1))
            rows[at + 2 * half : at + 2 * half + 2] = turned
    distance = 4
    while distance < lanes:
        for i in (i for i in range(lanes) if not i & distance):
            a, b = rows[i], rows[i + distance]
            kept = [lane if not lane & distance else lanes + lane - distance for lane in range(lanes)]
            rows[i] = k.shuffle(a, b, kept)
            rows[i + distance] = k.shuffle(a, b, [pick + distance for pick in kept])
        distance *= 2
    return rows

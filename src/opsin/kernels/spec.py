"""What all kernels share: the form of a specification, and loops over a channel count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from opsin.loops import Buffer, Builder, Kernel, Operand, Target, Value

LINE = 16
"""Elements of a cache line, in which memory comes."""


@dataclass(frozen=True)
class KernelSpec:
    """Everything that a kernel is specialised on; equal specifications are the same machine code.

    Subclasses add fields of plain data and say in their docstring which arguments the built kernel
    takes, and what one block of work is. The representation of a specification is its name in the
    code cache, so it must hold all that `build` looks at besides the target.
    """

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


def copy(k: Builder, source: Buffer, target: Buffer, start: Operand, stop: Value, lanes: int) -> None:
    """Copies the elements from `start` up to `stop`."""
    over_range(k, start, stop, lanes, lambda i, n: k.store(target, i, k.load(source, i, n)))


def clear(k: Builder, target: Buffer, start: Operand, stop: Value, lanes: int) -> None:
    """Zeros from `start` up to `stop`."""
    over_range(k, start, stop, lanes, lambda i, n: k.store(target, i, k.spread(0.0, n)))

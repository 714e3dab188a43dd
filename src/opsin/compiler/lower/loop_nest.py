"""The loops of a pointwise kernel. Equal blocks of a network have equal arrays, for which they are found once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from opsin.compiler.views import order_in_memory
from opsin.kernels.pointwise import Stream

REMEMBERED = 4096
"""Most nests that are kept in mind."""


@dataclass(frozen=True)
class LoopNest:
    """`extents` of the loops, the innermost last; none for a single element. `words` are the kernel's arguments for
    them but the number of elements, where there is only one loop.
    """

    streams: tuple[Stream, ...]
    extents: tuple[int, ...]
    words: tuple[int, ...]


@lru_cache(REMEMBERED)
def nest(
    shape: tuple[int, ...], elements: tuple[str, ...], strides: tuple[tuple[int, ...], ...], leader: int
) -> LoopNest:
    """The loops over arrays of `shape`, in the order of number `leader`; each has an element and strides."""
    loops = merged_loops(shape, strides, leader)
    inner = loops[-1][1] if loops else (0,) * len(strides)
    streams = tuple(
        Stream(element, step if step in (0, 1) else None) for element, step in zip(elements, inner, strict=True)
    )
    words = [n for n, _ in loops[:-1]]
    for number, stream in enumerate(streams):
        words += [steps[number] for _, steps in loops[:-1]]
        if stream.inner is None:
            words.append(inner[number])
    return LoopNest(streams, tuple(n for n, _ in loops), tuple(words))


def merged_loops(
    shape: tuple[int, ...], strides: Sequence[tuple[int, ...]], leader: int
) -> list[tuple[int, tuple[int, ...]]]:
    """(extent, stride in each array) from the outermost loop to the innermost.

    Dimensions go in the order of array `leader` in memory; neighbours that every array strides through evenly become
    one loop.
    """
    loops: list[tuple[int, tuple[int, ...]]] = []
    for d in order_in_memory(strides[leader]):
        n = shape[d]
        if n == 1:
            continue
        steps = tuple(own[d] for own in strides)
        if loops and all(outer == n * step for outer, step in zip(loops[-1][1], steps, strict=True)):
            loops[-1] = (loops[-1][0] * n, steps)
        else:
            loops.append((n, steps))
    return loops

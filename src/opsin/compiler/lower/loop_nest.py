"""The loops of a pointwise kernel, cached: equal blocks of a network have equal arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from opsin.compiler.views import order_in_memory
from opsin.kernels.pointwise import Stream

MAX_CACHED_NESTS = 4096
"""Loop nests that the cache keeps."""


@dataclass(frozen=True)
class LoopNest:
    """The `extents` of the loops, the innermost last; none for a single element.

    `words` are the kernel's arguments about them, except for the number of elements if there is only one loop.
    """

    streams: tuple[Stream, ...]
    extents: tuple[int, ...]
    words: tuple[int, ...]


@lru_cache(MAX_CACHED_NESTS)
def loop_nest(
    shape: tuple[int, ...], elements: tuple[str, ...], strides: tuple[tuple[int, ...], ...], leader: int
) -> LoopNest:
    """Return the loops over arrays of `shape`, each with an element and strides, in the order of array `leader`."""
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
    """Return (extent, stride in each array) of the loops, the outermost first.

    Dimensions are in the order of array `leader` in memory. Neighbours become one loop if every array strides through
    them evenly.
    """
    loops: list[tuple[int, tuple[int, ...]]] = []
    for d in order_in_memory(strides[leader]):
        n = shape[d]
        if n == 1:
            continue
        steps = tuple(array[d] for array in strides)
        if loops and all(outer == n * step for outer, step in zip(loops[-1][1], steps, strict=True)):
            loops[-1] = (loops[-1][0] * n, steps)
        else:
            loops.append((n, steps))
    return loops

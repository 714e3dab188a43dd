"""One allocation for everything temporary: offsets from lifetimes.

A buffer lives from the first group that touches it to the last. Larger buffers are placed first,
each at the lowest offset that no neighbour in time occupies (greedy by size, as in Pisarchyk &
Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
"""

from __future__ import annotations

import numpy as np

from opsin.compiler.schedule import Group
from opsin.compiler.views import Buffer

ALIGNMENT = 16
"""Elements: a cache line of 64 bytes."""
NO_END = 1 << 62
"""Beyond every arena."""
SLACK = 16
"""Elements after each buffer, as kernels may read (never write) up to a vector beyond its end."""


def lifetimes(groups: list[Group], kept: set[Buffer]) -> dict[Buffer, tuple[int, int]]:
    """(first group, last group) of each temporary; `kept` ones live to the end."""
    firsts: dict[Buffer, int] = {}
    lasts: dict[Buffer, int] = {}
    for number, group in enumerate(groups):
        for call in group.calls:
            for buffer in (*call.reads, *call.writes):
                if buffer.role == "temporary":
                    firsts.setdefault(buffer, number)
                    lasts[buffer] = number
    return {b: (first, len(groups) if b in kept else lasts[b]) for b, first in firsts.items()}


def place(spans: dict[Buffer, tuple[int, int]]) -> tuple[dict[Buffer, int], int]:
    """Offsets in elements, and the arena's size."""
    offsets: dict[Buffer, int] = {}
    order = sorted(spans.items(), key=lambda item: (-item[0].size, item[1]))
    placed = starts, ends, firsts, lasts = np.zeros((4, len(spans) + 2), np.int64)
    """Offset, end, first and last group of what is placed, by offset; the arena's beginning and end are."""
    placed[:, 1], lasts[0] = (NO_END, NO_END, 0, NO_END), NO_END
    total = 0
    for known, (buffer, (first, last)) in enumerate(order, 2):
        together = ((firsts[:known] <= last) & (lasts[:known] >= first)).nonzero()[0]
        # A hole begins where all that starts before it has ended, and reaches to what starts next.
        holes = np.maximum.accumulate(ends[together[:-1]])
        size = room(buffer.size)
        at = int(holes[(starts[together[1:]] - holes >= size).argmax()])
        offsets[buffer] = at
        rank = int(starts[:known].searchsorted(at, "right"))
        placed[:, rank + 1 : known + 1] = placed[:, rank:known]
        placed[:, rank] = (at, at + size, first, last)
        total = max(total, at + size)
    return offsets, total


def room(size: int) -> int:
    """`size` elements with slack, rounded up to whole cache lines."""
    return -(-(size + SLACK) // ALIGNMENT) * ALIGNMENT

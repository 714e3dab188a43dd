"""One allocation for all temporary buffers: offsets from lifetimes.

A buffer lives from the first group that touches it to the last. Larger buffers are placed first,
each at the lowest offset that no neighbour in time occupies (greedy by size, as in Pisarchyk &
Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
"""

from __future__ import annotations

import numpy as np

from opsin.compiler.schedule import CallGroup
from opsin.compiler.views import Buffer

ALIGNMENT = 16
"""Elements: a cache line of 64 bytes."""
BEYOND = 1 << 62
"""An offset, and a group, beyond every arena."""
SLACK = 16
"""Elements after each buffer: kernels may read (never write) up to a vector beyond its end."""


def lifetimes(groups: list[CallGroup], outputs: set[Buffer]) -> dict[Buffer, tuple[int, int]]:
    """Return (first group, last group) of each temporary; `outputs` live to the end."""
    firsts: dict[Buffer, int] = {}
    lasts: dict[Buffer, int] = {}
    for number, group in enumerate(groups):
        for call in group.calls:
            for buffer in (*call.reads, *call.writes):
                if buffer.role == "temporary":
                    firsts.setdefault(buffer, number)
                    lasts[buffer] = number
    return {b: (first, len(groups) if b in outputs else lasts[b]) for b, first in firsts.items()}


def place(spans: dict[Buffer, tuple[int, int]]) -> tuple[dict[Buffer, int], int]:
    """Return the offset of each buffer in elements, and the size of the arena."""
    offsets: dict[Buffer, int] = {}
    order = sorted(spans.items(), key=lambda item: (-item[0].size, item[1]))
    placed = starts, ends, firsts, lasts = np.zeros((4, len(spans) + 2), np.int64)
    """Offset, end, first and last group of each placed buffer, by offset; the arena's two ends count as placed."""
    placed[:, 1], lasts[0] = (BEYOND, BEYOND, 0, BEYOND), BEYOND
    total = 0
    for count, (buffer, (first, last)) in enumerate(order, 2):
        neighbours = ((firsts[:count] <= last) & (lasts[:count] >= first)).nonzero()[0]
        # A hole begins at the end of everything that starts before it, and reaches to the next start.
        holes = np.maximum.accumulate(ends[neighbours[:-1]])
        size = aligned_size(buffer.size)
        offset = int(holes[(starts[neighbours[1:]] - holes >= size).argmax()])
        offsets[buffer] = offset
        rank = int(starts[:count].searchsorted(offset, "right"))
        placed[:, rank + 1 : count + 1] = placed[:, rank:count]
        placed[:, rank] = (offset, offset + size, first, last)
        total = max(total, offset + size)
    return offsets, total


def aligned_size(size: int) -> int:
    """Return `size` elements with slack, rounded up to whole cache lines."""
    return -(-(size + SLACK) // ALIGNMENT) * ALIGNMENT

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
"""Words: a cache line of 64 bytes."""
MAX_OFFSET = 1 << 62
"""An offset, and a group number, greater than any of an arena."""
OVERREAD_WORDS = 16
"""Words after each buffer: kernels may read (never write) up to a vector beyond its end."""


def lifetimes(groups: list[CallGroup], outputs: set[Buffer]) -> dict[Buffer, tuple[int, int]]:
    """Return (first group, last group) of each temporary; `outputs` live to the end."""
    first_groups: dict[Buffer, int] = {}
    last_groups: dict[Buffer, int] = {}
    for number, group in enumerate(groups):
        for call in group.calls:
            for buffer in (*call.reads, *call.writes):
                if buffer.role == "temporary":
                    first_groups.setdefault(buffer, number)
                    last_groups[buffer] = number
    return {b: (first, len(groups) if b in outputs else last_groups[b]) for b, first in first_groups.items()}


def place(spans: dict[Buffer, tuple[int, int]]) -> tuple[dict[Buffer, int], int]:
    """Return the offset of each buffer in words, and the size of the arena."""
    offsets: dict[Buffer, int] = {}
    order = sorted(spans.items(), key=lambda item: (-item[0].words, item[1]))
    placements = starts, ends, first_groups, last_groups = np.zeros((4, len(spans) + 2), np.int64)
    """Offset, end, first and last group of each placed buffer, by offset; the arena's two ends count as placed."""
    placements[:, 1], last_groups[0] = (MAX_OFFSET, MAX_OFFSET, 0, MAX_OFFSET), MAX_OFFSET
    total = 0
    for count, (buffer, (first, last)) in enumerate(order, 2):
        neighbours = ((first_groups[:count] <= last) & (last_groups[:count] >= first)).nonzero()[0]
        # A hole begins at the end of everything that starts before it, and reaches to the next start.
        holes = np.maximum.accumulate(ends[neighbours[:-1]])
        size = aligned_size(buffer.words)
        offset = int(holes[(starts[neighbours[1:]] - holes >= size).argmax()])
        offsets[buffer] = offset
        rank = int(starts[:count].searchsorted(offset, "right"))
        placements[:, rank + 1 : count + 1] = placements[:, rank:count]
        placements[:, rank] = (offset, offset + size, first, last)
        total = max(total, offset + size)
    return offsets, total


def aligned_size(size: int) -> int:
    """Return `size` words and the overread, rounded up to whole cache lines."""
    return -(-(size + OVERREAD_WORDS) // ALIGNMENT) * ALIGNMENT

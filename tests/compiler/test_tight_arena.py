"""Tight placement: buffers that live at the same time do not overlap, and the least memory is usually reached."""

from __future__ import annotations

import numpy as np

from opsin.compiler.arena import place
from opsin.compiler.tight_arena import Span, least_size, place_tightly
from opsin.compiler.views import Buffer
from opsin.kernels.ir import F32


def buffers(*rows: tuple[int, int, int]) -> dict[Buffer, Span]:
    """Return buffers of so many words, with the first and last groups that touch them."""
    return {Buffer(words, F32, "temporary"): (first, last) for words, first, last in rows}


def test_neighbours_in_time_do_not_overlap() -> None:
    rng = np.random.default_rng(0)
    reached = 0
    for count in (1, 2, 5, 12, 30, 30, 60, 60, 90, 90):
        firsts, lengths = rng.integers(0, count, count), rng.geometric(0.5, count)
        sizes = rng.integers(0, 500, count)
        spans = buffers(*((int(s), int(f), int(f + n)) for s, f, n in zip(sizes, firsts, lengths, strict=True)))
        alignment = int(rng.choice([1, 4, 16]))
        offsets, total = place_tightly(spans, alignment)
        used: dict[int, set[int]] = {}
        for buffer, (first, last) in spans.items():
            words = range(offsets[buffer], offsets[buffer] + buffer.words)
            assert words.start % alignment == 0
            assert words.stop <= total
            for group in range(first, last + 1):
                assert used.setdefault(group, set()).isdisjoint(words)
                used[group].update(words)
        assert total >= least_size(spans, alignment) >= max(map(len, used.values()))
        reached += total == least_size(spans, alignment)
    assert reached >= 7


def test_the_least_memory_is_found_where_the_largest_first_leaves_a_hole() -> None:
    spans = buffers((110, 0, 0), (74, 0, 1), (74, 1, 2), (147, 2, 3), (37, 3, 4))
    assert place_tightly(spans, 1)[1] == least_size(spans, 1) == 147 + 74
    assert place(spans)[1] == 320 > 176 + 96


def test_no_buffers_need_no_memory() -> None:
    assert place_tightly({}, 4) == ({}, 0)

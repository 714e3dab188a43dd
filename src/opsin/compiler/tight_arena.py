"""The smallest arena that a few attempts find, for programs whose memory is scarce.

Buffers are placed one after the other, each at the lowest offset that no neighbour in time occupies, as in `arena.py`;
the largest come first. A buffer that reaches the top of the arena comes earlier in the next attempt. No arrangement
needs less than the buffers that live at the same time, so the search ends there.
"""

from __future__ import annotations

from collections.abc import Mapping

from opsin.compiler.views import Buffer

MAX_STEPS = 400_000
"""Pairs of buffers that are compared in all attempts, after the first one."""
MAX_ATTEMPTS = 60

Span = tuple[int, int]
"""The first and the last group that touch a buffer."""


def place_tightly(spans: Mapping[Buffer, Span], alignment: int) -> tuple[dict[Buffer, int], int]:
    """Return the offset of each buffer in words, a multiple of `alignment`, and the size of the arena."""
    order = sorted(spans, key=lambda buffer: (-buffer.words, spans[buffer]))
    least = least_size(spans, alignment)
    best, best_size, steps = {}, -1, 0
    for _ in range(MAX_ATTEMPTS):
        offsets, size = _place(order, spans, alignment)
        if best_size < 0 or size < best_size:
            best, best_size = offsets, size
        steps += len(order) ** 2
        if best_size == least or steps > MAX_STEPS:
            break
        top = [buffer for buffer in order if offsets[buffer] + _aligned(buffer.words, alignment) == size]
        order = _earlier(order, top)
    return best, best_size


def least_size(spans: Mapping[Buffer, Span], alignment: int) -> int:
    """Return the words of the buffers that live at the same time, at most."""
    changes: dict[int, int] = {}
    for buffer, (first, last) in spans.items():
        size = _aligned(buffer.words, alignment)
        changes[first] = changes.get(first, 0) + size
        changes[last + 1] = changes.get(last + 1, 0) - size
    total = largest = 0
    for group in sorted(changes):
        total += changes[group]
        largest = max(largest, total)
    return largest


def _place(order: list[Buffer], spans: Mapping[Buffer, Span], alignment: int) -> tuple[dict[Buffer, int], int]:
    offsets: dict[Buffer, int] = {}
    placed: list[tuple[int, int, int, int]] = []
    total = 0
    for buffer in order:
        first, last = spans[buffer]
        size, offset = _aligned(buffer.words, alignment), 0
        for start, end in sorted((start, end) for start, end, one, other in placed if one <= last and other >= first):
            if start - offset >= size:
                break
            offset = max(offset, end)
        offsets[buffer] = offset
        placed.append((offset, offset + size, first, last))
        total = max(total, offset + size)
    return offsets, total


def _earlier(order: list[Buffer], chosen: list[Buffer]) -> list[Buffer]:
    """Return the order with each of `chosen` halfway nearer to the front."""
    result = list(order)
    for buffer in chosen:
        place = result.index(buffer)
        result.insert(place // 2, result.pop(place))
    return result


def _aligned(words: int, alignment: int) -> int:
    return -(-words // alignment) * alignment

"""The smallest arena that a few attempts find, for programs whose memory is scarce.

Buffers are placed one after the other, each at the lowest offset that no neighbour in time occupies, as in `arena.py`;
the largest come first. A buffer that reaches the top of the arena comes earlier in the next attempt. No arrangement
needs less than the buffers that live at the same time, so the search ends there.

A buffer that a call is the last to read may have memory in common with one that this call is the first to write, as
their `Overlay` allows (`overlays.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from opsin.compiler.overlays import Overlays
from opsin.compiler.views import Buffer

MAX_STEPS = 400_000
"""Pairs of buffers that are compared in all attempts, after the first one."""
MAX_ATTEMPTS = 60

Span = tuple[int, int]
"""The first and the last group that touch a buffer."""


Interval = tuple[int, int]
"""Offsets between two numbers, without these."""
NO_OVERLAYS: Overlays = {}


@dataclass(frozen=True)
class _Problem:
    """What is to be placed."""

    spans: Mapping[Buffer, Span]
    alignment: int
    overlays: Overlays

    def aligned(self, words: int) -> int:
        return -(-words // self.alignment) * self.alignment

    def size(self, buffer: Buffer) -> int:
        return self.aligned(buffer.words)

    def forbidden(self, buffer: Buffer, other: Buffer, place: int) -> Iterator[Interval]:
        """Yield the offsets that `buffer` cannot have, because `other` is at offset `place`."""
        (first, last), (other_first, other_last) = self.spans[buffer], self.spans[other]
        if first > other_last or other_first > last:
            return
        low, high = place - self.size(buffer), place + self.size(other)
        overlay = None
        if first == other_last and (overlay := self.overlays.get((other, buffer))):
            low = max(low, place - self.aligned(overlay.distance))
        elif last == other_first and (overlay := self.overlays.get((buffer, other))):
            high = min(high, place + self.aligned(overlay.distance))
        if overlay and overlay.same_place:
            yield low, place
            yield place, high
        else:
            yield low, high


def place_tightly(
    spans: Mapping[Buffer, Span], alignment: int, overlays: Overlays = NO_OVERLAYS
) -> tuple[dict[Buffer, int], int]:
    """Return the offset of each buffer in words, a multiple of `alignment`, and the size of the arena.

    With `overlays`, each group is one call.
    """
    problem = _Problem(spans, alignment, overlays)
    order = sorted(spans, key=lambda buffer: (-buffer.words, spans[buffer]))
    least = least_size(spans, alignment, overlays)
    best, best_size, steps = {}, -1, 0
    for _ in range(MAX_ATTEMPTS):
        offsets, size = _place(order, problem)
        if best_size < 0 or size < best_size:
            best, best_size = offsets, size
        steps += len(order) ** 2
        if best_size == least or steps > MAX_STEPS:
            break
        top = [buffer for buffer in order if offsets[buffer] + problem.size(buffer) == size]
        order = _earlier(order, top)
    return best, best_size


def least_size(spans: Mapping[Buffer, Span], alignment: int, overlays: Overlays = NO_OVERLAYS) -> int:
    """Return the words of the buffers that live at the same time, at most, without those that may overlay another."""
    problem = _Problem(spans, alignment, overlays)
    overlaid = {written for _, written in overlays}
    changes: dict[int, int] = {}
    for buffer, (first, last) in spans.items():
        size = problem.size(buffer)
        begin = first + 1 if buffer in overlaid else first
        changes[begin] = changes.get(begin, 0) + size
        changes[last + 1] = changes.get(last + 1, 0) - size
    total = largest = 0
    for group in sorted(changes):
        total += changes[group]
        largest = max(largest, total)
    return largest


def _place(order: list[Buffer], problem: _Problem) -> tuple[dict[Buffer, int], int]:
    offsets: dict[Buffer, int] = {}
    total = 0
    for buffer in order:
        offset = 0
        for low, high in sorted(
            interval for other, place in offsets.items() for interval in problem.forbidden(buffer, other, place)
        ):
            if low >= offset:
                break
            offset = max(offset, high)
        offsets[buffer] = offset
        total = max(total, offset + problem.size(buffer))
    return offsets, total


def _earlier(order: list[Buffer], chosen: list[Buffer]) -> list[Buffer]:
    """Return the order with each of `chosen` halfway nearer to the front."""
    result = list(order)
    for buffer in chosen:
        place = result.index(buffer)
        result.insert(place // 2, result.pop(place))
    return result

"""Repetitions in a network: runs of identical segments, of which one is drawn for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opsin.viz.series_parallel import IrregularRegion, Series, members
from opsin.viz.units import Unit

MAX_PERIOD = 8
MIN_SAVED_IN_BLOCKS, MIN_SAVED_IN_CHAINS = 3, 5
"""Units that folding has to save: for blocks, and for plain chains, which a reader would rather see in full."""


def repetition(signatures: Sequence[SegmentSignature], start: int) -> tuple[int, int]:
    """Return period and count of the repetition at `start` that saves the most units; (1, 1) if none saves enough."""
    best_repeat, best_saved = (1, 1), 0
    for period in range(1, min(MAX_PERIOD, (len(signatures) - start) // 2) + 1):
        first, count = signatures[start : start + period], 1
        while signatures[start + count * period : start + (count + 1) * period] == first:
            count += 1
        if period == 1:
            count = max(count, _growing_count(signatures, start))
        saved_count = (count - 1) * sum(len(signature.shapes) for signature in first)
        min_saved = (
            MIN_SAVED_IN_BLOCKS if any(len(signature.shapes) > 1 for signature in first) else MIN_SAVED_IN_CHAINS
        )
        if saved_count >= min_saved and saved_count > best_saved:
            best_repeat, best_saved = (period, count), saved_count
    return best_repeat


def _growing_count(signatures: Sequence[SegmentSignature], start: int) -> int:
    """Return the length of a run of branching segments (at least 3) whose channels grow by equal steps; otherwise 1."""
    first, count = signatures[start], 1
    while start + count < len(signatures) and first.branches:
        steps = signatures[start + count].growth(signatures[start + count - 1])
        if steps is None or (count > 1 and steps != signatures[start + 1].growth(first)):
            break
        count += 1
    return count if count > 2 else 1


@dataclass(frozen=True)
class SegmentSignature:
    """The properties that repeated segments share: the operations and sizes of their units, and their connections."""

    structure: tuple[object, ...]
    shapes: tuple[tuple[int, ...], ...]
    parameters: tuple[int, ...]
    branches: bool

    @classmethod
    def of(cls, items: Series) -> SegmentSignature:
        units = list(members(items))
        branches = any(not isinstance(item, Unit) for item in items)
        return cls(_structure(items), tuple(u.shape for u in units), tuple(u.parameters for u in units), branches)

    def growth(self, other: SegmentSignature) -> tuple[int, ...] | None:
        """Return by how many channels each unit exceeds that of `other`; None if anything else differs."""
        if self.structure != other.structure or any(
            a[1:] != b[1:] for a, b in zip(self.shapes, other.shapes, strict=True)
        ):
            return None
        steps = tuple(a[0] - b[0] for a, b in zip(self.shapes, other.shapes, strict=True))
        return steps if any(steps) or self.parameters == other.parameters else None


def _structure(items: Series) -> tuple[object, ...]:
    structure: list[object] = []
    for item in items:
        if isinstance(item, Unit):
            structure.append((item.kind, item.caption, item.before, item.after))
        elif isinstance(item, IrregularRegion):
            position = {unit: index for index, unit in enumerate(item.units)}
            structure.append(tuple((u.caption, *(position.get(s, -1) for s in u.sources)) for u in item.units))
        else:
            structure.append(tuple(_structure(branch) for branch in item.branches))
    return tuple(structure)

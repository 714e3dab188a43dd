"""Which parts that follow each other are alike, so that one drawing stands for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opsin.viz.flow import IrregularRegion, Series, members
from opsin.viz.units import Unit

LONGEST_PERIOD = 8
FEWEST_BLOCKS, FEWEST_UNITS = 3, 5
"""Units that a repetition saves at least: of blocks, and of units in a row, which a reader would rather see."""


def repetition(looks: Sequence[Look], place: int) -> tuple[int, int]:
    """Period and count of the repetition that begins at `place` and saves most; (1, 1) where none is worth it."""
    best, best_saved = (1, 1), 0
    for period in range(1, min(LONGEST_PERIOD, (len(looks) - place) // 2) + 1):
        first, count = looks[place : place + period], 1
        while looks[place + count * period : place + (count + 1) * period] == first:
            count += 1
        if period == 1:
            count = max(count, _growing(looks, place))
        saved = (count - 1) * sum(len(look.shapes) for look in first)
        fewest = FEWEST_BLOCKS if any(len(look.shapes) > 1 for look in first) else FEWEST_UNITS
        if saved >= fewest and saved > best_saved:
            best, best_saved = (period, count), saved
    return best


def _growing(looks: Sequence[Look], place: int) -> int:
    """How many branching parts, at least three, have channels that grow by the same numbers from one to the next."""
    first, count = looks[place], 1
    while place + count < len(looks) and first.branches:
        steps = looks[place + count].growth(looks[place + count - 1])
        if steps is None or (count > 1 and steps != looks[place + 1].growth(first)):
            break
        count += 1
    return count if count > 2 else 1


@dataclass(frozen=True)
class Look:
    """What decides whether parts are alike: what their units do and how they hang together, and the units' sizes."""

    words: tuple[object, ...]
    shapes: tuple[tuple[int, ...], ...]
    parameters: tuple[int, ...]
    branches: bool

    @classmethod
    def of(cls, items: Series) -> Look:
        units = list(members(items))
        branches = any(not isinstance(item, Unit) for item in items)
        return cls(_words(items), tuple(u.shape for u in units), tuple(u.parameters for u in units), branches)

    def growth(self, other: Look) -> tuple[int, ...] | None:
        """By how many channels each unit has more than in `other`; nothing where anything else is different."""
        if self.words != other.words or any(a[1:] != b[1:] for a, b in zip(self.shapes, other.shapes, strict=True)):
            return None
        steps = tuple(a[0] - b[0] for a, b in zip(self.shapes, other.shapes, strict=True))
        return steps if any(steps) or self.parameters == other.parameters else None


def _words(items: Series) -> tuple[object, ...]:
    found: list[object] = []
    for item in items:
        if isinstance(item, Unit):
            found.append((item.kind, item.caption, item.before, item.after))
        elif isinstance(item, IrregularRegion):
            number = {unit: place for place, unit in enumerate(item.units)}
            found.append(tuple((u.caption, *(number.get(s, -1) for s in u.sources)) for u in item.units))
        else:
            found.append(tuple(_words(branch) for branch in item.branches))
    return tuple(found)

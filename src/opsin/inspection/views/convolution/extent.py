"""How much of each step a page shows: all if it fits, otherwise some channels around the most important place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from opsin.explain.observer import Floats
from opsin.explain.stages import Stage
from opsin.inspection.views.convolution.blocks import StepParts
from opsin.inspection.views.convolution.regions import Region, Span, sides
from opsin.inspection.views.network.selection import strongest_channels

EXTENTS = ((1, 1), (1, 3), (2, 5), (2, 7), (3, 9), (4, 12), (6, 16), (8, 24), (16, 32), (64, 64), (4096, 4096))
"""Channels of a step's output, and rows and columns of each, from the least to all."""

CHANNELS, PLACES = slice(1, 2), slice(1, None)
"""The axes of channels, and those of channels, rows and columns."""


@dataclass(eq=False)
class Candidate:
    """A step that could be shown, number `number` of its stage, for some `images`.

    `ranking` returns the values and gradients by which channels and places are chosen: those of a tensor whose `axes`
    have the sizes of the output's.
    """

    stage: Stage
    number: int
    parts: StepParts
    images: int
    ranking: Callable[[slice], tuple[Floats, Floats]]
    _sizes: dict[int, int | None] = field(default_factory=dict)

    def is_whole(self, level: int) -> bool:
        """Whether everything is shown at a level, an index of `EXTENTS`."""
        channels, rows, columns = sides(self.parts.step.output.shape)
        return EXTENTS[level][0] >= channels and EXTENTS[level][1] >= max(rows, columns)

    def size(self, level: int) -> int | None:
        """Return the bytes at a level; None if the page cannot compute the step."""
        if level not in self._sizes:
            count, side = EXTENTS[level]
            channels, rows, columns = sides(self.parts.step.output.shape)
            shown = tuple(range(min(count, channels)))
            region = Region(shown, around(rows // 2, side, rows), around(columns // 2, side, columns))
            self._sizes[level] = replace(self.parts, outputs=(region,) * self.images).size()
        return self._sizes[level]

    def at(self, level: int) -> StepParts:
        """Return the step with the channels, and around the places, that count most for the answer."""
        count, side = EXTENTS[level]
        _, rows, columns = sides(self.parts.step.output.shape)
        channels = strongest_channels(*self.ranking(CHANNELS), count)
        influence = _influence(*self.ranking(PLACES)).reshape(self.images, -1, rows, columns)
        strengths = np.abs(influence[:, channels], dtype=np.float64).sum(1)
        regions = []
        for strength in strengths:
            row, column = np.unravel_index(int(strength.argmax()), strength.shape)
            spans = around(int(row), side, rows), around(int(column), side, columns)
            regions.append(Region(tuple(channels), *spans))
        return replace(self.parts, outputs=tuple(regions))


def _influence(values: Floats, gradients: Floats) -> Floats:
    """Return value · gradient: which values count for the answer. If that is zero everywhere, return the values."""
    product = values * gradients
    return product if product.any() else values


def around(place: int, side: int, size: int) -> Span:
    """Return `side` indices around `place`, inside an axis of `size`."""
    first = max(0, min(place - side // 2, size - side))
    return first, min(size, first + side)


def chosen_levels(candidates: list[Candidate], budget: int) -> dict[Candidate, int]:
    """Return the level of each step, together within `budget` bytes: as even as possible, small steps first.

    Every step is shown at the lowest level at least; steps that the page cannot compute are missing.
    """
    sizes = {candidate: candidate.size(0) for candidate in candidates}
    levels = {candidate: 0 for candidate, size in sizes.items() if size is not None}
    left = budget - sum(size or 0 for size in sizes.values())
    growing = list(levels)
    for level in range(1, len(EXTENTS)):
        growing.sort(key=lambda candidate: candidate.size(level) or 0)
        grown = []
        for candidate in growing:
            more = (candidate.size(level) or 0) - (candidate.size(level - 1) or 0)
            if more <= left:
                levels[candidate], left = level, left - more
                grown.append(candidate)
        growing = grown
    return levels

"""Count the values in masks, to decide what they mean over all masks of a data set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.segmentation.pixels import COLOUR, PALETTE, Pixels

MAX_VALUES = 4096
"""Distinct values of a mask that are counted; a mask with more holds no class ids."""

GREY_COLOUR = 0x010101
"""The factor from a grey value to the colour."""


@dataclass(frozen=True)
class Survey:
    """The distinct values of a mask and how many pixels have each."""

    path: str
    size: tuple[int, int]
    mode: str
    bits: int
    lossy: bool
    values: tuple[int, ...]
    counts: tuple[int, ...]
    palette: tuple[int, ...] = ()
    """The colour of each index, for all indices up to the largest that is used."""

    @classmethod
    def of(cls, path: str, pixels: Pixels) -> Survey:
        values, counts = distinct(pixels.values)
        values, counts = values[:MAX_VALUES], counts[:MAX_VALUES]
        palette = pixels.palette[: int(values[-1]) + 1] if pixels.mode == PALETTE and len(values) else ()
        return cls(
            path, pixels.size, pixels.mode, pixels.bits, pixels.lossy,
            tuple(values.tolist()), tuple(counts.tolist()), palette,
        )  # fmt: skip

    @property
    def colours(self) -> Survey:
        """The same counts with colours in place of palette indices and grey values."""
        if self.mode == COLOUR:
            return self
        table = self.palette if self.mode == PALETTE else ()
        colour = [
            table[value] if 0 <= value < len(table) else max(0, min(value, 255)) * GREY_COLOUR for value in self.values
        ]
        return Survey(self.path, self.size, COLOUR, 8, self.lossy, tuple(colour), self.counts)

    @property
    def is_grey(self) -> bool:
        """Whether a mask of colours holds only grey ones."""
        return self.mode == COLOUR and all(value % GREY_COLOUR == 0 for value in self.values)

    @property
    def grey(self) -> Survey:
        """The counts by grey value, of a mask of grey colours."""
        values = tuple(value // GREY_COLOUR for value in self.values)
        return Survey(self.path, self.size, "grey", 8, self.lossy, values, self.counts)


def distinct(values: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct values, sorted, and how often each occurs."""
    flat = values.reshape(-1)
    if not flat.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    if flat.min() >= 0 and flat.max() < 2**16:
        counts = np.bincount(flat)
        present = counts.nonzero()[0]
        return present.astype(np.int64), counts[present].astype(np.int64)
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])  # runs of equal values: few in masks
    lengths = np.diff(np.append(starts, flat.size))
    present, inverse = np.unique(flat[starts], return_inverse=True)
    return present.astype(np.int64), np.bincount(inverse.reshape(-1), lengths).astype(np.int64)


def union(surveys: Iterable[Survey]) -> tuple[int, ...]:
    """Return the distinct values of all masks, sorted."""
    values: set[int] = set()
    for survey in surveys:
        values.update(survey.values)
    return tuple(sorted(values))


def share_of(surveys: Sequence[Survey], values: Iterable[int]) -> float:
    """Return the share of all pixels that have one of the values."""
    selection = set(values)
    total = sum(sum(survey.counts) for survey in surveys)
    hit_count = sum(
        count
        for survey in surveys
        for value, count in zip(survey.values, survey.counts, strict=True)
        if value in selection
    )
    return hit_count / max(1, total)

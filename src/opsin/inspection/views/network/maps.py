"""Feature maps on the page: as the engine's numbers, or as small images if space is short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.explain.observer import Floats
from opsin.inspection.page.arrays import FLOAT_BYTES, Arrays

MAX_CHANNELS = 64
"""Feature maps of a step that are shown, at most."""

MIN_CHANNELS = 4
"""Feature maps of a step that must fit with all their numbers."""


@dataclass(frozen=True)
class Form:
    """How the maps of a step are stored: how many `channels`, and as averages over `reduction`² values if above 1.

    Numbers are float32; averages have a byte per value.
    """

    channels: int
    reduction: int


def as_maps(values: Floats) -> Floats:
    """Return values as N × C × H × W, or N × C."""
    return values.reshape(maps_shape(values.shape))


def maps_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape N × C × H × W, or N × C, of an array: further axes before the last two count as channels.

    A number for each image is one channel.
    """
    if len(shape) in (1, 3):
        return shape[0], 1, *shape[1:]
    return tuple(shape) if len(shape) <= 4 else (shape[0], prod(shape[1:-2]), *shape[-2:])


def divide(budget: int, sizes: Sequence[int]) -> list[int]:
    """Divide `budget` bytes among steps of so many values each: what one does not need, the others get."""
    shares, left = [0] * len(sizes), budget
    order = sorted(range(len(sizes)), key=lambda n: sizes[n])
    for position, number in enumerate(order):
        shares[number] = min(FLOAT_BYTES * sizes[number], left // (len(sizes) - position))
        left -= shares[number]
    return shares


def choose_form(shape: Sequence[int], share: int) -> Form:
    """Return the form of maps N × C × H × W (or N × C) that fits into `share` bytes, or the smallest form."""
    images, channels, *sides = shape
    values = images * int(np.prod(sides, dtype=np.int64))
    least = min(channels, MIN_CHANNELS)
    if not sides:
        return Form(max(1, min(channels, share // (FLOAT_BYTES * images))), 1)
    fits = share // (FLOAT_BYTES * values)
    if fits >= least:
        return Form(min(channels, MAX_CHANNELS, fits), 1)
    for reduction in (1, 2, 4, 8, 16):
        reduced = images * int(np.prod([-(-side // reduction) for side in sides]))
        if reduction > 1 and share // reduced >= least:
            return Form(min(channels, MAX_CHANNELS // 2, share // reduced), reduction)
    return Form(least, 16)


@dataclass(frozen=True, eq=False)
class Maps:
    """The maps of a step: of `channels` out of `count`, N × channels × …, as numbers or reduced by `reduction`."""

    values: Floats
    channels: list[int]
    count: int
    reduction: int

    @classmethod
    def of(cls, values: Floats, channels: list[int], form: Form) -> Maps:
        chosen = values[:, channels]
        return cls(_averaged(chosen, form.reduction), channels, values.shape[1], form.reduction)

    def to_data(self, arrays: Arrays) -> dict[str, Any]:
        """Return the maps for the page; `largest` is the end of the scale of averages."""
        data: dict[str, Any] = {"channels": self.channels, "count": self.count, "reduction": self.reduction}
        if self.reduction == 1:
            return data | {"values": arrays.add(self.values)}
        rounded, largest = as_bytes(self.values)
        return data | {"values": arrays.add(rounded), "largest": largest}


def as_bytes(values: Floats) -> tuple[NDArray[np.uint8], float]:
    """Return values as bytes, 128 for 0, and the magnitude that 255 stands for."""
    largest = float(np.abs(values).max()) or 1.0
    return np.rint(values / largest * 127 + 128).astype(np.uint8), largest


def _averaged(values: Floats, reduction: int) -> Floats:
    """Return the averages of squares of N × C × H × W; those at the lower and right edge may be smaller."""
    if reduction == 1:
        return values
    for axis in (2, 3):
        starts = np.arange(0, values.shape[axis], reduction)
        counts = np.diff([*starts, values.shape[axis]])
        shape = [-1 if n == axis else 1 for n in range(4)]
        values = np.asarray(np.add.reduceat(values, starts, axis=axis) / counts.reshape(shape), np.float32)
    return values

"""Which maps of a layer the view holds, so that it stays within its share of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from opsin.explain.backpropagation.backward import Backward, Floats, Pass
from opsin.explain.backpropagation.uses import CONV, LINEAR, TRANSPOSED, Use
from opsin.inspection.page.arrays import FLOAT_BYTES

COUNTS = (16, 8, 6, 4, 3, 2, 1)
"""Numbers of channels that are tried for every layer."""
MAX_WEIGHTS = 640
"""Weights of a parameter that can be chosen, at most."""
MAX_INPUTS = 6
"""Input channels of a convolution that can be chosen, at most."""
NUMBERS_PER_WEIGHT = 14
"""A weight, its gradient, and for four optimizers two new weights and the gradient between them."""


@dataclass(frozen=True)
class Part:
    """The part of a parameter that can be chosen: places along each of its axes, ascending."""

    name: str
    use: Use
    axes: tuple[tuple[int, ...], ...]

    def take(self, values: Floats) -> Floats:
        """Return the numbers of the part, in the parameter's order."""
        return np.ascontiguousarray(values[np.ix_(*self.axes)])

    @property
    def bytes(self) -> int:
        """The size of its numbers and maps, before compression."""
        maps = 0
        if self.use.kind in (CONV, TRANSPOSED):
            rows = [prod(int(str(size)) for size in t.shape[2:]) for t in (self.use.output, self.use.image)]
            maps = sum(len(axis) * size for axis, size in zip(self.axes, rows, strict=False))
        elif self.use.kind != LINEAR:
            maps = 2 * len(self.axes[0]) * prod(int(str(size)) for size in self.use.output.shape[2:])
        return FLOAT_BYTES * (maps + NUMBERS_PER_WEIGHT * prod(len(axis) for axis in self.axes))


def choose_parts(backward: Backward, step: Pass, budget: int) -> list[Part]:
    """Return a part of every parameter, with as many channels as fit into `budget` bytes.

    If there is no space for all parameters, the first and the last of the network come first, and others between them.
    """
    names = [name for name, t in backward.parameters.items() if t in step.gradients and backward.uses[name]]
    for count in COUNTS:
        parts = [_part(backward, step, name, count) for name in names]
        if sum(part.bytes for part in parts) <= budget:
            return parts
    chosen: list[Part] = []
    for number in _spread(len(names)):
        part = _part(backward, step, names[number], 1)
        if sum(other.bytes for other in chosen) + part.bytes <= budget:
            chosen.append(part)
    order = {name: number for number, name in enumerate(names)}
    return sorted(chosen, key=lambda part: order[part.name])


def largest(values: Floats, count: int) -> tuple[int, ...]:
    """Return the places of the `count` largest values, ascending."""
    order = np.argsort(-values, kind="stable")[:count]
    return tuple(sorted(int(i) for i in order))


def ranked(part: Part, gradients: Floats, count: int) -> list[list[int]]:
    """Return the places in the parameter of the `count` largest gradients of a part."""
    values = np.abs(part.take(gradients))
    order = np.argsort(-values.ravel(), kind="stable")[:count]
    places = [np.unravel_index(number, values.shape) for number in order]
    return [[axis[int(i)] for axis, i in zip(part.axes, place, strict=True)] for place in places]


def _part(backward: Backward, step: Pass, name: str, count: int) -> Part:
    gradient = np.abs(step.gradients[backward.parameters[name]])
    use = backward.uses[name][-1]
    if use.kind in (CONV, TRANSPOSED):
        taps = [tuple(range(size)) for size in gradient.shape[2:]]
        limit = MAX_WEIGHTS // prod(gradient.shape[2:])
        inputs = min(count, gradient.shape[1], MAX_INPUTS, max(1, limit))
        filters = largest(gradient.sum(axis=(1, 2, 3)), min(count, max(1, limit // inputs)))
        channels = largest(gradient[list(filters)].sum(axis=(0, 2, 3)), inputs)
        return Part(name, use, (filters, channels, *taps))
    if gradient.ndim == 2:
        rows = largest(gradient.sum(axis=1), min(2 * count, 16))
        return Part(name, use, (rows, largest(gradient[list(rows)].sum(axis=0), MAX_WEIGHTS // (2 * len(rows)))))
    axes = [tuple(range(size)) for size in gradient.shape]
    longest = int(np.argmax(gradient.shape))
    axes[longest] = largest(gradient.ravel(), 4 * count)
    return Part(name, use, tuple(axes))


def _spread(count: int) -> list[int]:
    """Return the numbers below `count`: the first, the last, and then always one in the widest gap."""
    order = list(dict.fromkeys([0, count - 1][:count]))
    gaps = [(0, count - 1)]
    while gaps:
        gaps.sort(key=lambda gap: gap[0] - gap[1])
        first, last = gaps.pop(0)
        middle = (first + last) // 2
        if middle not in (first, last):
            order.append(middle)
            gaps += [(first, middle), (middle, last)]
    return order


def channels_within(sizes: Sequence[int], budget: int) -> int:
    """Return how many channels of every step fit into `budget` bytes, if a channel has so many values; 0 for none."""
    return next((count for count in COUNTS if FLOAT_BYTES * count * sum(sizes) <= budget), 0)

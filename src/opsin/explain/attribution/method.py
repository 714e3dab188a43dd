"""The interface of attribution methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.explain.attribution.question import Question

Floats = NDArray[np.float64]
Weigh = Callable[[Floats, Floats], tuple[Floats, Floats | None]]
"""Returns maps of N images, and the weights of channels if there are any, for a layer's values and gradients."""


@dataclass(frozen=True, eq=False)
class RawMap:
    """The map of one image, rows × columns, as the method defines it; and what else it says."""

    values: Floats
    channel_weights: Floats | None = None
    """The weight of each channel of the layer, if the map is a weighted sum of channels."""
    details: dict[str, Any] = field(default_factory=dict)
    """Settings and checks of the method, for JSON."""


@dataclass(frozen=True)
class Method:
    """A method that says how much each place of an image supports a score.

    `compute` returns a map for each image of a question. Maps in the size of the image come from methods without
    `needs_layer`.
    """

    name: str
    title: str
    source: str
    """Authors and year."""
    idea: str
    """What a value of the map is, in a sentence."""
    compute: Callable[[Question], Sequence[RawMap]]
    needs_layer: bool
    weigh: Weigh | None = None
    """The function behind `compute`, if the map is one of a layer's values and gradients."""


def cam(name: str, title: str, source: str, idea: str, weigh: Weigh) -> Method:
    """Return the method of a class activation map.

    `weigh` turns the values of a layer and the gradients of the scores for them, both N × C × rows × columns, into
    maps, N × rows × columns, and the weights of channels, N × C, if there are any.
    """

    def compute(question: Question) -> list[RawMap]:
        with np.errstate(invalid="ignore", over="ignore"):  # a map of infinite numbers comes with a sentence
            maps, weights = weigh(*question.features)
        return [RawMap(values, None if weights is None else weights[n]) for n, values in enumerate(maps)]

    return Method(name, title, source, idea, compute, needs_layer=True, weigh=weigh)


def weighted_sum(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return the sums of channels times their weights (N × C), and the weights: the result of `weigh`."""
    return np.einsum("nc,ncij->nij", weights, values), weights

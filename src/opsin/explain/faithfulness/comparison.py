"""Methods next to baselines, over one image or several: figures, 95% bounds, and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.base.formatting import decimal, listed
from opsin.explain.faithfulness.measurement import LOWER_IS_BETTER, METRICS, Faithfulness

Floats = NDArray[np.float64]

RESAMPLES = 2000
MIN_IMAGES = 5
"""Images from which bounds are given: resampling fewer says little."""
MIN_CHANGE = 0.005
"""Main figures up to this, of a method and of all baselines, say nothing: the confidence is the same for all images."""
MAIN = "insertion_deletion"
"""The figure by which a method has to beat the baselines."""


@dataclass(frozen=True)
class Figure:
    """A mean over images with the bounds of 95% of its bootstrap distribution; None for few images."""

    mean: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        mean = decimal(self.mean, ".3f")
        if self.low is None or self.high is None:
            return mean
        return f"{mean} ({decimal(self.low, '.3f')} to {decimal(self.high, '.3f')})"


@dataclass(frozen=True, eq=False)
class Comparison:
    """The figures of methods and baselines for the same images, as arrays by name and metric, one value per image.

    Of several random maps of an image, the figures are averaged.
    """

    methods: Mapping[str, Mapping[str, Floats]]
    baselines: Mapping[str, Mapping[str, Floats]]
    largest_baselines: Mapping[str, Floats]
    """The best main figure of any map of each baseline, one value per image."""

    @classmethod
    def of(
        cls, methods: Mapping[str, Sequence[Faithfulness]], baselines: Sequence[Mapping[str, Sequence[Faithfulness]]]
    ) -> Comparison:
        """Return the comparison for the results of each method, and of the baselines of each image."""
        names = list(baselines[0])
        return cls(
            {name: {m: _values(results, m) for m in METRICS} for name, results in methods.items()},
            {
                name: {m: np.array([_values(image[name], m).mean() for image in baselines]) for m in METRICS}
                for name in names
            },
            {name: np.array([_values(image[name], MAIN).max() for image in baselines]) for name in names},
        )

    def figure(self, name: str, metric: str) -> Figure:
        """Return the mean of a method or a baseline."""
        return bootstrap({**self.methods, **self.baselines}[name][metric])

    def gain(self, method: str, baseline: str, metric: str = MAIN) -> Figure:
        """Return the mean by which a method is better than a baseline on the same images; negative if it is worse."""
        sign = -1 if metric in LOWER_IS_BETTER else 1
        return bootstrap(sign * (self.methods[method][metric] - self.baselines[baseline][metric]))

    def is_flat(self, method: str) -> bool:
        """Whether the confidence hardly changes, neither by the method's maps nor by those of any baseline."""
        figures = [self.methods[method][MAIN], *(each[MAIN] for each in self.baselines.values())]
        return max(float(np.abs(values).max()) for values in figures) <= MIN_CHANGE

    def unbeaten(self, method: str) -> list[str]:
        """Return the baselines that a method does not beat: surely for several images, by any amount for few."""
        if self.is_flat(method):
            return list(self.baselines)
        names = []
        for name in self.baselines:
            gain = self.gain(method, name)
            if gain.low is None:
                beats = bool(self.methods[method][MAIN].mean() > self.largest_baselines[name].mean())
            else:
                beats = gain.low > 0
            if not beats:
                names.append(name)
        return names

    def sentence(self, method: str, title: str) -> str:
        """Return what the figures say of a method, in a sentence."""
        figure, names = self.figure(method, MAIN), self.unbeaten(method)
        if self.is_flat(method):
            return (
                f"The confidence hardly changes, whichever pixels are removed ({figure}): nothing is known of how "
                f"faithful {title} is."
            )
        if not names:
            return f"{title} beats every baseline on insertion minus deletion: {figure}."
        unbeaten = listed([f"the {name} ({decimal(self.figure(name, MAIN).mean, '.3f')})" for name in names])
        return (
            f"{title} does not beat {unbeaten} on insertion minus deletion ({figure}): do not trust that this map "
            "shows what the network uses."
        )

    def to_data(self) -> dict[str, Any]:
        """Return all means and bounds for JSON."""
        return {
            name: {metric: vars(self.figure(name, metric)) for metric in METRICS}
            for name in (*self.methods, *self.baselines)
        }


def bootstrap(values: Floats, seed: int = 0) -> Figure:
    """Return the mean of values with its 95% bounds (Efron 1979, percentile method), from `MIN_IMAGES` values on."""
    count = len(values)
    if count < MIN_IMAGES:
        return Figure(float(values.mean()))
    shares = (random_counter.uniform(RESAMPLES * count, seed, random_counter.EXPLAIN) + 1) / 2
    means = values[(shares * count).astype(np.intp).reshape(RESAMPLES, count)].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Figure(float(values.mean()), float(low), float(high))


def _values(results: Sequence[Faithfulness], metric: str) -> Floats:
    return np.array([getattr(result, metric) for result in results], np.float64)

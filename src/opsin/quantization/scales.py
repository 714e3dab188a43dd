"""Scales and zero points, and the clipping of ranges by error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]

SMALLEST_RANGE = 1e-6
"""The smallest distance between the bounds of a range, for tensors that are always zero."""
SHARES = np.linspace(1.0, 0.3, 29)
"""The shares of a bound that clipping tries."""


@dataclass(frozen=True)
class Scale:
    """real = step · (q - zero), with q from `least` to `greatest`. The step is a float32 number, as files hold it."""

    step: float
    zero: int
    least: int = -128
    greatest: int = 127

    @classmethod
    def of(cls, low: float, high: float, least: int = -128, greatest: int = 127) -> Scale:
        """Return the scale of a range; zero is always one of its numbers, so that padding is exact."""
        low, high = min(low, 0.0), max(high, 0.0)
        step = _float32(max(high - low, SMALLEST_RANGE) / (greatest - least))
        return cls(step, int(np.clip(round(least - low / step), least, greatest)), least, greatest)

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest real number."""
        return (self.least - self.zero) * self.step, (self.greatest - self.zero) * self.step

    def at_least(self, step: float) -> Scale:
        """Return the scale itself, or one with the same least number and a larger `step`."""
        return self if self.step >= step else self.with_step(step)

    def with_step(self, step: float) -> Scale:
        """Return the scale with nearly the same least number and another `step`."""
        step = _float32(step)
        zero = int(np.clip(round(self.least - self.bounds[0] / step), self.least, self.greatest))
        return replace(self, step=step, zero=zero)

    def numbers(self) -> NDArray[np.float64]:
        """Return all real numbers, from that of `least` to that of `greatest`."""
        return np.asarray((np.arange(self.least, self.greatest + 1) - self.zero) * self.step, np.float64)

    def quantized(self, x: NDArray[np.float64]) -> NDArray[np.int8]:
        """Return the nearest 8-bit integers of real numbers."""
        return np.asarray(np.clip(np.rint(x / self.step) + self.zero, self.least, self.greatest), np.int8)

    def bound(self, x: float) -> int:
        """Return the nearest integer of a bound, which may be infinite."""
        return int(np.clip(np.rint(np.clip(x / self.step, -1e6, 1e6)) + self.zero, self.least, self.greatest))


def _float32(step: float) -> float:
    return float(np.float32(step))


def clipped_range(
    counts: NDArray[np.int64], low: float, high: float, function: Function | None = None
) -> tuple[float, float]:
    """Return the part of [low, high] that has the least squared error when quantized, or that of a `function` of it.

    `counts` is a histogram of the numbers, in bins of equal width from `low` to `high`. Clipping costs much for few
    numbers, and a smaller step saves little for many (Banner, Nahshan & Soudry, "Post training 4-bit quantization of
    convolutional networks", 2019).
    """
    centers = low + (np.arange(len(counts)) + 0.5) * (high - low) / len(counts)
    used = counts > 0
    centers, weights = centers[used], counts[used].astype(np.float64)
    exact = centers if function is None else function(centers)
    best, smallest = (low, high), np.inf
    for low_share in SHARES if low < -0.05 * high else (1.0,):
        for high_share in SHARES if high > 0 else (1.0,):
            scale = Scale.of(low * low_share, high * high_share)
            rounded = scale.numbers() if function is None else function(scale.numbers())
            error = float(weights @ (rounded[scale.quantized(centers).astype(np.intp) + 128] - exact) ** 2)
            if error < smallest:
                best, smallest = (low * low_share, high * high_share), error
    return best

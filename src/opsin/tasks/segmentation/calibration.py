"""Calibration of pixels: a temperature that makes the probabilities of classes agree with how often they are right.

Dice loss makes networks overconfident, and one temperature for all pixels removes most of that (Guo et al., "On
calibration of modern neural networks", 2017). It does not change which class a pixel gets. The pixels of an image
depend on each other, so a temperature that is fitted to few images says little, however many pixels they have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError
from opsin.tasks.classification.calibration import MAX_TEMPERATURE, MIN_TEMPERATURE, fit_temperature
from opsin.tasks.probabilities import softmax
from opsin.tasks.segmentation.coding import IGNORE
from opsin.tasks.segmentation.results import PixelResults

MIN_IMAGES = 8
"""With fewer images there is no temperature."""

MAX_PIXELS = 2**17
"""Pixels that a temperature is fitted to, at most."""


@dataclass(frozen=True)
class PixelCalibration:
    """Probabilities are the softmax of `logits / temperature`, which was fitted to the pixels of so many `images`."""

    temperature: float
    images: int

    def to_data(self) -> dict[str, Any]:
        """Return the calibration for JSON."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> PixelCalibration:
        """Read what `to_data` wrote. Raise `ModelError` for anything else."""
        try:
            result = cls(float(data["temperature"]), int(data["images"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ModelError("its calibration is incomplete") from None
        if not (isfinite(result.temperature) and MIN_TEMPERATURE <= result.temperature <= MAX_TEMPERATURE):
            raise ModelError("its calibration has an invalid temperature")
        return result


def fit(results: PixelResults) -> PixelCalibration | None:
    """Return the calibration for sampled pixels of images; None if there are too few images."""
    if len(results) < MIN_IMAGES:
        return None
    each = max(1, MAX_PIXELS // len(results))
    logits, labels = counted_pixels(results.logits[:, :each], results.labels[:, :each])
    return PixelCalibration(fit_temperature(logits, labels), len(results)) if len(labels) else None


def counted_pixels(
    logits: NDArray[np.float32], labels: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return logits and labels of the pixels that count, P × C and P, of those of N images, N × P × C and N × P."""
    counted = labels != IGNORE
    return logits[counted], labels[counted].astype(np.intp)


def confidences(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Return the probability of the most probable class of each pixel, for logits P × C."""
    largest: NDArray[np.float64] = softmax(logits, temperature).max(axis=-1, initial=0.0)
    return largest

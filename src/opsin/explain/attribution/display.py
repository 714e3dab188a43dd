"""Turn a raw map into one that can be laid over the image, or into a warning if it shows nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opsin.ops import axis_weights

Floats = NDArray[np.float64]


def display_map(raw: Floats, size: tuple[int, int]) -> Floats:
    """Return a raw map in the size of the image, from 0 to 1: what supports the score.

    Negative values become 0, the smallest value is subtracted, the largest becomes 1, and the map is enlarged by
    bilinear interpolation, then scaled again. These are the steps of the library pytorch-grad-cam, whose maps are the
    most used, but the raw map is divided by its largest value first: adding a constant to the divisor would
    make the maps of small gradients vanish. A map without positive values, or with equal ones, is 0.
    """
    positive = np.maximum(raw, 0)
    return _stretched(enlarged(_stretched(positive), size))


def _stretched(values: Floats) -> Floats:
    """Return values whose smallest is 0 and whose largest is 1; 0 if all are equal."""
    shares = _divided(values)
    return _divided(shares - shares.min())


def _divided(values: Floats) -> Floats:
    largest = values.max()
    return np.asarray(values / largest) if largest > 0 else np.zeros_like(values)


def enlarged(values: Floats, size: tuple[int, int]) -> Floats:
    """Return a map in another size, by bilinear interpolation."""
    if values.shape == size:
        return values
    rows, columns = (axis_weights("bilinear", *pair) for pair in zip(values.shape, size, strict=True))
    return np.asarray(rows @ values @ columns.T)


def sentences_about(raw: Floats, label: str, where: str) -> tuple[str, ...]:
    """Return a warning about a raw map that shows nothing; `where` is "this layer", or "this image"."""
    if not np.isfinite(raw).all():
        return (f"The network gives infinite or undefined numbers in {where}, so the map says nothing.",)
    if not raw.any():
        return (f"Nothing in {where} changes the score of '{label}': the map is 0 everywhere.",)
    if raw.max() <= 0:
        return (f"Nothing in {where} supports '{label}': no value of the map is positive.",)
    if np.ptp(np.maximum(raw, 0)) <= 1e-6 * raw.max():
        return (f"Every place in {where} supports '{label}' equally: the map highlights no place.",)
    return ()

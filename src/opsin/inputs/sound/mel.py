"""The constants of spectral features: the Fourier transform of a window, mel filters, and the cosine transform."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

SLANEY, HTK = "slaney", "htk"
SCALES = (SLANEY, HTK)
LINEAR_HZ, BANDS_PER_LINEAR, LOG_STEP = 1000.0, 15.0, np.log(6.4) / 27


@cache
def hann(window: int) -> Values:
    """Return the periodic Hann window."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window))


@cache
def fourier(window: int) -> Values:
    """Return the real and the imaginary part of each bin under a Hann window, 2 · (window // 2 + 1) × window."""
    return _waves(np.arange(window // 2 + 1), window, window) * hann(window)


@cache
def fourier_halves(window: int) -> tuple[Values, Values]:
    """Return the real and the imaginary parts of the even and the odd bins, as functions of half a frame.

    The even bins take the sum of the halves of a frame, and the odd ones the difference of the first and the second.
    """
    bins = np.arange(window // 2 + 1)
    return _waves(bins[::2], window, window // 2), _waves(bins[1::2], window, window // 2)


def _waves(bins: NDArray[np.int64], window: int, length: int) -> Values:
    """Return cosines and then negative sines of bins of a window, 2 · bins × length."""
    phase = 2 * np.pi * (np.outer(bins, np.arange(length)) % window) / window
    return np.concatenate([np.cos(phase), -np.sin(phase)])


@cache
def mel_filters(rate: int, window: int, bands: int, low: float, high: float, scale: str) -> Values:
    """Return triangles that overlap by half and are evenly spaced on a mel scale, bands × (window // 2 + 1).

    "slaney" is the scale of his Auditory Toolbox (1998), whose triangles have the area 1, as librosa's; "htk" is
    that of the HTK book (Young et al. 2006), whose triangles have the height 1, as torchaudio's.
    """
    to_mel, to_hz = _scale(scale)
    edges = to_hz(np.linspace(to_mel(np.array(low)), to_mel(np.array(high)), bands + 2))
    bins = np.arange(window // 2 + 1) * rate / window
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return triangles * (2 / (edges[2:] - edges[:-2]))[:, None] if scale == SLANEY else triangles


@cache
def cosine(coefficients: int, bands: int) -> Values:
    """Return the orthonormal cosine transform of type 2, coefficients × bands (Ahmed, Natarajan & Rao 1974)."""
    rows = np.arange(coefficients)[:, None]
    waves = np.cos(np.pi * rows * (np.arange(bands) + 0.5) / bands) * np.sqrt(2 / bands)
    return np.asarray(np.where(rows == 0, waves / np.sqrt(2), waves))


def _scale(scale: str) -> tuple[Callable[[Values], Values], Callable[[Values], Values]]:
    if scale == HTK:
        return lambda hz: 2595 * np.log10(1 + hz / 700), lambda mel: 700 * (10 ** (mel / 2595) - 1)

    def to_mel(hz: Values) -> Values:
        logarithmic = BANDS_PER_LINEAR + np.log(np.maximum(hz, LINEAR_HZ) / LINEAR_HZ) / LOG_STEP
        return np.where(hz < LINEAR_HZ, hz * BANDS_PER_LINEAR / LINEAR_HZ, logarithmic)

    def to_hz(mel: Values) -> Values:
        logarithmic = LINEAR_HZ * np.exp(LOG_STEP * np.maximum(mel - BANDS_PER_LINEAR, 0))
        return np.where(mel < BANDS_PER_LINEAR, mel * LINEAR_HZ / BANDS_PER_LINEAR, logarithmic)

    return to_mel, to_hz

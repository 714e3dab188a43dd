"""Change the rate of sampled sound: band-limited interpolation with a windowed sinc, as matrix products.

Smith, "Digital audio resampling", 2002. Output m is at the input's time m · down / up. It is a weighted sum of the
`2 · ZEROS · max(1, down / up)` samples around it; the weights are those of a sinc with its first zero at the lower of
both rates, under a window of Kaiser's. Outputs that are `up` apart have the same weights, so that the outputs of many
periods, cut into blocks, are products of a matrix with slices of the signal.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, gcd

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import UsageError

ZEROS = 16
"""Zeros of the sinc on each side of its centre."""

BETA = 8.0
"""The shape of Kaiser's window: side lobes below -80 dB (Kaiser & Schafer 1980)."""

MAX_BLOCK = 1024
"""Outputs of one matrix product."""

MAX_PRODUCT = 2**18
"""Multiplications of one call of BLAS. OpenBLAS computes larger products in threads, which wait for each other where
files are decoded in parallel.
"""

MIN_RATE, MAX_RATE = 1_000, 768_000
"""Samples per second that a model may take; the fastest converters for sound give as many."""


def resample(samples: NDArray[np.float32], source: int, rate: int) -> NDArray[np.float32]:
    """Return `samples`, one channel at `source` Hz, at `rate` Hz: ceil(L · rate / source) samples, float32.

    The signal is 0 before its beginning and after its end. Raise `UsageError` unless `rate` is a usual one.
    """
    if not MIN_RATE <= rate <= MAX_RATE:
        raise UsageError(f"sound of {rate:,} Hz: give a rate from {MIN_RATE:,} to {MAX_RATE:,} Hz, such as 16000")
    divisor = gcd(source, rate)
    up, down = rate // divisor, source // divisor
    if up == down or not len(samples):
        return samples.astype(np.float32)
    half, outputs = _half(up, down), ceil(len(samples) * up / down)
    block = min(MAX_BLOCK, max(1, 2 * half * up // down))
    span = (block - 1) * down // up + 2 + 2 * half
    repeats = max(1, ceil(span / down))
    period, stride = repeats * up, repeats * down
    rows = ceil(outputs / period)
    together = min(rows, max(1, MAX_PRODUCT // (span * block)))
    rows = ceil(rows / together) * together
    padded = np.zeros(rows * stride + stride + span + 2 * half, np.float32)
    padded[half : half + len(samples)] = samples
    result = np.empty((rows // together, together, period), np.float32)
    for first in range(0, min(period, outputs), block):
        start = first * down // up
        columns = min(block, period - first)
        weights = _weights(up, down, first % up, min(columns, block))
        part = padded[start : start + rows * stride].reshape(-1, together, stride)[..., : len(weights)]
        np.matmul(part, weights, out=result[..., first : first + columns])
    return result.reshape(-1)[:outputs]


def margin(source: int, rate: int) -> int:
    """Return the number of samples at `source` Hz beyond the end of a part that its last outputs depend on."""
    divisor = gcd(source, rate)
    return _half(rate // divisor, source // divisor)


def _half(up: int, down: int) -> int:
    """Return the number of input samples on each side of an output that it depends on."""
    return ceil(ZEROS * max(1.0, down / up)) + 1


@lru_cache(maxsize=128)
def _weights(up: int, down: int, phase: int, columns: int) -> NDArray[np.float32]:
    """Return the weights of `columns` outputs from a `phase`, input samples × columns."""
    half, scale = _half(up, down), min(1.0, up / down)
    base = phase * down // up
    times = (phase + np.arange(columns)) * down / up - base + half
    rows = (phase + columns - 1) * down // up - base + 1 + 2 * half
    distance = (np.arange(rows)[:, None] - times) * scale
    inside = np.clip(1 - (distance / ZEROS) ** 2, 0, None)
    weights = scale * np.sinc(distance) * np.i0(BETA * np.sqrt(inside)) / np.i0(BETA) * (inside > 0)
    return np.asarray(weights / weights.sum(axis=0), np.float32)

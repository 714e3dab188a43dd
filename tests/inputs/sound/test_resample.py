"""Resampling against its definition, and against SciPy where it is installed."""

from __future__ import annotations

from math import gcd

import numpy as np
import pytest

from opsin.base.errors import UsageError
from opsin.inputs.sound.resample import BETA, ZEROS, resample
from tests.support import relative_error


@pytest.mark.parametrize(("source", "rate"), [(48000, 16000), (44100, 16000), (8000, 16000), (16000, 11025)])
def test_like_scipy_with_the_same_filter(source: int, rate: int) -> None:
    signal = pytest.importorskip("scipy.signal", reason="SciPy is not installed")
    samples = np.random.default_rng(0).standard_normal(source // 4).astype(np.float32)
    divisor = gcd(source, rate)
    up, down = rate // divisor, source // divisor
    taps = ZEROS * max(up, down)
    window = np.sinc(np.arange(-taps, taps + 1) / max(up, down)) * np.kaiser(2 * taps + 1, BETA)
    expected = signal.resample_poly(samples.astype(float), up, down, window=window / window.sum())
    assert relative_error(resample(samples, source, rate), expected) < 1e-4


@pytest.mark.parametrize(("source", "rate"), [(48000, 8000), (22050, 8000), (7919, 8000), (8000, 44100)])
def test_a_tone_below_both_limits_stays_and_one_above_goes(source: int, rate: int) -> None:
    def tone(frequency: float, rate: int) -> np.ndarray:
        return np.sin(2 * np.pi * frequency * np.arange(rate) / rate).astype(np.float32)

    inner = slice(200, -200)
    result = resample(tone(1000, source), source, rate)
    assert result.shape == (rate,) and relative_error(result[inner], tone(1000, rate)[inner]) < 1e-3
    if source > 2 * rate:
        assert np.abs(resample(tone(4600, source), source, rate)[inner]).max() < 1e-3


@pytest.mark.parametrize(("source", "rate"), [(1, 2000), (768000, 8000), (8000, 7999), (8000, 8000)])
def test_extreme_rates(source: int, rate: int) -> None:
    result = resample(np.ones(5, np.float32), source, rate)
    assert len(result) == -(-5 * rate // source) and np.isfinite(result).all()
    assert not len(resample(np.zeros(0, np.float32), source, rate))
    with pytest.raises(UsageError, match="sound of 1 Hz: give a rate from 1,000"):
        resample(np.ones(5, np.float32), source, 1)

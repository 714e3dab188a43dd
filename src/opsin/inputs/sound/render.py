"""Sounds for reports: spectrograms as images, waveforms as SVG, and WAV files for a player."""

from __future__ import annotations

import base64
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.inputs.sound.mel import SLANEY, fourier, mel_filters

BANDS, COLUMNS, SCALE = 64, 192, 3
RANGE_DB = 70.0
"""Energies that are smaller than the largest by more are black."""

COLOURS = np.array(
    [(0, 0, 4), (40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21), (252, 255, 164)]
)
"""Dark to light in even steps of lightness, so that equal differences look equal, also in grey."""


def render_sound(sample: NDArray[Any], rate: int) -> NDArray[np.uint8]:
    """Return the mel spectrogram of a sample int16 1 × 1 × L, uint8 rows × columns × 3; low is below."""
    sound = np.asarray(sample, np.float64).reshape(-1) / 32768
    window = max(64, rate // 40)
    padded = np.pad(sound, (window // 2, window // 2 + 1))
    starts = np.linspace(0, max(0, len(padded) - window), COLUMNS).astype(int)
    spectra = padded[starts[:, None] + np.arange(window)] @ fourier(window).T
    bins = window // 2 + 1
    power = spectra[:, :bins] ** 2 + spectra[:, bins:] ** 2
    energy = mel_filters(rate, window, BANDS, 20.0, rate / 2, SLANEY) @ power.T
    decibels = 10 * np.log10(np.maximum(energy, 1e-12))
    level = np.clip(1 + (decibels - max(decibels.max(), -50.0)) / RANGE_DB, 0, 1)[::-1] * (len(COLOURS) - 1)
    channels = [np.interp(level, np.arange(len(COLOURS)), COLOURS[:, channel]) for channel in range(3)]
    return np.asarray(np.rint(np.stack(channels, -1)).astype(np.uint8).repeat(SCALE, 0))


def waveform_svg(sample: NDArray[Any], width: int = 192, height: int = 48) -> str:
    """Return the smallest and the largest sample of each column as an SVG image."""
    parts = np.array_split(np.asarray(sample, np.float64).reshape(-1) / 32768, width)
    ends = [(float(part.max()), float(part.min())) if len(part) else (0.0, 0.0) for part in parts]
    lines = [f"M{x}.5 {(1 - a) * height / 2:.1f}V{(1 - b) * height / 2 + 0.5:.1f}" for x, (a, b) in enumerate(ends)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="waveform">'
        f'<path d="{"".join(lines)}" stroke="currentColor"/></svg>'
    )


def wav_bytes(sample: NDArray[Any], rate: int) -> bytes:
    """Return a sample int16 1 × 1 × L as a WAV file."""
    data = np.ascontiguousarray(sample, "<i2").tobytes()
    description = struct.pack("<HHIIHH", 1, 1, rate, 2 * rate, 2, 16)
    body = (
        b"WAVEfmt " + struct.pack("<I", len(description)) + description + b"data" + struct.pack("<I", len(data)) + data
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def player(sample: NDArray[Any], rate: int) -> str:
    """Return an HTML element that plays a sample int16 1 × 1 × L."""
    data = base64.b64encode(wav_bytes(sample, rate)).decode("ascii")
    return f'<audio controls preload="none" src="data:audio/wav;base64,{data}"></audio>'

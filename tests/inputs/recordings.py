"""Folders of small recordings that a network can learn to tell apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from opsin.inputs.sound.render import wav_bytes

RATE = 4000


def write_recordings(folder: Path, count: int, labels: tuple[str, str] = ("low", "high")) -> Path:
    """Write tones with noise as WAV files, `count` of 300 and as many of 1,100 Hz, of about 0.4 s."""
    rng = np.random.default_rng(0)
    for label, frequency in zip(labels, (300, 1100), strict=True):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            time = np.arange(int(0.4 * RATE) + 40 * (number % 3)) / RATE
            wave = np.sin(2 * np.pi * frequency * rng.uniform(0.9, 1.1) * time + rng.uniform(0, 6))
            wave = 0.3 * wave + rng.normal(0, 0.05, len(time))
            (folder / label / f"{number}.wav").write_bytes(wav_bytes(np.rint(32767 * wave), RATE))
    return folder

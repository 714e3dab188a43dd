"""Strings of tones that a small network learns to write down in seconds."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opsin.inputs.sound.render import wav_bytes

RATE = 4000
TONES = {"low": 300, "high": 1100}


def tone_string(words: list[str], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return tones of about 0.15 s with gaps before, between and after them, and a little noise."""
    parts = [np.zeros(int(rng.uniform(0.08, 0.15) * RATE))]
    for word in words:
        time = np.arange(int(rng.uniform(0.12, 0.18) * RATE)) / RATE
        parts.append(0.3 * np.sin(2 * np.pi * TONES[word] * rng.uniform(0.95, 1.05) * time))
        parts.append(np.zeros(int(rng.uniform(0.08, 0.15) * RATE)))
    sound = np.concatenate(parts)
    return np.asarray(32767 * (sound + rng.normal(0, 0.003, len(sound))))


def write_strings(folder: Path, count: int, longest: int = 3, table: bool = True) -> list[str]:
    """Write strings of tones as WAV files with a table, or with a text file next to each; return the texts."""
    rng, texts = np.random.default_rng(0), list[str]()
    folder.mkdir(parents=True)
    for number in range(count):
        words = rng.choice(list(TONES), int(rng.integers(1, longest + 1))).tolist()
        texts.append(" ".join(words))
        (folder / f"{number}.wav").write_bytes(wav_bytes(np.rint(tone_string(words, rng)), RATE))
        if not table:
            (folder / f"{number}.txt").write_text(texts[-1] + "\n")
    if table:
        with (folder / "strings.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("file", "text"))
            rows.writerows((f"{number}.wav", text) for number, text in enumerate(texts))
    return texts

"""Folders of small signals that a network can learn to tell apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_signals(folder: Path, count: int, channels: int = 2, length: int = 64, ending: str = ".csv") -> Path:
    """Write slow and fast waves with noise, `count` of each, with a first column of time."""
    rng = np.random.default_rng(0)
    for label, waves in (("slow", 2), ("fast", 6)):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            time = np.linspace(0, 1, length + number % 3)
            phases = rng.uniform(0, 6, channels)
            values = np.sin(2 * np.pi * waves * time[:, None] + phases) + rng.normal(0, 0.3, (len(time), channels))
            path = folder / label / f"{number}{ending}"
            if ending == ".npy":
                np.save(path, values.T)
                continue
            rows = [
                f"{moment:.3f}," + ",".join(f"{value:.4f}" for value in row)
                for moment, row in zip(time, values, strict=True)
            ]
            path.write_text("\n".join(["time," + ",".join(f"c{c}" for c in range(channels)), *rows]) + "\n")
    return folder

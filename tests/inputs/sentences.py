"""Small tables of sentences that a network can learn to tell apart."""

from __future__ import annotations

import csv
import random
from pathlib import Path

WORDS = {"good": ("fine", "great", "lovely"), "bad": ("dull", "awful", "weak")}
OTHERS = ("the film", "this story", "an actor", "the music", "one scene", "it all", "the end", "a plot")


def sentences(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return `count` pairs of a sentence and its label; each sentence occurs once."""
    choose, rows = random.Random(seed), []
    for number in range(count):
        label = ("good", "bad")[number % 2]
        parts = [choose.choice(OTHERS) for _ in range(choose.randrange(1, 4))]
        rows.append((f"{' and '.join(parts)} {choose.choice(WORDS[label])} as number {number}", label))
    return rows


def write_table(path: Path, rows: list[tuple[str, str]], heads: tuple[str, str] = ("text", "label")) -> Path:
    """Write a CSV table of sentences and labels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(heads)
        writer.writerows(rows)
    return path

"""Small tables of images and questions about them, which neither answers alone."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

COLOURS = {"red": (220, 40, 40), "blue": (40, 60, 220)}


def write_images(folder: Path, count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Write images of 16 × 16 pixels, and return the path in `folder` and the colour of each."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images = []
    for number in range(count):
        colour = ("red", "blue")[number % 2]
        pixels = np.clip(np.array(COLOURS[colour]) + rng.integers(-30, 30, (16, 16, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{seed}-{number}.png")
        images.append((f"images/{seed}-{number}.png", colour))
    return images


def questions(folder: Path, count: int, each: int = 2, seed: int = 0) -> list[dict[str, Any]]:
    """Return rows of images with `each` questions; the answer is yes if the question names the image's colour."""
    choose, rows = random.Random(seed), []
    for image, colour in write_images(folder, count, seed):
        for asked in ("red", "blue", *choose.choices(("red", "blue"), k=max(0, each - 2)))[:each]:
            words = choose.choice(("is this image", "is it", "is the whole thing"))
            rows.append({"image": image, "question": f"{words} {asked}?", "answer": ("no", "yes")[asked == colour]})
    return rows


def write_json(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write a list of objects."""
    path.write_text(json.dumps(rows))
    return path


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write a table with a header."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path

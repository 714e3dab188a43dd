"""Images of identities: each has a pattern of its own, which images show shifted, with noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.support import generator

SIDE = 32


def write_people(folder: Path, identities: int = 12, images: int = 6, seed: str = "people") -> Path:
    """Write folders of identities with grey images of 32 × 32 pixels."""
    rng = generator(seed)
    for identity in range(identities):
        pattern = np.kron(rng.integers(40, 216, (4, 4)), np.ones((8, 8)))
        target = folder / f"id{identity:02}"
        target.mkdir(parents=True)
        for number in range(1, images + 1):
            image = np.roll(pattern, rng.integers(-2, 3, 2), (0, 1)) + 12 * rng.standard_normal((SIDE, SIDE))
            pixels = np.clip(image, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(target / f"id{identity:02}_{number:04}.png")
    return folder


def pairs_text(identities: int = 12) -> str:
    """Return two folds of pairs: the first two images of each identity, and first images of neighbours."""
    lines = []
    for fold in (range(identities // 2), range(identities // 2, identities)):
        lines += [f"id{number:02}\t1\t2" for number in fold]
        lines += [f"id{number:02}\t1\tid{(number + 1) % identities:02}\t1" for number in fold]
    return "\n".join([f"2\t{identities // 2}", *lines]) + "\n"

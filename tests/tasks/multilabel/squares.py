"""Generated images: coloured squares on dark noise, each colour in its own corner, or not there."""

from __future__ import annotations

import numpy as np

from opsin.data.dataset import AnnotatedImages, Dataset
from opsin.tasks.multilabel import LabelSets, MultiLabel
from opsin.training import Stage, TrainingPlan

SIDE = 16
TASK = MultiLabel(("red", "green", "blue"))
SHARES = (0.5, 0.3, 0.2)


def images(count: int, seed: int = 0) -> AnnotatedImages:
    """Return images N × 3 × 16 × 16; some have no square, and some all of them."""
    rng = np.random.default_rng(seed)
    matrix = (rng.random((count, len(SHARES))) < SHARES).astype(np.uint8)
    pixels = rng.integers(0, 60, (count, 3, SIDE, SIDE)).astype(np.uint8)
    for image, labels in zip(pixels, matrix, strict=True):
        for label in np.flatnonzero(labels):
            top, left = rng.integers(0, SIDE - 5, 2)
            image[label, top : top + 5, left : left + 5] = 230
    return AnnotatedImages(pixels, LabelSets(matrix), TASK, tuple(f"{number}.png" for number in range(count)))


def dataset(train: int = 192, held_out: int = 64) -> Dataset:
    return Dataset("squares", images(train, 0), images(held_out, 1), True, images(held_out, 2))


def plan(epochs: int, augment: str = "none") -> TrainingPlan:
    stage = Stage(epochs=epochs, batch=16, learning_rate=4e-3, augment=augment)
    return TrainingPlan(network="lenet5", stages=(stage,), ema=0.9)

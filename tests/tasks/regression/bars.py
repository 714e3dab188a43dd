"""Generated images: a bright bar on dark noise; where it is, and how bright, are the numbers."""

from __future__ import annotations

import numpy as np

from opsin.data.dataset import AnnotatedImages, Dataset
from opsin.tasks.regression import Quantities, Regression
from opsin.training import Stage, TrainingPlan

SIDE = 16


def values(count: int, seed: int) -> Quantities:
    """Return places from -1 to 1, and brightness from 100 to 250."""
    rng = np.random.default_rng((seed, 1))
    return Quantities(np.stack([rng.uniform(-1, 1, count), rng.uniform(100, 250, count)], axis=1))


TASK = Regression.of({"labels": ("place", "brightness"), "units": ("m", "")}, values(500, 99))


def images(count: int, seed: int = 0, task: Regression = TASK) -> AnnotatedImages:
    """Return colour images N × 3 × 16 × 16 with the numbers of `task`."""
    rng, targets = np.random.default_rng(seed), values(count, seed)
    pixels = rng.integers(0, 40, (count, 3, SIDE, SIDE)).astype(np.uint8)
    for image, (place, brightness) in zip(pixels, targets.values, strict=True):
        left = round((place + 1) / 2 * (SIDE - 4))
        image[:, :, left : left + 4] = brightness
    columns = [("place", "brightness").index(name) for name in task.labels]
    names = tuple(f"{number}.png" for number in range(count))
    return AnnotatedImages(pixels, Quantities(targets.values[:, columns]), task, names)


def dataset(train: int = 256, held_out: int = 64, task: Regression = TASK) -> Dataset:
    return Dataset(
        "bars", images(train, 0, task), images(held_out, 1, task), True, images(held_out, 2, task)
    )  # fmt: skip


def plan(epochs: int, augment: str = "none", flip: bool | None = None) -> TrainingPlan:
    stage = Stage(epochs=epochs, batch=16, learning_rate=4e-3, augment=augment, flip=flip)
    return TrainingPlan(network="lenet5", stages=(stage,), ema=0.9)

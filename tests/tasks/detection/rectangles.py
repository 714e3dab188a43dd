"""Generated images: red and green rectangles on dark noise, one in each half at most."""

from __future__ import annotations

import numpy as np

from opsin.data.dataset import AnnotatedImages, Dataset
from opsin.tasks.detection import Boxes, ImageBoxes, ObjectDetection
from opsin.training import Stage, TrainingPlan

SIDE = 64
TASK = ObjectDetection(("red", "green"))
NETWORK = "fcos_efficientnet_lite0"


def images(count: int, seed: int = 0) -> AnnotatedImages:
    """Return images with the boxes of their rectangles; some have none."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (count, 3, SIDE, SIDE)).astype(np.uint8)
    annotations = []
    for image in pixels:
        boxes, classes = [], []
        for half in range(2):
            width, height = rng.integers(SIDE // 4, SIDE // 2 - 2, 2).tolist()
            left, top = half * SIDE // 2 + int(rng.integers(SIDE // 2 - width)), int(rng.integers(SIDE - height))
            label = int(rng.integers(2))
            if rng.random() < 0.75:
                image[label, top : top + height, left : left + width] = 230
                boxes.append((left / SIDE, top / SIDE, (left + width) / SIDE, (top + height) / SIDE))
                classes.append(label)
        annotations.append(ImageBoxes.of(boxes, classes, (2 * SIDE, 3 * SIDE)))  # as if the images had been stretched
    names = tuple(f"{number}.png" for number in range(count))
    return AnnotatedImages(pixels, Boxes.stack(annotations), TASK, names)


def dataset(train: int = 64, held_out: int = 16) -> Dataset:
    return Dataset("rectangles", images(train, 0), images(held_out, 1), True, images(held_out, 2))


def plan(epochs: int, augment: str = "none", size: int | None = None) -> TrainingPlan:
    stage = Stage(epochs=epochs, batch=8, learning_rate=4e-3, augment=augment, size=size)
    return TrainingPlan(network=NETWORK, stages=(stage,), ema=0.9)

"""Generated images: a bright disc and a dark square on noise."""

from __future__ import annotations

import numpy as np

from opsin import nn
from opsin.data import Dataset
from opsin.data.dataset import AnnotatedImages
from opsin.tasks.segmentation import Masks, SemanticSegmentation

SIDE = 24
CLASSES = ("background", "disc", "square")


def disc_images(count: int, seed: int, classes: tuple[str, ...] = CLASSES) -> AnnotatedImages:
    """Images with a bright disc and, if it is one of the classes, a dark square."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(60, 140, (count, 3, SIDE, SIDE))
    ids = np.zeros((count, SIDE, SIDE), np.uint8)
    y, x = np.mgrid[:SIDE, :SIDE]
    for image, mask in zip(pixels, ids, strict=True):
        (row, column), radius = rng.uniform(5, SIDE - 5, 2), rng.uniform(3, 6)
        disc = (y - row) ** 2 + (x - column) ** 2 < radius**2
        mask[disc] = 1
        image[:, disc] += 100
        if len(classes) > 2:
            top, left = rng.integers(0, SIDE - 6, 2)
            mask[top : top + 6, left : left + 6] = 2
            image[:, top : top + 6, left : left + 6] = rng.integers(0, 50, (3, 6, 6))
    pixels_as_bytes = pixels.clip(0, 255).astype(np.uint8)
    names = tuple(f"{number}.png" for number in range(count))
    return AnnotatedImages(pixels_as_bytes, Masks(ids), SemanticSegmentation(classes), names)


def disc_data(classes: tuple[str, ...] = CLASSES) -> Dataset:
    """48 training images, 12 for validation and 12 for testing."""
    train, validation, test = (disc_images(count, seed, classes) for seed, count in enumerate((48, 12, 12)))
    return Dataset("discs", train, test, predefined_split=True, validation=validation)


def pixel_network(classes: int) -> nn.Layer:
    """Three convolutions that keep the size."""
    return nn.Sequential(
        ("conv1", nn.Conv2d(8, 5, padding=2)), ("relu1", nn.ReLU()), ("conv2", nn.Conv2d(8, 3, padding=1)),
        ("relu2", nn.ReLU()), ("classifier", nn.Conv2d(classes, 1)),
    )  # fmt: skip

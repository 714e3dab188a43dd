"""Objects and outputs of detectors that two libraries make alike, from names and shapes."""

from __future__ import annotations

import numpy as np

from tests.zoo.seeding import Array, numbers

SIDES = {"ssd300_vgg16": 300, "ssdlite320_mobilenet_v3_large": 320}
"""The size of images for default boxes, matching and losses."""
IMAGE_SIZES = {"ssd300_vgg16": (268, 275), "ssdlite320_mobilenet_v3_large": (131, 150)}
"""The size of the image for outputs: not square, and as small as the network takes."""
CLASSES = 4
IMAGES = 3


def image(name: str) -> Array:
    return numbers("pictures", (1, 3, *IMAGE_SIZES[name]))


def objects() -> list[tuple[Array, Array]]:
    """Boxes as shares of the image's sides, and classes from 0, of each image; the last has none."""
    draw = np.random.RandomState(7)
    found = []
    for count in (12, 3, 0):
        corner, size = draw.uniform(0, 0.8, (count, 2)), draw.uniform(0.03, 0.5, (count, 2))
        boxes = np.concatenate([corner, np.minimum(corner + size, 1)], axis=1)
        found.append((boxes, draw.randint(0, CLASSES, count)))
    return found


def outputs(boxes: int) -> tuple[Array, Array]:
    """Logits and offsets of `IMAGES` images."""
    logits = numbers("drawn logits", (IMAGES, boxes, CLASSES + 1), 3)
    return logits, numbers("drawn offsets", (IMAGES, boxes, 4))


def logits() -> Array:
    return numbers("point logits", (3, 7, CLASSES), 4)


def labels() -> Array:
    """0 or 1 for each of the `logits`."""
    return (numbers("point labels", (3, 7, CLASSES)) > 1).astype(np.float64)


def distances() -> tuple[Array, Array]:
    """Two sets of boxes, as distances to four edges."""
    return np.abs(numbers("one", (3, 7, 4))) + 0.1, np.abs(numbers("two", (3, 7, 4))) + 0.1

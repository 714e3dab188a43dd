"""Golden images that a program makes by itself, and the bits of the portable engine for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.backends.portable import compile
from opsin.model import Model

COUNT = 8
MAX_VALUES = 128
"""Values of an output that are compared, at most, evenly spaced."""
MASK = 0xFFFFFFFF


@dataclass(frozen=True, eq=False)
class Goldens:
    """`images` are uint8 N×C×H×W; `outputs` are every `step`-th number of the network's output, float32 N×values."""

    images: NDArray[np.uint8]
    outputs: NDArray[np.float32]
    step: int


def golden_images(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return images of noise, of four ranges of brightness. `golden_image` in `assets/self_test.c` is the same."""
    channels, height, width = shape
    images = np.empty((COUNT, height * width * channels), np.uint8)
    for number in range(COUNT):
        x = 0x9E3779B9 * (number + 1) & MASK
        for place in range(images.shape[1]):
            x ^= x << 13 & MASK
            x ^= x >> 17
            x ^= x << 5 & MASK
            images[number, place] = (x >> 24) >> (number % 4)
    return np.ascontiguousarray(images.reshape(COUNT, height, width, channels).transpose(0, 3, 1, 2))


def make_goldens(model: Model, output: str) -> Goldens:
    """Return the golden images of a model, and the numbers of one of its outputs without test-time augmentation."""
    images = golden_images(model.preprocessing.shape)
    program = compile(model.graph, 1, 1)
    program.load_state(model.state)
    inputs = model.preprocessing.apply(images)
    rows = [program.run(inputs=image[None])[output].reshape(-1) for image in inputs]
    step = -(-rows[0].size // MAX_VALUES)
    return Goldens(images, np.stack([row[::step] for row in rows]), step)

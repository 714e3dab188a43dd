"""Targets and answers drawn on images of a data set, which have the size of the network's input or of the store."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.tasks.drawing import MIN_SIDE
from opsin.tasks.geometry import Geometry
from opsin.tasks.task import Size


def drawing_size(shape: tuple[int, int, int]) -> Size:
    """Return height and width in which what is drawn is legible, for images of `shape` (channels, height, width).

    Smaller images are enlarged by a whole number.
    """
    _, height, width = shape
    factor = max(1, -(-MIN_SIDE // max(height, width)))
    return factor * height, factor * width


def as_image(pixels: NDArray[np.uint8], size: Size) -> Image.Image:
    """Return uint8 C×H×W as an RGB image of `size` (height, width)."""
    image = Image.fromarray(pixels[0] if len(pixels) < 3 else np.ascontiguousarray(pixels[:3].transpose(1, 2, 0)))
    return image.convert("RGB").resize((size[1], size[0]), Image.Resampling.NEAREST)


def draw_truth(task: Any, pixels: NDArray[np.uint8], targets: Any, size: Size) -> Image.Image:
    """Return an image, uint8 C×H×W, in `size` with its targets; `targets` are those of this image alone."""
    geometry = Geometry.resize(1, pixels.shape[1:], size)
    truth = task.truth(task.moved(targets, geometry))[0]
    drawn: Image.Image = task.draw(as_image(pixels, size), truth)
    return drawn

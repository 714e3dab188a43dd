"""Rows of a contact sheet for annotated tasks: images with their targets, as stored and as the network sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.data import Preprocessing, Samples
from opsin.data.augment import Augmentation, Augmenter
from opsin.report.drawing import draw_truth, drawing_size
from opsin.tasks.geometry import Geometry

MAX_DRAWN_ROWS = 6
"""Images shown: the first of each group by which the data is split; of more groups, at even distances."""

DRAWN_VERSIONS = 3
"""Augmented images in each row."""

MAX_DRAWN_WIDTH = 360
"""The largest width of an image in pixels; a legend below it adds to the height."""


@dataclass(frozen=True)
class SheetRow:
    """An image: its name, the stored image, and its augmented versions, each with a caption."""

    name: str
    original: Image.Image
    augmented: list[Image.Image]
    captions: list[str]


def drawn_rows(
    images: Samples, preprocessing: Preprocessing, policy: Augmentation, versions: int = DRAWN_VERSIONS, seed: int = 0
) -> list[SheetRow]:
    """Return some images with their targets, as stored and as the network sees them in `versions` epochs.

    They are not mixed: what is drawn would belong to one of two images.
    """
    chosen = images.take(_choose(images))
    single = replace(policy, mixup=0.0, cutmix=0.0)
    augmenter = Augmenter(single, preprocessing, images.shape[1:], images.task, seed)
    pixels = chosen.pixels[:]
    versions_of = []
    for epoch in range(1, versions + 1):
        values, geometry, _ = augmenter.images(pixels, len(chosen), epoch, 0)
        versions_of.append(_draw(chosen, to_bytes(values, preprocessing), geometry))
    originals = _draw(chosen, pixels, Geometry.resize(len(chosen), images.shape[1:], images.shape[1:]))
    names = chosen.names or [f"image {number + 1:,}" for number in _choose(images).tolist()]
    parts = zip(names, originals, zip(*versions_of, strict=True), strict=True)
    return [SheetRow(name.split("/")[-1], original, list(row), [""] * versions) for name, original, row in parts]


def to_bytes(values: NDArray[np.float32], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Return normalized images N×C×H×W as uint8."""
    scale, shift = (factor.reshape(-1, 1, 1) for factor in preprocessing.scale_and_shift)
    pixels: NDArray[np.uint8] = np.clip(np.rint((values - shift) / scale), 0, 255).astype(np.uint8)
    return pixels


def _choose(images: Samples) -> NDArray[np.intp]:
    _, firsts = np.unique(images.targets.strata(), return_index=True)
    places = np.linspace(0, len(firsts) - 1, min(MAX_DRAWN_ROWS, len(firsts))).astype(np.intp)
    numbers: NDArray[np.intp] = firsts[np.unique(places)]
    return numbers


def _draw(images: Samples, pixels: NDArray[np.uint8], geometry: Geometry) -> list[Image.Image]:
    """Return moved images, uint8 N×C×H×W, with their moved targets."""
    task, size = images.task, drawing_size((pixels.shape[1], *geometry.output_size))
    moved = task.moved(images.targets, geometry)
    drawn = []
    for number, each in enumerate(pixels):
        drawing = draw_truth(task, each, moved.take(np.array([number])), size)
        drawn.append(drawing.resize(_reduced(drawing.size), Image.Resampling.LANCZOS))
    return drawn


def _reduced(size: tuple[int, int]) -> tuple[int, int]:
    """Return width and height, reduced to a width of at most `MAX_DRAWN_WIDTH` and a height of at most twice that."""
    width, height = size
    factor = min(1.0, MAX_DRAWN_WIDTH / width, 2 * MAX_DRAWN_WIDTH / height)
    return max(1, round(factor * width)), max(1, round(factor * height))

"""The sizes of images, which their masks must have."""

from __future__ import annotations

from opsin.tasks.annotations import ImageSize, Problem
from opsin.tasks.segmentation.problems import DAMAGED_IMAGE


def checked_size(path: str, image_size: ImageSize) -> tuple[int, int] | Problem:
    """Return height and width of an image, or the problem."""
    size = image_size(path)
    if size is None or min(size) < 1:
        return Problem(path, "the size of the image cannot be read", DAMAGED_IMAGE)
    height, width = size
    return height, width

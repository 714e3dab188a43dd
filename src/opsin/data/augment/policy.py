"""Which changes are safe for which images: none that would make a 6 a 9, or a left shoe a right one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import UsageError
from opsin.data.augment.augmentation import Augmentation
from opsin.data.dataset import LabeledImages
from opsin.data.preprocessing import Preprocessing

LEVELS = ("none", "light", "strong")

TINY = 64
"""Up to this side, images are shifted as small networks expect it; larger ones are cropped at random."""

SIDES = ("left", "right")
"""Words in a class's name that say that its mirror image is something else."""

SAMPLE, NEARLY = 64, 8
"""Images that are looked at, and how far the channels of a grey one may lie apart (lossy files colour greys)."""


def preset(
    level: str, shape: tuple[int, int, int], classes: Sequence[str] = (), *, grey: bool = False, dark: bool = False
) -> Augmentation:
    """What `level` ("none", "light" or "strong") means for images of `shape` (channels, height, width).

    Images that are grey, by their channels or because `grey` says so, may be writing or drawings: they are shifted,
    turned a little and zoomed, but never mirrored, and on a `dark` background keep their light. Colour images are
    taken for photographs and mirrored, unless the names of `classes` are digits, letters or speak of left and right.
    Nothing is turned by more than 15°. Raises `UsageError` for another level.
    """
    if level not in LEVELS:
        raise UsageError(f"the augmentation must be one of {', '.join(LEVELS)}, not '{level}'")
    if level == "none":
        return Augmentation()
    strong, tiny = level == "strong", max(shape[1:]) <= TINY
    if grey or shape[0] == 1:
        found = Augmentation(shift=0.07, rotation=10, scale=0.1, bilinear=not tiny)
        if strong:
            found = replace(found, shift=0.1, rotation=15, scale=0.15, cutout=0.25)
        light = 0.0 if dark else (0.3 if strong else 0.15)
        return replace(found, brightness=light, contrast=light)
    flip = not _one_sided(classes)
    if tiny:
        if not strong:
            return Augmentation(flip=flip, shift=0.125)
        return Augmentation(
            flip=flip, shift=0.125, rotation=10, scale=0.1, bilinear=True,
            brightness=0.2, contrast=0.2, saturation=0.2, cutout=0.5, mixup=0.2, cutmix=0.3,
        )  # fmt: skip
    if not strong:
        return Augmentation(
            flip=flip, crop_area=0.5, aspect=4 / 3, bilinear=True, brightness=0.15, contrast=0.15, saturation=0.15
        )
    return Augmentation(
        flip=flip, crop_area=0.25, aspect=4 / 3, rotation=10, bilinear=True,
        brightness=0.3, contrast=0.3, saturation=0.3, cutout=0.3, mixup=0.2, cutmix=0.3,
    )  # fmt: skip


def policy_for(
    level: str, images: LabeledImages, preprocessing: Preprocessing, flip: bool | None = None
) -> Augmentation:
    """`preset` for these images; colour files that show only greys count as grey. `flip` says whether images are
    mirrored, where that is known better.
    """
    shape = preprocessing.shape
    grey = level != "none" and _all_grey(images)
    found = preset(level, shape, images.classes, grey=grey, dark=preprocessing.dark_background)
    return found if flip is None else replace(found, flip=flip)


def _one_sided(classes: Sequence[str]) -> bool:
    """Whether the classes' names suggest that a mirror image may be another class, or none."""
    words = [word for name in classes for word in name.lower().replace("_", " ").replace("-", " ").split()]
    signs = sum(len(name.strip()) == 1 or name.strip().isdigit() for name in classes)
    return any(word in SIDES for word in words) or (bool(classes) and 2 * signs >= len(classes))


def _all_grey(images: LabeledImages) -> bool:
    """Whether a sample of the images has next to no colour."""
    if not len(images):
        return False
    chosen = np.unique(np.linspace(0, len(images) - 1, SAMPLE).astype(np.intp))
    pixels: NDArray[np.uint8] = images.pixels[chosen]
    spread = pixels.max(axis=1).astype(np.int16) - pixels.min(axis=1)
    return bool((spread <= NEARLY).mean() > 0.99)

"""Choose augmentations that keep the class of an image: no 6 becomes a 9, and no left shoe a right one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import UsageError
from opsin.data.augment.augmentation import Augmentation
from opsin.data.augment.orientation import has_orientation
from opsin.data.dataset import Samples
from opsin.data.preprocessing import Preprocessing
from opsin.tasks.image_defaults import MAX_SMALL_SIDE
from opsin.tasks.views import ONE_VIEW, Views

LEVELS = ("none", "light", "strong")

SIDES = ("left", "right")
"""Words in the names of classes that mirroring exchanges, such as left and right."""

GREY_SAMPLE = 64
"""Images that are checked for colour."""

MAX_GREY_DIFFERENCE = 8
"""Levels by which the channels of a grey image may differ, since lossy compression adds some colour."""

MIN_GREY_SHARE = 0.99
"""Share of grey pixels above which images count as grey."""


def check_level(level: str) -> None:
    """Raise `UsageError` unless the augmentation has a level of this name."""
    if level not in LEVELS:
        raise UsageError(f"the augmentation must be one of {', '.join(LEVELS)}, not '{level}'")


def preset(
    level: str, shape: tuple[int, int, int], classes: Sequence[str] = (), *, grey: bool = False, dark: bool = False
) -> Augmentation:
    """Return the augmentation of `level` ("none", "light" or "strong") for images of `shape` (channels, height, width).

    Grey images (one channel, or `grey`) may show writing or drawings. They are shifted, rotated and scaled slightly,
    but never mirrored, and their brightness is kept if their background is `dark`. Colour images are assumed to be
    photographs and are mirrored, unless the names of the `classes` are digits or letters, or mention left and right.
    No image is rotated by more than 15°. Raise `UsageError` for an unknown level.
    """
    check_level(level)
    if level == "none":
        return Augmentation()
    is_strong, is_small = level == "strong", max(shape[1:]) <= MAX_SMALL_SIDE
    if grey or shape[0] == 1:
        policy = Augmentation(shift=0.07, rotation=10, scale=0.1, bilinear=not is_small)
        if is_strong:
            policy = replace(policy, shift=0.1, rotation=15, scale=0.15, cutout=0.25)
        amount = 0.0 if dark else (0.3 if is_strong else 0.15)
        return replace(policy, brightness=amount, contrast=amount)
    flip = not _has_orientation(classes)
    if is_small:
        if not is_strong:
            return Augmentation(flip=flip, shift=0.125)
        return Augmentation(
            flip=flip, shift=0.125, rotation=10, scale=0.1, bilinear=True,
            brightness=0.2, contrast=0.2, saturation=0.2, cutout=0.5, mixup=0.2, cutmix=0.3,
        )  # fmt: skip
    if not is_strong:
        return Augmentation(
            flip=flip, crop_area=0.5, aspect=4 / 3, bilinear=True, brightness=0.15, contrast=0.15, saturation=0.15
        )
    return Augmentation(
        flip=flip, crop_area=0.25, aspect=4 / 3, rotation=10, bilinear=True,
        brightness=0.3, contrast=0.3, saturation=0.3, cutout=0.3, mixup=0.2, cutmix=0.3,
    )  # fmt: skip


def dense_preset(level: str, classes: Sequence[str] = (), *, turn: bool = False) -> Augmentation:
    """Return the augmentation of `level` for images of which each pixel has an answer, which follows all changes.

    Colours may therefore vary more than where an image has one class. Images without colour are no exception, nor are
    classes with a digit as name, which is the value of their pixels in masks. Nothing is erased. With `turn`, images
    have no natural orientation and are also turned by multiples of 90°. Raise `UsageError` for an unknown level.
    """
    if preset(level, (3, 224, 224)) == Augmentation():
        return Augmentation()
    is_strong, flip = level == "strong", not _mentions_sides(classes)
    amount = 0.4 if is_strong else 0.3
    return Augmentation(
        flip=flip, quarter_turns=flip and turn, crop_area=0.25 if is_strong else 0.5, aspect=4 / 3, bilinear=True,
        rotation=15 if is_strong else 0, brightness=amount, contrast=amount, saturation=amount, own_contrast=True,
        gamma=0.5,
    )  # fmt: skip


def views_preset(level: str, shape: tuple[int, int, int], *, grey: bool = False) -> Augmentation:
    """Return the augmentation of `level` for several views of an image, which shall be recognised as the same image.

    Views are small sections in other colours: what two of them share is what the image shows (Chen et al., "A simple
    framework for contrastive learning of visual representations", 2020, section 3 and appendix A). Raise `UsageError`
    for an unknown level.
    """
    if preset(level, shape) == Augmentation():
        return Augmentation()
    is_strong, has_colour = level == "strong", shape[0] == 3 and not grey
    amount = 0.4 if is_strong else 0.2
    return Augmentation(
        flip=True, crop_area=0.2 if is_strong else 0.4, aspect=4 / 3, bilinear=True, brightness=amount,
        contrast=amount, own_contrast=True, saturation=amount if has_colour else 0.0, hue=0.1 if has_colour else 0.0,
        grey=(0.2 if is_strong else 0.1) if has_colour else 0.0,
    )  # fmt: skip


def policy_for(
    level: str, images: Samples, preprocessing: Preprocessing, flip: bool | None = None, views: Views = ONE_VIEW
) -> Augmentation:
    """Return the `preset` for these images, without changes that the targets of their task cannot follow.

    Colour files without colour count as grey; `flip` overrides mirroring. `views` are those of a step. Other kinds of
    input have augmentations of their own.
    """
    if images.input is not None:
        check_level(level)
        return images.input.augmentation(level)  # type: ignore[no-any-return]
    if views.count > 1:
        policy = views_preset(level, preprocessing.shape, grey=level != "none" and _all_grey(images))
        return policy if flip is None else replace(policy, flip=flip)
    if views.turned:
        policy = policy_for(level, images, preprocessing, flip)
        return replace(policy, quarter_turns=True, rotation=0.0)
    if images.task.dense:
        turn = level != "none" and flip is not False and not has_orientation(images.pixels)
        policy = dense_preset(level, images.task.labels, turn=turn)
        return policy if flip is None else replace(policy, flip=flip)
    grey = level != "none" and _all_grey(images)
    policy = preset(level, preprocessing.shape, images.task.labels, grey=grey, dark=preprocessing.dark_background)
    if not images.task.mixes:
        policy = replace(policy, mixup=0.0, cutmix=0.0)
    if not images.task.warps:
        policy = replace(policy, flip=False, shift=0.0, rotation=0.0, scale=0.0, crop_area=1.0, aspect=1.0)
    return policy if flip is None else replace(policy, flip=flip)


def _has_orientation(classes: Sequence[str]) -> bool:
    """Return whether the names suggest that a mirror image may belong to another class, or to none."""
    symbols = sum(len(name.strip()) == 1 or name.strip().isdigit() for name in classes)
    return _mentions_sides(classes) or (bool(classes) and 2 * symbols >= len(classes))


def _mentions_sides(classes: Sequence[str]) -> bool:
    """Return whether a name mentions left or right."""
    words = [word for name in classes for word in name.lower().replace("_", " ").replace("-", " ").split()]
    return any(word in SIDES for word in words)


def _all_grey(images: Samples) -> bool:
    """Return whether a sample of the images has almost no colour."""
    if not len(images):
        return False
    sample = np.unique(np.linspace(0, len(images) - 1, GREY_SAMPLE).astype(np.intp))
    pixels: NDArray[np.uint8] = images.pixels[sample]
    difference = pixels.max(axis=1).astype(np.int16) - pixels.min(axis=1)
    return bool((difference <= MAX_GREY_DIFFERENCE).mean() > MIN_GREY_SHARE)

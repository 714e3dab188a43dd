"""Random changes as numbers: for each image a map of places, a change of colours, a box; a function of its place.

Each place in an epoch has random words of its own, by (seed, epoch, place), so that any batch can be made anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.data.augment.augmentation import Augmentation

WORDS = 20
"""Random words of an image; whole counts of the counter."""

FLIP, ROTATION, SCALE, DOWN, ALONG, CROP_AREA, ASPECT, BRIGHTNESS, CONTRAST, SATURATION = range(10)
BOX_Y, BOX_X, KIND, SHARE, MIX_Y, MIX_X = range(10, 16)
"""What each word is for."""

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the brightness that is seen (ITU-R BT.601)."""

Array = NDArray[np.float64]
Boxes = NDArray[np.int32]


@dataclass(frozen=True)
class Frame:
    """Where images come from and go to, in pixels: `source` and `goal` are heights and widths.

    `view` is the share of the source's sides that the whole goal shows when nothing is changed: 1 but where images
    are kept with a margin that testing cuts off.
    """

    source: tuple[int, int]
    goal: tuple[int, int]
    view: tuple[float, float] = (1.0, 1.0)

    @property
    def scales(self) -> tuple[float, float]:
        """Pixels of the source to one of the goal, when nothing is changed."""
        (height, width), (rows, columns) = self.source, self.goal
        return height * self.view[0] / rows, width * self.view[1] / columns


def draw(count: int, seed: int, epoch: int, first: int = 0) -> Array:
    """Numbers in [-1, 1) for the `count` places from `first` on, `WORDS` × count."""
    return (
        random_counter.uniform(count * WORDS, seed, random_counter.AUGMENT, epoch, first * WORDS)
        .reshape(count, WORDS)
        .T
    )


def maps(policy: Augmentation, frame: Frame, random: Array) -> NDArray[np.float32]:
    """The row and the column of the source for each pixel of the goal, as a + b · row + c · column: N × 6."""
    (height, width), (rows, columns) = frame.source, frame.goal
    down, along, shift_y, shift_x = _windows(policy, frame, random)
    angle = random[ROTATION] * policy.rotation * pi / 180
    side = np.where(random[FLIP] < 0, -1.0, 1.0) if policy.flip else 1.0
    cos, sin = np.cos(angle), np.sin(angle)
    row_row, row_column = cos * down, -sin * along * side
    column_row, column_column = sin * down, cos * along * side
    middle_row, middle_column = (rows - 1) / 2, (columns - 1) / 2
    row = (height - 1) / 2 + shift_y - row_row * middle_row - row_column * middle_column
    column = (width - 1) / 2 + shift_x - column_row * middle_row - column_column * middle_column
    return np.stack([row, row_row, row_column, column, column_row, column_column], axis=1).astype(np.float32)


def _windows(policy: Augmentation, frame: Frame, random: Array) -> tuple[Array, Array, Array, Array]:
    """The part of the source that is shown: pixels to one of the goal, down and along, and where its middle lies."""
    (height, width), (down, along) = frame.source, frame.scales
    if policy.crop_area == 1:
        scale = 1 + random[SCALE] * policy.scale
        seen_y, seen_x = height * frame.view[0], width * frame.view[1]
        return down * scale, along * scale, random[DOWN] * policy.shift * seen_y, random[ALONG] * policy.shift * seen_x
    crop_area = policy.crop_area + (1 - policy.crop_area) * (random[CROP_AREA] + 1) / 2
    stretch = np.exp(random[ASPECT] * log(policy.aspect) / 2)
    tall, wide = np.minimum(np.sqrt(crop_area) / stretch, 1), np.minimum(np.sqrt(crop_area) * stretch, 1)
    shift_y, shift_x = random[DOWN] * (1 - tall) * height / 2, random[ALONG] * (1 - wide) * width / 2
    return tall * height / frame.goal[0], wide * width / frame.goal[1], shift_y, shift_x


def colours(policy: Augmentation, channels: int, middle: float, random: Array) -> NDArray[np.float32]:
    """The matrix and the last column of M v + b, for values from 0 to 255: N × channels × (channels + 1).

    Contrast turns around `middle`, the mean of all images.
    """
    light = 1 + random[BRIGHTNESS] * policy.brightness
    contrast = 1 + random[CONTRAST] * policy.contrast
    vivid = 1 + random[SATURATION] * policy.saturation if channels == 3 else np.ones_like(light)
    grey = np.array(LUMA if channels == 3 else (0.0,) * channels)
    mixed = vivid[:, None, None] * np.eye(channels) + (1 - vivid)[:, None, None] * grey
    found = np.empty((len(light), channels, channels + 1), np.float32)
    found[:, :, :-1] = (light * contrast)[:, None, None] * mixed
    found[:, :, -1] = ((1 - contrast) * middle)[:, None]
    return found


def cutouts(policy: Augmentation, goal: tuple[int, int], random: Array) -> Boxes:
    """Boxes without content, i32 N × (top, bottom, left, right); what lies beyond the edge is cut off."""
    side = policy.cutout * min(goal)
    sides = np.full(random.shape[1], side)
    return _boxes(goal, random[BOX_Y], random[BOX_X], sides, sides)


def mixtures(policy: Augmentation, goal: tuple[int, int], random: Array) -> tuple[Array, Boxes]:
    """The share of each image's own that stays where it is blended with another, and the box where it is replaced.

    Shares are 1, and boxes empty, where nothing of the kind happens. Both follow the uniform distribution of the
    papers' α = 1; a box is as large as the share that it replaces, but for what lies beyond the edge.
    """
    kind, share = (random[KIND] + 1) / 2, (random[SHARE] + 1) / 2
    blended = kind < policy.mixup
    replaced = ~blended & (kind < policy.mixup + policy.cutmix)
    side = np.where(replaced, np.sqrt(1 - share), 0.0)
    boxes = _boxes(goal, random[MIX_Y], random[MIX_X], side * goal[0], side * goal[1])
    return np.where(blended, share, 1.0), boxes


def _boxes(goal: tuple[int, int], y: Array, x: Array, height: Array, width: Array) -> Boxes:
    """Boxes of a height and a width around random middles anywhere in the image, as whole numbers within it."""
    edges = []
    for size, middle, side in ((goal[0], y, height), (goal[1], x, width)):
        center = (middle + 1) / 2 * size
        edges += [np.clip(np.rint(center + offset), 0, size) for offset in (-side / 2, side / 2)]
    return np.stack(edges, axis=1).astype(np.int32)

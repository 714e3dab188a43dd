"""Draw the parameters of random changes: for each image an affine map, a colour matrix, a box and a mixture.

The random numbers of an image depend only on the seed, the epoch and its position in the epoch, so any batch can be
reproduced alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.data.augment.augmentation import Augmentation

WORDS = 20
"""Random numbers per image; a multiple of the numbers that one step of the counter gives."""

FLIP, ROTATION, SCALE, SHIFT_Y, SHIFT_X, CROP_AREA, ASPECT, BRIGHTNESS, CONTRAST, SATURATION = range(10)
BOX_Y, BOX_X, MIX_KIND, MIX_SHARE, MIX_Y, MIX_X, TURN, GAMMA, HUE, GREY = range(10, 20)
"""The use of each random number."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luma (ITU-R BT.601)."""

Array = NDArray[np.float64]
Boxes = NDArray[np.int32]


@dataclass(frozen=True)
class Frame:
    """Heights and widths of the stored images (`input_size`) and of the network's images (`output_size`), in pixels.

    `visible` is the share of the input's sides that an unchanged image shows; it is below 1 if images are stored with
    a margin that is cropped in evaluation.
    """

    input_size: tuple[int, int]
    output_size: tuple[int, int]
    visible: tuple[float, float] = (1.0, 1.0)

    @property
    def scales(self) -> tuple[float, float]:
        """Input pixels per output pixel, vertically and horizontally, of an unchanged image."""
        (height, width), (rows, columns) = self.input_size, self.output_size
        return height * self.visible[0] / rows, width * self.visible[1] / columns

    @property
    def is_identity(self) -> bool:
        """Whether an unchanged image is the stored one."""
        return self.input_size == self.output_size and self.visible == (1.0, 1.0)


def uniform(count: int, seed: int, epoch: int, first: int = 0) -> Array:
    """Return numbers in [-1, 1), `WORDS` × count, for the `count` positions of an epoch from `first`."""
    numbers = random_counter.uniform(count * WORDS, seed, random_counter.AUGMENT, epoch, first * WORDS)
    return numbers.reshape(count, WORDS).T


def affine_maps(policy: Augmentation, frame: Frame, random: Array) -> NDArray[np.float32]:
    """Return the input row and column of each output pixel as coefficients of a + b · row + c · column, N × 6."""
    (height, width), (rows, columns) = frame.input_size, frame.output_size
    scale_y, scale_x, shift_y, shift_x = _windows(policy, frame, random)
    angle = random[ROTATION] * policy.rotation * pi / 180
    sign = np.where(random[FLIP] < 0, -1.0, 1.0) if policy.flip else 1.0
    cos, sin = np.cos(angle), np.sin(angle)
    row_row, row_column = cos * scale_y, -sin * scale_x * sign
    column_row, column_column = sin * scale_y, cos * scale_x * sign
    if policy.quarter_turns:
        row_row, row_column = _turned(row_row, row_column, rows / columns, random)
        column_row, column_column = _turned(column_row, column_column, rows / columns, random)
    center_row, center_column = (rows - 1) / 2, (columns - 1) / 2
    row = (height - 1) / 2 + shift_y - row_row * center_row - row_column * center_column
    column = (width - 1) / 2 + shift_x - column_row * center_row - column_column * center_column
    return np.stack([row, row_row, row_column, column, column_row, column_column], axis=1).astype(np.float32)


def _turned(by_row: Array, by_column: Array, ratio: float, random: Array) -> tuple[Array, Array]:
    """Return the coefficients of row and column if the output, of the `ratio` rows / columns, is turned beforehand."""
    turns = np.floor(2 * (random[TURN] + 1)).astype(np.intp)
    cos, sin = np.array((1.0, 0.0, -1.0, 0.0))[turns], np.array((0.0, 1.0, 0.0, -1.0))[turns]
    return by_row * cos + by_column * sin / ratio, by_column * cos - by_row * sin * ratio


def _windows(policy: Augmentation, frame: Frame, random: Array) -> tuple[Array, Array, Array, Array]:
    """Return the scale of the visible window (input per output pixels) and the shift of its centre, y before x."""
    (height, width), (scale_y, scale_x) = frame.input_size, frame.scales
    if policy.crop_area == 1:
        scale = 1 + random[SCALE] * policy.scale
        visible_y, visible_x = height * frame.visible[0], width * frame.visible[1]
        shift_y, shift_x = random[SHIFT_Y] * policy.shift * visible_y, random[SHIFT_X] * policy.shift * visible_x
        return scale_y * scale, scale_x * scale, shift_y, shift_x
    area = policy.crop_area + (1 - policy.crop_area) * (random[CROP_AREA] + 1) / 2
    stretch = np.exp(random[ASPECT] * log(policy.aspect) / 2)
    fraction_y, fraction_x = np.minimum(np.sqrt(area) / stretch, 1), np.minimum(np.sqrt(area) * stretch, 1)
    shift_y, shift_x = random[SHIFT_Y] * (1 - fraction_y) * height / 2, random[SHIFT_X] * (1 - fraction_x) * width / 2
    return fraction_y * height / frame.output_size[0], fraction_x * width / frame.output_size[1], shift_y, shift_x


def gamma_tables(policy: Augmentation, largest: NDArray[np.uint8], random: Array) -> NDArray[np.uint8]:
    """Return the new values of 0 … 255, N × 256, for images with these `largest` values, which do not change."""
    exponents, limits = (1 + policy.gamma) ** random[GAMMA], np.maximum(largest, 1.0)
    shares = np.minimum(np.arange(256) / limits[:, None], 1.0)
    tables: NDArray[np.uint8] = np.rint(shares ** exponents[:, None] * limits[:, None]).astype(np.uint8)
    return tables


def colour_matrices(
    policy: Augmentation, channels: int, mean_value: float | Array, random: Array
) -> NDArray[np.float32]:
    """Return M and b of M v + b, for pixel values v from 0 to 255, N × channels × (channels + 1).

    `mean_value` is the mean of all images, or that of each; contrast scales the distance from it.
    """
    brightness = 1 + random[BRIGHTNESS] * policy.brightness
    contrast = 1 + random[CONTRAST] * policy.contrast
    saturation = 1 + random[SATURATION] * policy.saturation if channels == 3 else np.ones_like(brightness)
    if policy.grey and channels == 3:
        saturation = np.where((random[GREY] + 1) / 2 < policy.grey, 0.0, saturation)
    luma = np.array(LUMA if channels == 3 else (0.0,) * channels)
    mixed = saturation[:, None, None] * np.eye(channels) + (1 - saturation)[:, None, None] * luma
    if policy.hue and channels == 3:
        mixed = mixed @ _hue_turns(random[HUE] * policy.hue * 2 * pi)
    matrices = np.empty((len(brightness), channels, channels + 1), np.float32)
    matrices[:, :, :-1] = (brightness * contrast)[:, None, None] * mixed
    matrices[:, :, -1] = ((1 - contrast) * mean_value)[:, None]
    return matrices


def _hue_turns(angles: Array) -> Array:
    """Return matrices, N × 3 × 3, that turn colours around the grey axis and keep their luma.

    With luma l = w · v, a colour v becomes l + R (v - l), where R is the turn around (1, 1, 1) by Rodrigues' formula,
    made to keep the luma.
    """
    cos, sin = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
    cross = np.array(((0.0, -1.0, 1.0), (1.0, 0.0, -1.0), (-1.0, 1.0, 0.0))) / sqrt(3)
    turns = cos * np.eye(3) + sin * cross + (1 - cos) / 3
    luma = np.tile(np.array(LUMA), (3, 1))
    return np.asarray(luma + (np.eye(3) - luma) @ turns @ (np.eye(3) - luma))


def cutout_boxes(policy: Augmentation, size: tuple[int, int], random: Array) -> Boxes:
    """Return boxes to erase in images of `size`, int32 N × (top, bottom, left, right), clipped at the edges."""
    side = policy.cutout * min(size)
    sides = np.full(random.shape[1], side)
    return _boxes(size, random[BOX_Y], random[BOX_X], sides, sides)


def mixtures(policy: Augmentation, size: tuple[int, int], random: Array) -> tuple[Array, Boxes]:
    """Return the share of each image that remains when it is blended (Mixup), and the box to replace (CutMix).

    The share is 1 and the box empty for images that are not mixed. Both shares follow the uniform distribution, the
    papers' α = 1; a box covers the share that it replaces, except for the part beyond the edge.
    """
    kind, share = (random[MIX_KIND] + 1) / 2, (random[MIX_SHARE] + 1) / 2
    blended = kind < policy.mixup
    replaced = ~blended & (kind < policy.mixup + policy.cutmix)
    side = np.where(replaced, np.sqrt(1 - share), 0.0)
    boxes = _boxes(size, random[MIX_Y], random[MIX_X], side * size[0], side * size[1])
    return np.where(blended, share, 1.0), boxes


def _boxes(size: tuple[int, int], y: Array, x: Array, height: Array, width: Array) -> Boxes:
    """Return boxes of a height and a width with random centers (-1 to 1 across the image), in whole pixels."""
    edges = []
    for length, position, side in ((size[0], y, height), (size[1], x, width)):
        center = (position + 1) / 2 * length
        edges += [np.clip(np.rint(center + offset), 0, length) for offset in (-side / 2, side / 2)]
    return np.stack(edges, axis=1).astype(np.int32)

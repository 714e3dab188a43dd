"""Small random shifts, turns and changes of size, so that a network learns what they do not change.

Every distortion is a table of pixel numbers made once: the pixel of the output that stands at
(y, x) is copied from the nearest one of the input. Applying it is one gather for a whole batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import pi

import numpy as np
from numpy.typing import NDArray

from opsin.data import counter

TABLES = 1024
"""Distortions to draw from."""


@dataclass(frozen=True)
class Augmentation:
    """Limits of the distortions of pictures of `height`×`width`.

    `shift` is a share of the side, `turn` an angle in degrees, `zoom` a share of the size.
    """

    height: int
    width: int
    seed: int = 0
    shift: float = 0.07
    turn: float = 10.0
    zoom: float = 0.1

    @cached_property
    def tables(self) -> NDArray[np.intp]:
        """Source pixel of each output pixel, `TABLES` × (height · width). Beyond the edge, the edge repeats."""
        random = counter.uniform(4 * TABLES, self.seed, counter.TABLE).reshape(4, TABLES, 1, 1)
        angle, scale = random[0] * self.turn * pi / 180, 1 + random[1] * self.zoom
        center_y, center_x = (self.height - 1) / 2, (self.width - 1) / 2
        y, x = np.mgrid[: self.height, : self.width].astype(np.float64)
        y, x = (y - center_y)[None], (x - center_x)[None]
        from_y = (np.cos(angle) * y - np.sin(angle) * x) * scale + center_y + random[2] * self.shift * self.height
        from_x = (np.sin(angle) * y + np.cos(angle) * x) * scale + center_x + random[3] * self.shift * self.width
        rows = np.clip(np.rint(from_y), 0, self.height - 1)
        columns = np.clip(np.rint(from_x), 0, self.width - 1)
        tables: NDArray[np.intp] = (rows * self.width + columns).astype(np.intp).reshape(TABLES, -1)
        return tables

    def draw(self, count: int, epoch: int) -> NDArray[np.intp]:
        """The number of a distortion for each of `count` pictures in this epoch."""
        return (counter.words(count, self.seed, counter.AUGMENT, epoch) % TABLES).astype(np.intp)

    def apply(self, pixels: NDArray[np.uint8], choice: NDArray[np.intp]) -> NDArray[np.uint8]:
        """uint8 N×C×H×W distorted by the `choice` (N) of tables."""
        count, channels = pixels.shape[:2]
        first = np.arange(count * channels).reshape(count, channels, 1) * (self.height * self.width)
        moved: NDArray[np.uint8] = pixels.take(self.tables[choice][:, None] + first).reshape(pixels.shape)
        return moved

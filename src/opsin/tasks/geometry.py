"""How images are moved on their way into a network, so that boxes, masks and points can follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Geometry:
    """The affine maps of N images of `input_size` to images of `output_size` (height, width in pixels).

    `maps` are those of `opsin.data.augment.draw.affine_maps`, N × 6: the centre of the output pixel (row, column) lies
    at the input row a + b · row + c · column and the input column d + e · row + f · column.
    """

    input_size: tuple[int, int]
    output_size: tuple[int, int]
    maps: NDArray[Any]

    def __len__(self) -> int:
        return len(self.maps)

    @classmethod
    def resize(cls, count: int, input_size: tuple[int, int], output_size: tuple[int, int]) -> Geometry:
        """Return the maps of `count` images that are only resized."""
        scale_y, scale_x = input_size[0] / output_size[0], input_size[1] / output_size[1]
        row = ((scale_y - 1) / 2, scale_y, 0.0, (scale_x - 1) / 2, 0.0, scale_x)
        return cls(input_size, output_size, np.tile(np.array(row), (count, 1)))

    def take(self, rows: NDArray[np.intp] | slice) -> Geometry:
        """Return the maps of some images."""
        return Geometry(self.input_size, self.output_size, self.maps[rows])

    @property
    def mirrored(self) -> NDArray[np.bool_]:
        """Whether each image is mirrored (N)."""
        _, b, c, _, e, f = self.maps.T
        mirrored: NDArray[np.bool_] = b * f - c * e < 0
        return mirrored

    @property
    def quarter_turns(self) -> NDArray[np.int32]:
        """The multiple of 90°, 0 to 3, by which each image is turned to the left (N), after mirroring."""
        _, by_row, by_column, *_ = self.maps.T
        upright = np.abs(by_row) >= np.abs(by_column)
        return np.asarray(np.where(upright, np.where(by_row >= 0, 0, 2), np.where(by_column > 0, 1, 3)), np.int32)

    def forward(self, image: NDArray[np.intp], points: Floats) -> Floats:
        """Map points of the input to the output.

        `points` are M × (x, y) as shares of the input's width and height, from its left and upper edges; `image` are
        the numbers of the images that they belong to. The result has the same form, relative to the output.
        """
        (height, width), (rows, columns) = self.input_size, self.output_size
        a, b, c, d, e, f = self.maps[image].astype(np.float64).T
        down, right = points[:, 1] * height - 0.5 - a, points[:, 0] * width - 0.5 - d
        determinant = b * f - c * e
        row, column = (f * down - c * right) / determinant, (b * right - e * down) / determinant
        return np.stack([(column + 0.5) / columns, (row + 0.5) / rows], axis=1)

    def sources(self, image: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
        """Return the nearest input row and column of each output pixel, and whether it lies inside the input.

        The arrays are output height × width; positions outside are clipped to the edge.
        """
        (height, width), (rows, columns) = self.input_size, self.output_size
        a, b, c, d, e, f = self.maps[image].astype(np.float64)
        y, x = np.arange(rows)[:, None], np.arange(columns)[None]
        row = np.floor(a + b * y + c * x + 0.5).astype(np.intp)
        column = np.floor(d + e * y + f * x + 0.5).astype(np.intp)
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return row.clip(0, height - 1), column.clip(0, width - 1), inside

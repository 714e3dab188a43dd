"""Resizing whose pixels are bit-identical in all exports: by a kernel that is built for the portable target.

The tables of a filter are computed in float64 with single operations in a fixed order, and rounded to float32 at the
end. Every language that follows IEEE 754 computes equal ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.base.concurrency import locked_cache
from opsin.data.machine_code import kernel_address
from opsin.kernels.ir import PORTABLE
from opsin.kernels.resize import CHANNELS, ResizeSeparable
from opsin.kernels.spec import KERNEL_FUNCTION

MAX_ASPECT = 16
"""Largest ratio of the longer to the shorter side; of a longer image, the centre is used."""

SUPPORTS = {"bilinear": 1.0, "bicubic": 2.0}
"""Input pixels on each side of the centre that a filter reads, to be multiplied by the scale when shrinking."""

LANES = PORTABLE.lanes


@dataclass(frozen=True)
class Axis:
    """Of the part of an axis of `size` pixels that starts at `first`, resized by the factor 1 / `scale`, the `count`
    pixels from number `offset` on."""

    size: int
    first: float
    scale: float
    count: int
    offset: int = 0

    def table(self, interpolation: str) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the first input pixel and the filter weights of each output pixel.

        The filters are those of Pillow, which are widened when shrinking; bicubic is that of Keys (1981) with a = -1/2.
        """
        support, stretch = SUPPORTS[interpolation], max(self.scale, 1.0)
        centers = self.first + (np.arange(self.offset, self.offset + self.count) + 0.5) * self.scale
        starts = np.maximum((centers - support * stretch + 0.5).astype(np.int64), 0)
        stops = np.minimum((centers + support * stretch + 0.5).astype(np.int64), self.size)
        taps = int((stops - starts).max())
        starts = np.minimum(starts, self.size - taps)
        pixels = starts[:, None] + np.arange(taps)
        x = np.abs(pixels - centers[:, None] + 0.5) / stretch
        if interpolation == "bilinear":
            weights = 1 - x
        else:
            weights = np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2)
        weights[(x >= support) | (pixels >= stops[:, None])] = 0
        weights /= np.cumsum(weights, axis=1)[:, -1:]  # a sum from the left, whatever the number of terms
        return starts.astype(np.int32), weights.astype(np.float32)


@dataclass(frozen=True)
class Frame:
    """The part of an image that becomes the input of a network, and how it is resized."""

    rows: Axis
    columns: Axis
    interpolation: str

    def apply(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the resized part of a grey or RGB image, uint8 C × rows × columns.

        Raise `CompileError` without llvmlite, or on a processor that is not supported.
        """
        height, width = self.rows.count, self.columns.count
        row_starts, row_weights = _padded(*self.rows.table(self.interpolation), max(height, LANES))
        column_starts, column_weights = _padded(*self.columns.table(self.interpolation), -(-width // 4) * 4)
        stride = max(image.width, LANES)
        left = min(int(column_starts[0]), stride - LANES)
        reach = max(LANES, int(column_starts[-1]) + column_weights.shape[1] - left)
        words = _words(image, stride)
        result = np.empty((CHANNELS, len(row_starts), len(column_starts)), np.uint8)
        scratch = np.empty(CHANNELS * LANES * reach, np.float32)
        arrays = (result, row_starts, row_weights, column_starts - np.int32(left), column_weights)
        sizes = (stride, reach, *result.shape[1:], row_weights.shape[1], column_weights.shape[1])
        arguments = np.array([words.ctypes.data + 4 * left, *(a.ctypes.data for a in arrays), *sizes], np.int64)
        KERNEL_FUNCTION(_kernel())(arguments.ctypes.data, 0, -(-len(row_starts) // LANES), scratch.ctypes.data)
        return np.ascontiguousarray(result[: len(image.getbands()), :height, :width])


def fitted(size: tuple[int, int], height: int, width: int) -> Frame:
    """Return the largest centred part with the aspect ratio of `height` × `width`, bicubic."""
    rows, columns = size
    box_width, box_height = min(columns, rows * width / height), min(rows, columns * height / width)
    return Frame(
        Axis(rows, (rows - box_height) / 2, box_height / height, height),
        Axis(columns, (columns - box_width) / 2, box_width / width, width),
        "bicubic",
    )


def stretched(size: tuple[int, int], height: int, width: int, interpolation: str) -> Frame:
    """Return the whole image, whatever its aspect ratio."""
    rows, columns = (Axis(old, 0.0, old / new, new) for old, new in zip(size, (height, width), strict=True))
    return Frame(rows, columns, interpolation)


def cropped(size: tuple[int, int], height: int, width: int, resize: int, interpolation: str) -> Frame:
    """Return the centre after the shorter side was resized to `resize` pixels; see `Crop`."""
    shorter = min(size)
    rows, columns = (_centre(side, shorter, resize, count) for side, count in zip(size, (height, width), strict=True))
    return Frame(rows, columns, interpolation)


def _centre(side: int, shorter: int, resize: int, count: int) -> Axis:
    limited = min(side, MAX_ASPECT * shorter)
    first = (side - limited) // 2
    resized = resize if limited == shorter else int(resize * limited / shorter)
    return Axis(side, first, limited / resized, count, round((resized - count) / 2))


def _padded(
    starts: NDArray[np.int32], weights: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return a table of `count` entries, the last one repeated."""
    indices = np.minimum(np.arange(count), len(starts) - 1)
    return starts[indices], np.ascontiguousarray(weights[indices])


def _words(image: Image.Image, stride: int) -> NDArray[np.uint8]:
    """Return the pixels as height × `stride` × 4 bytes: red, green, blue and zero, or grey and zeros."""
    pixels = np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
    words = np.zeros((image.height, stride, 4), np.uint8)
    words[:, : image.width, : pixels.shape[2]] = pixels
    return words


@locked_cache()
def _kernel() -> int:
    """Return the address of the kernel's machine code."""
    return kernel_address(ResizeSeparable(), PORTABLE)[0]

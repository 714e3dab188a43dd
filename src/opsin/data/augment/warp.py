"""Transform, recolour and normalize images in one pass of machine code; without llvmlite, normalize them in NumPy."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import CompileError, ShapeError
from opsin.data.augment.draw import Frame
from opsin.data.machine_code import has_compiler, kernel_address
from opsin.kernels.spec import KERNEL_FUNCTION
from opsin.kernels.warp import Warp


class Transform(Protocol):
    """Maps uint8 N×C×H×W to float32 N×C×height×width, where height and width are `output_size`.

    The memory layout of the result is N×height×width×C. `maps` and `colours` are those of `draw.affine_maps` and
    `draw.colour_matrices`; the pixels in `boxes` become 0.
    """

    def __call__(
        self,
        pixels: NDArray[np.uint8],
        output_size: tuple[int, int],
        maps: NDArray[np.float32],
        colours: NDArray[np.float32],
        boxes: NDArray[np.int32],
    ) -> NDArray[np.float32]: ...


class Warper:
    """A `Transform` by the `Warp` kernel; `scale` and `shift` (float32, one per channel) normalize pixel values.

    Calls release the global interpreter lock and may come from several threads. Raise `CompileError` if there is no
    machine code for this processor.
    """

    def __init__(self, scale: NDArray[np.float32], shift: NDArray[np.float32], *, bilinear: bool, colour: bool) -> None:
        self.scale_and_shift = scale, shift
        self._function = KERNEL_FUNCTION(kernel_address(Warp(len(scale), bilinear, colour))[0])

    def __call__(
        self,
        pixels: NDArray[np.uint8],
        output_size: tuple[int, int],
        maps: NDArray[np.float32],
        colours: NDArray[np.float32],
        boxes: NDArray[np.int32],
    ) -> NDArray[np.float32]:
        count, channels, height, width = pixels.shape
        check_pixels(pixels, len(self.scale_and_shift[0]))  # machine code would read beyond the array
        result = np.empty((count, *output_size, channels), np.float32)
        arrays = [pixels, result, maps, colours, boxes, *self.scale_and_shift]
        contiguous = [np.ascontiguousarray(array) for array in arrays]
        words = np.array([*(array.ctypes.data for array in contiguous), height, width, *output_size], np.int64)
        self._function(words.ctypes.data, 0, count, None)
        return result.transpose(0, 3, 1, 2)


class Normalizer:
    """A `Transform` that only normalizes, in NumPy. It is bit-identical to `Warper` for identity maps."""

    def __init__(self, scale: NDArray[np.float32], shift: NDArray[np.float32]) -> None:
        self.scale_and_shift = scale, shift

    def __call__(
        self,
        pixels: NDArray[np.uint8],
        output_size: tuple[int, int],
        maps: NDArray[np.float32],
        colours: NDArray[np.float32],
        boxes: NDArray[np.int32],
    ) -> NDArray[np.float32]:
        scale, shift = self.scale_and_shift
        check_pixels(pixels, len(scale))
        result: NDArray[np.float32] = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1), np.float32)
        result *= scale
        result += shift
        return result.transpose(0, 3, 1, 2)


def check_pixels(pixels: NDArray[np.uint8], channel_count: int) -> None:
    """Raise `ShapeError` unless these are bytes with the expected number of channels."""
    channels, height, width = pixels.shape[1:]
    if channels != channel_count or pixels.dtype != np.uint8:
        raise ShapeError(
            f"images of {channel_count} channels of bytes were expected, "
            f"not {pixels.dtype} {channels} × {height} × {width}"
        )


def transform(
    scale: NDArray[np.float32], shift: NDArray[np.float32], frame: Frame, *, unchanged: bool, bilinear: bool,
    colour: bool,
) -> Transform:  # fmt: skip
    """Return the kernel, or without llvmlite NumPy code if images are `unchanged` apart from normalization.

    Raise `CompileError` if they are not.
    """
    if has_compiler():
        return Warper(scale, shift, bilinear=bilinear, colour=colour)
    if unchanged and frame.is_identity:
        return Normalizer(scale, shift)
    (height, width), (rows, columns) = frame.input_size, frame.output_size
    task = f"resizing batches from {height} × {width} to {rows} × {columns}" if unchanged else "augmentation"
    raise CompileError(
        f"{task} needs llvmlite; install it with: pip install llvmlite, or train without augmentation on images that "
        "are loaded at the network's size"
    )

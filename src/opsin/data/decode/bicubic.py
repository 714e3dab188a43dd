"""Pillow's bicubic resampling as machine code, several times as fast.

The pixels of a Pillow image are read in place through the Arrow C data interface, which Pillow has since version 11.2
(https://arrow.apache.org/docs/format/CDataInterface.html). Older versions copy them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.base.concurrency import locked_cache
from opsin.base.errors import CompileError
from opsin.data.machine_code import kernel_address
from opsin.kernels.resize import CHANNELS, ResizeSeparable
from opsin.kernels.spec import KERNEL_FUNCTION

SUPPORT = 2.0
"""Input pixels on each side of the centre that the filter reads, to be multiplied by the scale when shrinking."""

MAX_COPIED_BYTES = 2**26
"""Pillow resizes larger images whose pixels are not contiguous in memory, because copying them takes memory."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom of the part to resize, in pixels, possibly fractional."""


def resize_bicubic(image: Image.Image, box: Box, height: int, width: int) -> NDArray[np.uint8] | None:
    """Return the part of an RGB image in `box` as uint8 3×`height`×`width`; None if the kernel does not support it."""
    kernel, lanes = _kernel()
    column_starts, column_weights = _table(image.width, box[0], box[2], width)
    row_starts, row_weights = _table(image.height, box[1], box[3], height)
    left, right = int(column_starts[0]), int(column_starts[-1]) + column_weights.shape[1]
    if not kernel or image.mode != "RGB" or width % 4 or height < lanes or right - left < lanes:
        return None
    if 4 * image.width * image.height > MAX_COPIED_BYTES:
        return None
    address, owner = _pixel_address(image)
    column_starts = column_starts - np.int32(left)
    result = np.empty((CHANNELS, height, width), np.uint8)
    scratch = np.empty(CHANNELS * lanes * (right - left), np.float32)
    arrays = (result, row_starts, row_weights, column_starts, column_weights)
    sizes = (image.width, right - left, height, width, row_weights.shape[1], column_weights.shape[1])
    words = np.array([address + 4 * left, *(array.ctypes.data for array in arrays), *sizes], np.int64)
    kernel(words.ctypes.data, 0, -(-height // lanes), scratch.ctypes.data)
    del owner
    return result


@lru_cache(maxsize=4096)
def _table(size: int, first: float, last: float, count: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the first input pixel and the filter weights of each of `count` output pixels.

    The output covers `first` to `last` of `size` input pixels. The filter is that of Keys (1981), "Cubic convolution
    interpolation", with a = -1/2; like Pillow's, it is widened when shrinking.
    """
    scale = (last - first) / count
    stretch = max(scale, 1.0)
    centers = first + (np.arange(count) + 0.5) * scale
    starts = np.maximum((centers - SUPPORT * stretch + 0.5).astype(np.int64), 0)
    stops = np.minimum((centers + SUPPORT * stretch + 0.5).astype(np.int64), size)
    taps = int((stops - starts).max())
    starts = np.minimum(starts, size - taps)
    pixels = starts[:, None] + np.arange(taps)
    x = np.abs(pixels - centers[:, None] + 0.5) / stretch
    weights = np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2)
    weights[(x >= 2) | (pixels >= stops[:, None])] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    return starts.astype(np.int32), np.ascontiguousarray(weights, np.float32)


@locked_cache()
def _kernel() -> tuple[Callable[[int, int, int, int], None] | None, int]:
    """Return the kernel and its number of lanes; the kernel is None without llvmlite or on an unsupported processor."""
    try:
        address, lanes = kernel_address(ResizeSeparable())
    except CompileError:
        return None, 1
    return KERNEL_FUNCTION(address), lanes


class _Arrow(ctypes.Structure):
    """`struct ArrowArray`."""


_Arrow._fields_ = [
    ("length", ctypes.c_int64), ("null_count", ctypes.c_int64), ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64), ("n_children", ctypes.c_int64), ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Arrow))), ("dictionary", ctypes.c_void_p),
    ("release", ctypes.c_void_p), ("private_data", ctypes.c_void_p),
]  # fmt: skip

_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def _pixel_address(image: Image.Image) -> tuple[int, Any]:
    """Return the address of the pixels, four bytes each, and an object that must be kept alive while it is used."""
    if hasattr(image, "__arrow_c_array__"):
        try:
            capsules = image.__arrow_c_array__()
        except ValueError:  # large images consist of several blocks
            pass
        else:
            array = _Arrow.from_address(_pointer(capsules[1], b"arrow_array"))
            child = array.children[0].contents
            if child.length == 4 * image.width * image.height and not child.offset:
                return int(child.buffers[1]), capsules
    copied = np.frombuffer(image.tobytes("raw", "RGBX"), np.uint8)
    return copied.ctypes.data, copied

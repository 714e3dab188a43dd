"""The machine code that moves, colours and normalises images in one sweep."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ShapeError
from opsin.data.machine_code import compiled
from opsin.kernels.warp import Warp

FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)


class Warper:
    """A `Warp` kernel for a normalisation, `scale` and `shift` float32 a channel; `CompileError` without machine code.

    Calls leave Python's lock to others, and may come from several threads.
    """

    def __init__(
        self, scale: NDArray[np.float32], shift: NDArray[np.float32], *, bilinear: bool, changes_colour: bool
    ) -> None:
        self.factors = scale, shift
        spec = Warp(len(scale), bilinear, changes_colour)
        self._function = FUNCTION(compiled(spec)[0])

    def __call__(
        self,
        pixels: NDArray[np.uint8],
        goal: tuple[int, int],
        maps: NDArray[np.float32],
        colours: NDArray[np.float32],
        boxes: NDArray[np.int32],
    ) -> NDArray[np.float32]:
        """uint8 N×C×H×W → float32 N×C×height×width of `goal`, which lie in memory as N×height×width×C."""
        count, channels, height, width = pixels.shape
        if channels != len(self.factors[0]) or pixels.dtype != np.uint8:  # machine code would read beyond them
            raise ShapeError(
                f"images of {len(self.factors[0])} channels of bytes were expected, not {pixels.dtype} "
                f"{channels} × {height} × {width}"
            )
        shown = np.empty((count, *goal, channels), np.float32)
        arrays = [pixels, shown, maps, colours, boxes, *self.factors]
        given = [np.ascontiguousarray(array) for array in arrays]
        words = np.array([*(array.ctypes.data for array in given), height, width, *goal], np.int64)
        self._function(words.ctypes.data, 0, count, None)
        return shown.transpose(0, 3, 1, 2)

"""Preprocessing inside an ONNX file: images as bytes become the numbers that the network takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.interop.onnx.encoding import FLOAT
from opsin.interop.onnx.operators import NodeWriter

IMAGE_CHANNELS = (1, 3, 4)
"""Numbers of channels of images whose bytes lie in the order rows, columns, channels, as image libraries have them."""


@dataclass(frozen=True, eq=False)
class ByteInput:
    """Pixel values v, 0 to 255, become v · `scale` + `shift`, both float32 by channel.

    Images whose border pixels are lighter on average than `light_border` are inverted first; None: no images are.
    Before, `resize` writes the resizing of images of any size, uint8 N × C × H × W, to whole numbers as float32; None:
    the images have the network's size.
    """

    scale: NDArray[np.float32]
    shift: NDArray[np.float32]
    light_border: float | None = None
    resize: Callable[[NodeWriter, str], str] | None = None

    @property
    def channels_last(self) -> bool:
        """Whether the input is N × H × W × C; stacks of frames stay N × C × H × W."""
        return len(self.scale) in IMAGE_CHANNELS

    def shape(self, shape: Sequence[Any]) -> tuple[Any, ...]:
        """Return the shape of the input for a network that takes `shape`, N × C × H × W."""
        batch, channels, height, width = shape
        if self.resize is not None:
            height, width = "height", "width"
        return (batch, height, width, channels) if self.channels_last else (batch, channels, height, width)


def write_byte_input(w: NodeWriter, preparation: ByteInput, images: str) -> str:
    """Write the preprocessing of the input `images`; return the name of its result, float32 N × C × H × W."""
    values = w.emit("Transpose", [images], {"perm": [0, 3, 1, 2]}) if preparation.channels_last else images
    values = preparation.resize(w, values) if preparation.resize else w.emit("Cast", [values], {"to": FLOAT})
    if preparation.light_border is not None:
        values = _invert_light(w, values, preparation.light_border)
    scale, shift = (w.constant(array.reshape(-1, 1, 1)) for array in (preparation.scale, preparation.shift))
    return w.emit("Add", [w.emit("Mul", [values, scale]), shift])


def _invert_light(w: NodeWriter, values: str, light_border: float) -> str:
    """Write 255 - v for images whose border, the first and last rows and columns, is lighter than `light_border`."""
    means = []
    for axis in (2, 3):
        ends = w.emit("Gather", [values, w.constant([0, -1], np.int64)], {"axis": axis})
        means.append(w.emit("ReduceMean", [ends], {"axes": [1, 2, 3], "keepdims": 1}))
    is_light = w.emit("Greater", [w.emit("Add", means), w.constant(2 * light_border)])
    return w.emit("Where", [is_light, w.emit("Sub", [w.constant(255.0), values]), values])

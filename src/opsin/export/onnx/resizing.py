"""Resizing inside an ONNX file: images of any size become images of the network's size.

ONNX's Resize has neither the filter nor the frame of `opsin.data.decode.portable`: the part of an image that is used
may begin between two pixels. The file therefore computes the tables of the filter, operation by operation in float64,
as two matrices, and multiplies the rows and then the columns of an image by them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opsin.data.decode import Crop, Stretch
from opsin.data.decode.portable import MAX_ASPECT, SUPPORTS
from opsin.interop.onnx import NodeWriter
from opsin.interop.onnx.encoding import DOUBLE, FLOAT

Framing = Crop | Stretch | None


def write_resizing(w: NodeWriter, images: str, framing: Framing, height: int, width: int) -> str:
    """Write the resizing of `images`, uint8 N × C × H × W, to `height` × `width`; return the name of the result.

    The result is whole numbers from 0 to 255 as float32. `framing` is that of a preprocessing.
    """
    a = _Arithmetic(w)
    shape = w.emit("Cast", [w.emit("Shape", [images])], {"to": DOUBLE})
    rows, columns = (w.emit("Gather", [shape, w.constant(axis, np.int64)], {"axis": 0}) for axis in (2, 3))
    match framing:
        case Crop():
            axes = _crop(a, rows, columns, height, width, framing.resize)
        case Stretch():
            axes = _whole(a, (rows, columns), (rows, columns), (height, width))
        case None:
            box_height = a("Min", rows, a("Div", a("Mul", columns, float(height)), float(width)))
            box_width = a("Min", columns, a("Div", a("Mul", rows, float(width)), float(height)))
            axes = _whole(a, (rows, columns), (box_height, box_width), (height, width))
    interpolation = framing.interpolation if framing else "bicubic"
    by_rows, by_columns = (axis.matrix(a, interpolation) for axis in axes)
    values = w.emit("MatMul", [by_rows, w.emit("Cast", [images], {"to": FLOAT})])
    values = w.emit("MatMul", [values, w.emit("Transpose", [by_columns], {"perm": [1, 0]})])
    rounded = w.emit("Floor", [w.emit("Add", [values, w.constant(0.5)])])
    return w.emit("Clip", [rounded, w.constant(0.0), w.constant(255.0)])


Number = str | float
Pair = tuple[str, str]


class _Arithmetic:
    """Writer of operators on float64 numbers, which are names of values or constants."""

    def __init__(self, w: NodeWriter) -> None:
        self.w = w

    def __call__(self, op: str, *operands: Number) -> str:
        names = [each if isinstance(each, str) else self.w.constant(each, np.float64) for each in operands]
        return self.w.emit(op, names)

    def total(self, op: str, first: Number, *rest: Number) -> str:
        """Write an operation on several operands, from the left."""
        result = first
        for each in rest:
            result = self(op, result, each)
        return str(result)


@dataclass(frozen=True)
class _Axis:
    """An axis of an image of `size` pixels; see `opsin.data.decode.portable.Axis`."""

    size: Number
    first: Number
    scale: Number
    count: int
    offset: Number = 0.0

    def matrix(self, a: _Arithmetic, interpolation: str) -> str:
        """Write the weights of the pixels of the axis, `count` × `size` float32."""
        support, w = SUPPORTS[interpolation], a.w
        numbers = w.constant(np.arange(self.count, dtype=np.float64)[:, None], np.float64)
        centers = a("Add", a("Mul", a("Add", a("Add", numbers, self.offset), 0.5), self.scale), self.first)
        stretch = a("Max", self.scale, 1.0)
        stops = a("Min", a("Floor", a.total("Add", centers, a("Mul", support, stretch), 0.5)), self.size)
        pixels = a("Range", 0.0, self.size, 1.0)
        x = a("Div", a("Abs", a("Add", a("Sub", pixels, centers), 0.5)), stretch)
        inside = w.emit("And", [a("Less", x, support), a("Less", pixels, stops)])
        weights = a("Mul", _filter(a, x, interpolation), w.emit("Cast", [inside], {"to": DOUBLE}))
        total = w.emit("ReduceSum", [weights, w.constant([1], np.int64)], {"keepdims": 1})
        return w.emit("Cast", [a("Div", weights, total)], {"to": FLOAT})


def _filter(a: _Arithmetic, x: str, interpolation: str) -> str:
    """Write the weight of a pixel at the distance `x` from the centre; bicubic as of Keys (1981) with a = -1/2."""
    if interpolation == "bilinear":
        return a("Sub", 1.0, x)
    near = a("Add", a.total("Mul", a("Sub", a("Mul", 1.5, x), 2.5), x, x), 1.0)
    far = a("Sub", a("Mul", a("Add", a("Mul", -0.5, x), 2.5), x), 4.0)
    return a("Where", a("Less", x, 1.0), near, a("Add", a("Mul", far, x), 2.0))


def _whole(a: _Arithmetic, sides: Pair, boxes: Pair, counts: tuple[int, int]) -> list[_Axis]:
    """Return the axes of the centred part with the sides `boxes`."""
    return [
        _Axis(side, a("Div", a("Sub", side, box), 2.0), a("Div", box, float(count)), count)
        for side, box, count in zip(sides, boxes, counts, strict=True)
    ]


def _crop(a: _Arithmetic, rows: str, columns: str, height: int, width: int, resize: int) -> list[_Axis]:
    """Return the axes of the centre after the shorter side was resized to `resize` pixels."""
    shorter, axes = a("Min", rows, columns), []
    longest = a("Mul", shorter, float(MAX_ASPECT))
    for side, count in ((rows, height), (columns, width)):
        limited = a("Min", side, longest)
        resized = a("Floor", a("Div", a("Mul", limited, float(resize)), shorter))
        first = a("Floor", a("Div", a("Sub", side, limited), 2.0))
        offset = a("Round", a("Div", a("Sub", resized, float(count)), 2.0))
        axes.append(_Axis(side, first, a("Div", limited, resized), count, offset))
    return axes

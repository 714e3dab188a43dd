"""Images at another size.

Each axis is resampled by a matrix of its own, which follows from ONNX's definition of the coordinates. Where it is the
matrix of one of our modes, `resample2d` does it; otherwise a matrix product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from opsin import ops
from opsin.interop.onnx.call import Array, ConstantValue, OnnxCall, Unsupported
from opsin.interop.onnx.rules.shapes import size_of
from opsin.interop.onnx.rules.table import rule
from opsin.ir import Dim, Tensor, product

MOST_PLACES = 4096
"""Along an axis, before or after."""


@dataclass(frozen=True)
class Manner:
    """How new places lie among the old ones, and what they take of them."""

    mode: str
    coordinates: str
    nearest: str
    cubic: float

    def weights(self, source: int, size: int, scale: float) -> Array:
        """`size` × `source`: what each new place takes of each old one."""
        if max(source, size) > MOST_PLACES:
            raise Unsupported(f"resizing {source:,} places to {size:,}")
        at = self._centres(source, size, scale)
        if self.mode == "nearest":
            nearest = self._rounded(at).clip(0, source - 1)
            return np.asarray(nearest[:, None] == np.arange(source), np.float64)
        if self.mode == "linear":
            return np.maximum(0.0, 1.0 - np.abs(at.clip(0, source - 1)[:, None] - np.arange(source)))
        result = np.zeros((size, source))
        first = np.floor(at)
        for tap in range(-1, 3):
            column = (first + tap).clip(0, source - 1).astype(int)
            np.add.at(result, (np.arange(size), column), self._bell(at - (first + tap)))
        return result

    def _centres(self, source: int, size: int, scale: float) -> Array:
        place = np.arange(size, dtype=np.float64)
        match self.coordinates:
            case "pytorch_half_pixel" if size == 1:
                return np.zeros(1)
            case "half_pixel" | "pytorch_half_pixel":
                return (place + 0.5) / scale - 0.5
            case "half_pixel_symmetric":
                adjustment = size / (scale * source)
                return source / 2 * (1 - adjustment) + (place + 0.5) / scale - 0.5
            case "align_corners":
                return place * (source - 1) / max(size - 1, 1)
            case "asymmetric":
                return place / scale
        raise Unsupported(f"coordinate_transformation_mode {self.coordinates!r}")

    def _rounded(self, at: Array) -> Array:
        match self.nearest:
            case "round_prefer_floor":
                return np.ceil(at - 0.5)
            case "round_prefer_ceil":
                return np.floor(at + 0.5)
            case "floor":
                return np.floor(at)
            case "ceil":
                return np.ceil(at)
        raise Unsupported(f"nearest_mode {self.nearest!r}")

    def _bell(self, distance: Array) -> Array:
        """Keys's cubic kernel (1981)."""
        d, a = np.abs(distance), self.cubic
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


@rule("Resize")
def _resize(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    call.ignore("extrapolation_value")
    if call.whole("antialias", 0) or call.whole("exclude_outside", 0):
        raise Unsupported("antialias or exclude_outside")
    if call.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Unsupported("a keep_aspect_ratio_policy other than 'stretch'")
    manner = Manner(
        _mode(call),
        call.text("coordinate_transformation_mode", "half_pixel" if call.opset > 10 else "asymmetric"),
        call.text("nearest_mode", "round_prefer_floor" if call.opset > 10 else "floor"),
        call.real("cubic_coeff_a", -0.75),
    )
    axes = [axis % x.rank for axis in call.wholes("axes", range(x.rank)) or ()]
    if call.has(3) and call.known(3).size:
        sizes = call.sizes(3)
        if len(axes) == x.rank:
            sizes = call.batched(sizes, x)
        return _resampled(call, manner, {}, dict(zip(axes, sizes, strict=True)))
    scales = call.known(2 if call.opset > 10 else 1).reshape(-1).tolist()
    return _resampled(call, manner, dict(zip(axes, scales, strict=True)), {})


@rule("Upsample")
def _upsample(call: OnnxCall) -> Tensor:
    manner = Manner(_mode(call), "asymmetric", "floor", -0.75)
    given = call.attribute("scales")
    known = call.known(1).reshape(-1).tolist() if call.has(1) else given if isinstance(given, tuple) else ()
    return _resampled(call, manner, {axis: float(scale) for axis, scale in enumerate(known)}, {})


def _mode(call: OnnxCall) -> str:
    mode = call.text("mode", "nearest")
    if mode not in ("nearest", "linear", "bilinear", "cubic", "bicubic"):
        raise Unsupported(f"the mode {mode!r}")
    return mode.removeprefix("bi")


def _resampled(call: OnnxCall, manner: Manner, scales: dict[int, float], sizes: dict[int, Dim]) -> Tensor:
    """The images N × C × H × W, with each of their axes brought to a size if there are `sizes`, otherwise scaled."""
    x, pairs = call.tensor(0), {}
    for axis in range(x.rank):
        if sizes.get(axis, x.shape[axis]) == x.shape[axis] and scales.get(axis, 1.0) == 1:
            continue
        if x.rank != 4 or axis < 2:
            raise Unsupported(f"it resizes other axes than rows and columns of images; its operand is {x.type}")
        source, scale = size_of(x, axis), scales.get(axis, 0.0)
        size = sizes[axis] if sizes else math.floor(source * scale)
        if not isinstance(size, int) or size < 1:
            raise Unsupported(f"it resizes an axis of {source} to {size}")
        pairs[axis] = manner.weights(source, size, scale or size / source)
    if not pairs:
        return x
    rows, columns = (pairs.get(axis, np.eye(size_of(x, axis))) for axis in (2, 3))
    for mode in ("nearest", "bilinear", "bilinear_corners"):
        known = [ops.axis_weights(mode, matrix.shape[1], matrix.shape[0]) for matrix in (rows, columns)]
        if all(np.abs(a - b).max() < 1e-6 for a, b in zip(known, (rows, columns), strict=True)):
            return ops.resample2d(x, (len(rows), len(columns)), mode)
    for axis, matrix in pairs.items():
        x = _multiplied(call, x, axis, matrix)
    return x


def _multiplied(call: OnnxCall, x: Tensor, axis: int, matrix: Array) -> Tensor:
    """`x` with each of its lines along `axis`, rows (2) or columns (3), multiplied by `matrix`."""
    last = ops.transpose(x, (0, 1, 3, 2)) if axis == 2 else x
    weights = call.reader.variable(ConstantValue(matrix, f"{call.node.outputs[0]}.axis{axis}"), trainable=False)
    lines = ops.reshape(last, (product(last.shape[:3]), last.shape[3]))
    y = ops.reshape(ops.matmul(lines, weights, transpose_b=True), (*last.shape[:3], len(matrix)))
    return ops.transpose(y, (0, 1, 3, 2)) if axis == 2 else y

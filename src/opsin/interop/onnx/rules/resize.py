"""Import rules of Resize and Upsample.

An interpolation matrix, which follows from ONNX's coordinate transformation, resamples each axis. If the matrices are
those of a mode of `resample2d`, this operation is used; otherwise matrix products are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from opsin import ops
from opsin.interop.onnx.call import Array, ConstantValue, OnnxCall, UnsupportedError
from opsin.interop.onnx.rules.registry import rule
from opsin.interop.onnx.rules.shapes import size_of
from opsin.ir import Dim, Tensor, product

MAX_AXIS_SIZE = 4096
"""Limit of the size of an axis, before and after resizing."""


@dataclass(frozen=True)
class Interpolation:
    """The interpolation attributes of Resize."""

    mode: str
    coordinate_transformation_mode: str
    nearest_mode: str
    cubic_coeff_a: float

    def matrix(self, input_size: int, size: int, scale: float) -> Array:
        """Return the interpolation weights, `size` × `input_size`, of each input element for each output element."""
        if max(input_size, size) > MAX_AXIS_SIZE:
            raise UnsupportedError(f"resizing an axis of size {input_size:,} to {size:,}")
        x = self._coordinates(input_size, size, scale)
        if self.mode == "nearest":
            indices = self._round(x).clip(0, input_size - 1)
            return np.asarray(indices[:, None] == np.arange(input_size), np.float64)
        if self.mode == "linear":
            return np.maximum(0.0, 1.0 - np.abs(x.clip(0, input_size - 1)[:, None] - np.arange(input_size)))
        result = np.zeros((size, input_size))
        first = np.floor(x)
        for tap in range(-1, 3):
            column = (first + tap).clip(0, input_size - 1).astype(int)
            np.add.at(result, (np.arange(size), column), self._cubic(x - (first + tap)))
        return result

    def _coordinates(self, input_size: int, size: int, scale: float) -> Array:
        """Return the input coordinate of each output element."""
        index = np.arange(size, dtype=np.float64)
        match self.coordinate_transformation_mode:
            case "pytorch_half_pixel" if size == 1:
                return np.zeros(1)
            case "half_pixel" | "pytorch_half_pixel":
                return (index + 0.5) / scale - 0.5
            case "half_pixel_symmetric":
                adjustment = size / (scale * input_size)
                return input_size / 2 * (1 - adjustment) + (index + 0.5) / scale - 0.5
            case "align_corners":
                return index * (input_size - 1) / max(size - 1, 1)
            case "asymmetric":
                return index / scale
        raise UnsupportedError(f"coordinate_transformation_mode {self.coordinate_transformation_mode!r}")

    def _round(self, x: Array) -> Array:
        match self.nearest_mode:
            case "round_prefer_floor":
                return np.ceil(x - 0.5)
            case "round_prefer_ceil":
                return np.floor(x + 0.5)
            case "floor":
                return np.floor(x)
            case "ceil":
                return np.ceil(x)
        raise UnsupportedError(f"nearest_mode {self.nearest_mode!r}")

    def _cubic(self, distance: Array) -> Array:
        """Evaluate the cubic convolution kernel (Keys, 1981)."""
        d, a = np.abs(distance), self.cubic_coeff_a
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


@rule("Resize")
def _resize(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    call.ignore("extrapolation_value")
    if call.attr_int("antialias", 0) or call.attr_int("exclude_outside", 0):
        raise UnsupportedError("antialias or exclude_outside")
    if call.attr_string("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise UnsupportedError("a keep_aspect_ratio_policy other than 'stretch'")
    interpolation = Interpolation(
        _mode(call),
        call.attr_string("coordinate_transformation_mode", "half_pixel" if call.opset > 10 else "asymmetric"),
        call.attr_string("nearest_mode", "round_prefer_floor" if call.opset > 10 else "floor"),
        call.attr_float("cubic_coeff_a", -0.75),
    )
    axes = [axis % x.rank for axis in call.attr_ints("axes", range(x.rank)) or ()]
    if call.has(3) and call.constant(3).size:
        sizes = call.sizes(3)
        if len(axes) == x.rank:
            sizes = call.free_batch(sizes, x)
        return _resample(call, interpolation, {}, dict(zip(axes, sizes, strict=True)))
    scales = call.constant(2 if call.opset > 10 else 1).reshape(-1).tolist()
    return _resample(call, interpolation, dict(zip(axes, scales, strict=True)), {})


@rule("Upsample")
def _upsample(call: OnnxCall) -> Tensor:
    interpolation = Interpolation(_mode(call), "asymmetric", "floor", -0.75)
    attribute = call.attribute("scales")
    constant = attribute if isinstance(attribute, tuple) else ()
    scales = call.constant(1).reshape(-1).tolist() if call.has(1) else constant
    return _resample(call, interpolation, {axis: float(scale) for axis, scale in enumerate(scales)}, {})


def _mode(call: OnnxCall) -> str:
    mode = call.attr_string("mode", "nearest")
    if mode not in ("nearest", "linear", "bilinear", "cubic", "bicubic"):
        raise UnsupportedError(f"the mode {mode!r}")
    return mode.removeprefix("bi")


def _resample(call: OnnxCall, interpolation: Interpolation, scales: dict[int, float], sizes: dict[int, Dim]) -> Tensor:
    """Resize the images, N × C × H × W, to `sizes`, or by `scales` if there are none; both are by axis."""
    x, matrices = call.tensor(0), {}
    for axis in range(x.rank):
        if sizes.get(axis, x.shape[axis]) == x.shape[axis] and scales.get(axis, 1.0) == 1:
            continue
        if x.rank != 4 or axis < 2:
            raise UnsupportedError(
                f"it resizes axes other than the rows and columns of images; its operand is {x.type}"
            )
        input_size, scale = size_of(x, axis), scales.get(axis, 0.0)
        size = sizes[axis] if sizes else math.floor(input_size * scale)
        if not isinstance(size, int) or size < 1:
            raise UnsupportedError(f"it resizes an axis of size {input_size} to {size}")
        matrices[axis] = interpolation.matrix(input_size, size, scale or size / input_size)
    if not matrices:
        return x
    rows, columns = (matrices.get(axis, np.eye(size_of(x, axis))) for axis in (2, 3))
    for mode in ("nearest", "bilinear", "bilinear_corners"):
        candidates = [ops.axis_weights(mode, matrix.shape[1], matrix.shape[0]) for matrix in (rows, columns)]
        if all(np.abs(a - b).max() < 1e-6 for a, b in zip(candidates, (rows, columns), strict=True)):
            return ops.resample2d(x, (len(rows), len(columns)), mode)
    for axis, matrix in matrices.items():
        x = _multiply_axis(call, x, axis, matrix)
    return x


def _multiply_axis(call: OnnxCall, x: Tensor, axis: int, matrix: Array) -> Tensor:
    """Multiply `x` by `matrix` along `axis`, 2 or 3."""
    axis_last = ops.transpose(x, (0, 1, 3, 2)) if axis == 2 else x
    weights = call.context.variable(ConstantValue(matrix, f"{call.node.outputs[0]}.axis{axis}"), trainable=False)
    matrix_rows = ops.reshape(axis_last, (product(axis_last.shape[:3]), axis_last.shape[3]))
    y = ops.reshape(ops.matmul(matrix_rows, weights, transpose_b=True), (*axis_last.shape[:3], len(matrix)))
    return ops.transpose(y, (0, 1, 3, 2)) if axis == 2 else y

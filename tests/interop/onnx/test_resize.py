"""Tests of Resize and Upsample against loops over the elements, with ONNX's coordinate transformations."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.interop.onnx.support import Array, import_error, network, run
from tests.interop.onnx.writer import File, op_file, random

X = random(2, 3, 6, 5).astype(np.float64)
SHAPE = X.shape[1:]
EMPTY_ROI = np.zeros(0, np.float32)

COORDINATES = {
    "half_pixel": lambda index, scale, source, size: (index + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda index, scale, source, size: (index + 0.5) / scale - 0.5 if size > 1 else 0.0,
    "half_pixel_symmetric": lambda index, scale, source, size: (
        source / 2 * (1 - size / (scale * source)) + (index + 0.5) / scale - 0.5
    ),
    "align_corners": lambda index, scale, source, size: index * (source - 1) / (size - 1) if size > 1 else 0.0,
    "asymmetric": lambda index, scale, source, size: index / scale,
}
ROUNDING = {
    "round_prefer_floor": lambda x: math.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: math.floor(x + 0.5),
    "floor": math.floor,
    "ceil": math.ceil,
}


def interpolate(values: Array, x: float, mode: str, nearest: str) -> Array:
    """Return `values`, interpolated at the coordinate `x` along the first axis."""
    last = len(values) - 1
    if mode == "nearest":
        return np.asarray(values[min(max(ROUNDING[nearest](x), 0), last)])
    first = math.floor(x)
    if mode == "linear":
        low, high = (min(max(index, 0), last) for index in (first, first + 1))
        return np.asarray(values[low] * (1 - (x - first)) + values[high] * (x - first))
    t, a = x - first, -0.75
    weights = [
        ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a,
        ((a + 2) * t - (a + 3)) * t * t + 1,
        ((a + 2) * (1 - t) - (a + 3)) * (1 - t) ** 2 + 1,
        ((a * (2 - t) - 5 * a) * (2 - t) + 8 * a) * (2 - t) - 4 * a,
    ]
    taps = [values[min(max(first + tap, 0), last)] for tap in range(-1, 3)]
    return np.asarray(sum(weight * tap for weight, tap in zip(weights, taps, strict=True)))


def resize(x: Array, sizes: tuple[int, int], scales: tuple[float, float], coordinates: str, **options: str) -> Array:
    for axis, size, scale in zip((2, 3), sizes, scales, strict=True):
        lines = np.moveaxis(x, axis, 0)
        positions = [COORDINATES[coordinates](index, scale, len(lines), size) for index in range(size)]
        x = np.moveaxis(np.stack([interpolate(lines, position, **options) for position in positions]), 0, axis)
    return x


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("sizes", [(12, 10), (9, 4), (1, 7)])
def test_sizes(coordinates: str, mode: str, sizes: tuple[int, int], tmp_path: Path) -> None:
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates}
    file = op_file("Resize", SHAPE, None, None, np.array([1, 3, *sizes]), **attributes)
    file.inputs = {"x": (1, *SHAPE)}  # The sizes contain the fixed batch size 1.
    (y,) = run(file, tmp_path, X)
    scales = (sizes[0] / 6, sizes[1] / 5)
    expected = resize(X, sizes, scales, coordinates, mode=mode, nearest="round_prefer_floor")
    assert y.shape == expected.shape
    assert np.allclose(y, expected, atol=1e-6)


@pytest.mark.parametrize("nearest", ROUNDING)
@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric"])
def test_scales_and_rounding(nearest: str, coordinates: str, tmp_path: Path) -> None:
    attributes = {"coordinate_transformation_mode": coordinates, "nearest_mode": nearest}
    (y,) = run(op_file("Resize", SHAPE, EMPTY_ROI, np.array([1, 1, 2.5, 0.7], np.float32), **attributes), tmp_path, X)
    expected = resize(X, (15, 3), (2.5, 0.7), coordinates, mode="nearest", nearest=nearest)
    assert np.allclose(y, expected, atol=1e-6)


def test_axes(tmp_path: Path) -> None:
    file = op_file("Resize", SHAPE, None, None, np.array([9, 10]), opset=18, mode="linear", axes=[2, 3])
    (y,) = run(file, tmp_path, X)
    assert np.allclose(y, resize(X, (9, 10), (1.5, 2), "half_pixel", mode="linear", nearest=""), atol=1e-6)


@pytest.mark.parametrize(
    "file",
    [
        op_file("Upsample", SHAPE, np.array([1, 1, 2, 3], np.float32), opset=9, mode="linear"),
        op_file("Upsample", SHAPE, opset=7, mode="linear", scales=[1.0, 1.0, 2.0, 3.0]),
        op_file("Resize", SHAPE, np.array([1, 1, 2, 3], np.float32), opset=10, mode="linear"),
    ],
)
def test_older_opsets(file: File, tmp_path: Path) -> None:
    (y,) = run(file, tmp_path, X)
    assert np.allclose(y, resize(X, (12, 15), (2, 3), "asymmetric", mode="linear", nearest=""), atol=1e-6)


@pytest.mark.parametrize(
    ("attributes", "mode"),
    [
        ({"mode": "nearest"}, "nearest"),
        ({"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, "nearest"),
        ({"mode": "linear"}, "bilinear"),
        ({"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}, "bilinear"),
        ({"mode": "linear", "coordinate_transformation_mode": "align_corners"}, "bilinear_corners"),
    ],
)
def test_resample2d_is_used_if_it_is_equal(attributes: dict[str, Any], mode: str, tmp_path: Path) -> None:
    net = network(op_file("Resize", SHAPE, EMPTY_ROI, np.array([1, 1, 2, 2], np.float32), **attributes), tmp_path)
    (node,) = (node for node in net.graph.nodes if node.op.name != "input")
    assert (node.op.name, node.attrs["mode"], net.state) == ("resample2d", mode, {})


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({"antialias": 1}, "antialias or exclude_outside"),
        ({"mode": "lanczos"}, "the mode 'lanczos'"),
        ({"coordinate_transformation_mode": "tf_crop_and_resize"}, "mode 'tf_crop_and_resize'"),
        ({"nearest_mode": "up"}, "nearest_mode 'up'"),
        ({"keep_aspect_ratio_policy": "not_larger"}, "a keep_aspect_ratio_policy other than 'stretch'"),
    ],
)
def test_unsupported(attributes: dict[str, Any], text: str, tmp_path: Path) -> None:
    file = op_file("Resize", SHAPE, EMPTY_ROI, np.array([1, 1, 2, 2], np.float32), opset=18, **attributes)
    assert text in import_error(file, tmp_path)


def test_unsupported_sizes(tmp_path: Path) -> None:
    scales = np.array([1, 2, 2, 2], np.float32)
    assert "it resizes axes other than the rows and columns" in import_error(
        op_file("Resize", SHAPE, EMPTY_ROI, scales), tmp_path
    )
    scales = np.array([1, 1, 1e6, 1], np.float32)
    assert "resizing an axis of size 6 to 6,000,000" in import_error(
        op_file("Resize", SHAPE, EMPTY_ROI, scales), tmp_path
    )
    assert "to 0" in import_error(op_file("Resize", SHAPE, EMPTY_ROI, np.array([1, 1, 0.1, 1], np.float32)), tmp_path)

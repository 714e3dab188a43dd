"""Tests of convolution and pooling with all padding and stride attributes of ONNX."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin.interop.onnx.network import Network
from tests.interop.onnx.support import Array, import_error, network, run
from tests.interop.onnx.writer import File, op_file, random

X = random(2, 4, 7, 8).astype(np.float64)
SHAPE = X.shape[1:]
Pair = tuple[int, int]
Sides = tuple[int, int, int, int]
"""Top, left, bottom, right: the order of ONNX's `pads`."""


def pad(x: Array, pads: Sides, fill: float = 0.0) -> Array:
    top, left, bottom, right = pads
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)


def windows(x: Array, kernel: tuple[int, int], stride: tuple[int, int]) -> Iterator[tuple[int, int, Array]]:
    for i, top in enumerate(range(0, x.shape[2] - kernel[0] + 1, stride[0])):
        for j, left in enumerate(range(0, x.shape[3] - kernel[1] + 1, stride[1])):
            yield i, j, x[:, :, top : top + kernel[0], left : left + kernel[1]]


def convolve(x: Array, w: Array, stride: tuple[int, int], groups: int = 1) -> Array:
    rows, columns = ((x.shape[2 + a] - w.shape[2 + a]) // stride[a] + 1 for a in (0, 1))
    y = np.zeros((len(x), len(w), rows, columns))
    depth, group_size = w.shape[1], len(w) // groups
    for i, j, patch in windows(x, w.shape[2:], stride):
        for k in range(len(w)):
            group = k // group_size
            y[:, k, i, j] = (patch[:, group * depth : (group + 1) * depth] * w[k]).sum((1, 2, 3))
    return y


W, B = random(6, 4, 3, 3, seed=1), random(6, seed=2)


@pytest.mark.parametrize(
    ("attributes", "pads", "stride"),
    [
        ({}, (0, 0, 0, 0), (1, 1)),
        ({"pads": [1, 2, 0, 1], "strides": [2, 1]}, (1, 2, 0, 1), (2, 1)),
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (1, 0, 1, 1), (2, 2)),
        ({"auto_pad": "SAME_LOWER", "strides": [2, 2]}, (1, 1, 1, 0), (2, 2)),
        ({"auto_pad": "VALID", "strides": [1, 3], "kernel_shape": [3, 3]}, (0, 0, 0, 0), (1, 3)),
    ],
)
def test_convolution(attributes: dict[str, Any], pads: Sides, stride: tuple[int, int], tmp_path: Path) -> None:
    (y,) = run(op_file("Conv", SHAPE, W, B, **attributes), tmp_path, X)
    expected = convolve(pad(X, pads), W, stride) + B[:, None, None]
    assert y.shape == expected.shape
    assert np.allclose(y, expected, atol=1e-6)


def test_dilation_and_groups(tmp_path: Path) -> None:
    w = random(6, 2, 2, 3, seed=3)
    (y,) = run(op_file("Conv", SHAPE, w, group=2, dilations=[2, 1]), tmp_path, X)
    dilated_kernel = np.zeros((6, 2, 3, 3))
    dilated_kernel[:, :, ::2] = w
    assert np.allclose(y, convolve(X, dilated_kernel, (1, 1), groups=2), atol=1e-6)


def layers(net: Network) -> list[str]:
    return [node.op.name for node in net.graph.nodes]


def test_pad_is_merged_into_convolution(tmp_path: Path) -> None:
    file = File(inputs={"x": ("n", *SHAPE)}, weights={"p": np.array([0, 0, 1, 0, 0, 0, 2, 1]), "w": W})
    file.add("Pad", "x p", "f").add("Conv", "f w", "y", pads=[0, 1, 0, 0])
    assert "pad" not in layers(network(file, tmp_path))
    (y,) = run(file, tmp_path, X)
    assert np.allclose(y, convolve(pad(X, (1, 1, 2, 1)), W, (1, 1)), atol=1e-6)


def test_pad_before_same_padding_is_kept(tmp_path: Path) -> None:
    file = File(inputs={"x": ("n", *SHAPE)}, weights={"p": np.array([0, 0, 1, 0, 0, 0, 2, 1]), "w": W})
    file.add("Pad", "x p", "f").add("Conv", "f w", "y", auto_pad="SAME_UPPER", strides=[2, 2])
    assert "pad" in layers(network(file, tmp_path))
    (y,) = run(file, tmp_path, X)
    assert np.allclose(y, convolve(pad(pad(X, (1, 0, 2, 1)), (0, 1, 1, 1)), W, (2, 2)), atol=1e-6)


def conv_transpose(x: Array, w: Array, stride: tuple[int, int]) -> Array:
    """Add each element of x, multiplied by w, to the output, `stride` apart."""
    rows, columns = ((x.shape[2 + a] - 1) * stride[a] + w.shape[2 + a] for a in (0, 1))
    y = np.zeros((len(x), w.shape[1], rows, columns))
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            patch = np.einsum("nc,ckhw->nkhw", x[:, :, i, j], w)
            y[:, :, i * stride[0] : i * stride[0] + w.shape[2], j * stride[1] : j * stride[1] + w.shape[3]] += patch
    return y


@pytest.mark.parametrize(
    ("attributes", "cut"),
    [
        ({}, np.s_[:, :, :, :]),
        ({"pads": [1, 0, 0, 2]}, np.s_[:, :, 1:, :-2]),
        ({"auto_pad": "SAME_UPPER"}, np.s_[:, :, :-1, :-1]),
        ({"auto_pad": "SAME_LOWER"}, np.s_[:, :, 1:, 1:]),
        ({"output_shape": [13, 16]}, np.s_[:, :, 1:-1, 1:]),
        ({"output_shape": [13, 16], "auto_pad": "SAME_UPPER"}, np.s_[:, :, 1:-1, :-1]),
    ],
)
def test_transposed_convolution(attributes: dict[str, Any], cut: Any, tmp_path: Path) -> None:
    w, b = random(4, 5, 3, 3, seed=4), random(5, seed=5)
    (y,) = run(op_file("ConvTranspose", SHAPE, w, b, strides=[2, 2], **attributes), tmp_path, X)
    expected = (conv_transpose(X, w.astype(np.float64), (2, 2)) + b[:, None, None])[cut]
    assert y.shape == expected.shape
    assert np.allclose(y, expected, atol=1e-6)


def test_transposed_convolution_with_output_padding(tmp_path: Path) -> None:
    w = random(4, 5, 3, 3, seed=4)
    (y,) = run(op_file("ConvTranspose", SHAPE, w, strides=[2, 2], output_padding=[1, 0]), tmp_path, X)
    expected = conv_transpose(X, w.astype(np.float64), (2, 2))
    assert y.shape == (2, 5, 16, 17)
    assert np.allclose(y[:, :, :-1], expected, atol=1e-6)
    assert not y[:, :, -1].any()


def pool(x: Array, stride: tuple[int, int], function: Any) -> Array:
    places = {(i, j): function(patch) for i, j, patch in windows(x, (3, 2), stride)}
    rows, columns = (max(place[a] for place in places) + 1 for a in (0, 1))
    y = np.zeros((len(x), x.shape[1], rows, columns))
    for (i, j), value in places.items():
        y[:, :, i, j] = value
    return y


def mean(patch: Array) -> Array:
    return np.asarray(np.nanmean(patch, (2, 3)))


def maximum(patch: Array) -> Array:
    return np.asarray(patch.max((2, 3)))


@pytest.mark.parametrize(
    ("attributes", "pads", "stride"),
    [
        ({}, (0, 0, 0, 0), (1, 1)),
        ({"strides": [2, 2], "pads": [1, 1, 0, 0]}, (1, 1, 0, 0), (2, 2)),
        ({"strides": [3, 3], "ceil_mode": 1}, (0, 0, 2, 0), (3, 3)),
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (1, 0, 1, 0), (2, 2)),
    ],
)
def test_pooling(attributes: dict[str, Any], pads: Sides, stride: tuple[int, int], tmp_path: Path) -> None:
    (y,) = run(op_file("MaxPool", SHAPE, kernel_shape=[3, 2], **attributes), tmp_path, X)
    assert np.array_equal(y, pool(pad(X, pads, -np.inf), stride, maximum))
    (y,) = run(op_file("AveragePool", SHAPE, kernel_shape=[3, 2], **attributes), tmp_path, X)
    assert np.allclose(y, pool(pad(X, pads, np.nan), stride, mean))


def test_count_include_pad(tmp_path: Path) -> None:
    attributes = {"kernel_shape": [3, 2], "pads": [1, 1, 1, 0], "count_include_pad": 1}
    (y,) = run(op_file("AveragePool", SHAPE, **attributes), tmp_path, X)
    assert np.allclose(y, pool(pad(X, (1, 1, 1, 0)), (1, 1), mean))


def test_lp_pool(tmp_path: Path) -> None:
    (y,) = run(op_file("LpPool", SHAPE, kernel_shape=[3, 2], strides=[2, 2]), tmp_path, X)
    assert np.allclose(y, pool(X, (2, 2), lambda patch: np.sqrt((patch**2).sum((2, 3)))))
    (y,) = run(op_file("LpPool", SHAPE, kernel_shape=[3, 2], p=1), tmp_path, X)
    assert np.allclose(y, pool(X, (1, 1), lambda patch: np.abs(patch).sum((2, 3))))


def test_global_pooling(tmp_path: Path) -> None:
    (y,) = run(op_file("GlobalAveragePool", SHAPE), tmp_path, X)
    assert np.allclose(y, X.mean((2, 3), keepdims=True))
    (y,) = run(op_file("GlobalMaxPool", SHAPE), tmp_path, X)
    assert np.array_equal(y, X.max((2, 3), keepdims=True))
    (y,) = run(op_file("GlobalLpPool", SHAPE), tmp_path, X)
    assert np.allclose(y, np.sqrt((X**2).sum((2, 3), keepdims=True)))


def dilated_windows(
    x: Array, kernel: Pair, stride: Pair, dilation: Pair, out: Pair
) -> Iterator[tuple[int, int, Array]]:
    """Yield the elements of each dilated window of an image that is padded to the reach of the windows."""
    for i, j in product(range(out[0]), range(out[1])):
        top, left = i * stride[0], j * stride[1]
        rows, columns = (
            slice(start, start + k * d, d) for start, k, d in zip((top, left), kernel, dilation, strict=True)
        )
        yield i, j, x[:, :, rows, columns]


DILATED_CASES = [
    ((2, 2), (1, 1), (2, 2), (0, 0, 0, 0), 0, (5, 6)),
    ((3, 2), (2, 1), (2, 3), (1, 2, 2, 0), 0, (3, 7)),
    ((2, 3), (2, 3), (3, 1), (0, 1, 1, 1), 1, (3, 3)),
    ((1, 3), (1, 2), (4, 2), (0, 2, 0, 2), 1, (7, 5)),
]


@pytest.mark.parametrize(("kernel", "stride", "dilation", "pads", "ceil", "out"), DILATED_CASES)
def test_pooling_with_dilations(
    kernel: Pair, stride: Pair, dilation: Pair, pads: Sides, ceil: int, out: Pair, tmp_path: Path
) -> None:
    attributes: dict[str, Any] = {
        "kernel_shape": list(kernel), "strides": list(stride), "dilations": list(dilation), "pads": list(pads),
    }  # fmt: skip
    wide_pads = (pads[0], pads[1], pads[2] + 9, pads[3] + 9)
    (y,) = run(op_file("MaxPool", SHAPE, ceil_mode=ceil, **attributes), tmp_path, X)
    expected = np.zeros((*X.shape[:2], *out))
    for i, j, patch in dilated_windows(pad(X, wide_pads, -np.inf), kernel, stride, dilation, out):
        expected[:, :, i, j] = patch.max((2, 3))
    assert np.array_equal(y, expected)
    for count_include_pad in (0, 1):
        frame = pad(np.ones_like(X), pads, float(count_include_pad))
        weights = np.pad(frame, ((0, 0), (0, 0), (0, 9), (0, 9)))
        for (i, j, patch), (_, _, weight_patch) in zip(
            dilated_windows(pad(X, wide_pads), kernel, stride, dilation, out),
            dilated_windows(weights, kernel, stride, dilation, out),
            strict=True,
        ):
            expected[:, :, i, j] = patch.sum((2, 3)) / weight_patch.sum((2, 3))
        (y,) = run(
            op_file("AveragePool", SHAPE, ceil_mode=ceil, count_include_pad=count_include_pad, opset=19, **attributes),
            tmp_path,
            X,
        )
        assert np.allclose(y, expected)


def test_lp_pool_with_dilations(tmp_path: Path) -> None:
    for p in (1, 2, 3, 4):
        (y,) = run(op_file("LpPool", SHAPE, kernel_shape=[2, 2], dilations=[2, 1], p=p, opset=18), tmp_path, X)
        expected = np.zeros((*X.shape[:2], 5, 7))
        for i, j, patch in dilated_windows(X, (2, 2), (1, 1), (2, 1), (5, 7)):
            expected[:, :, i, j] = (np.abs(patch) ** p).sum((2, 3)) ** (1 / p)
        assert np.allclose(y, expected)


LINE = X[:, :, 0]
"""N × C × L."""


@pytest.mark.parametrize(("op", "attributes", "weight"), [
    ("Conv", {"strides": [2], "pads": [1, 2]}, (6, 4, 3)), ("Conv", {"dilations": [2], "group": 2}, (6, 2, 3)),
    ("Conv", {"auto_pad": "SAME_UPPER", "kernel_shape": [3], "strides": [2]}, (6, 4, 3)),
    ("ConvTranspose", {"strides": [2], "pads": [1, 0], "output_padding": [1]}, (4, 5, 3)),
    ("ConvTranspose", {"output_shape": [17], "strides": [2]}, (4, 5, 3)),
    ("MaxPool", {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}, None),
    ("MaxPool", {"kernel_shape": [2], "dilations": [3]}, None), ("GlobalMaxPool", {}, None),
    ("AveragePool", {"kernel_shape": [2], "ceil_mode": 1, "strides": [3]}, None), ("GlobalAveragePool", {}, None),
    ("LpPool", {"kernel_shape": [2]}, None),
])  # fmt: skip
def test_1d_operators_equal_2d_ones_with_one_row(
    op: str, attributes: dict[str, Any], weight: tuple[int, ...] | None, tmp_path: Path
) -> None:
    operands = [] if weight is None else [random(*weight, seed=4)]
    (y,) = run(op_file(op, LINE.shape[1:], *operands, **attributes), tmp_path, LINE)
    longer = {
        key: [0, value[0], 0, value[1]] if key == "pads" else [int(key not in ("output_padding",)), *value]
        for key, value in attributes.items()
        if isinstance(value, list)
    }
    wide = [operand[:, :, None] for operand in operands]
    file = op_file(op, (4, 1, 8), *wide, **{**attributes, **longer})
    (expected,) = run(file, tmp_path, LINE[:, :, None])
    assert np.array_equal(y, expected[:, :, 0])
    if op == "MaxPool" and "pads" in attributes:
        assert np.array_equal(y[..., 1], LINE[..., 1:4].max(-1))


@pytest.mark.parametrize("value", [-np.inf, np.inf, -3.4e38, 1e6])
def test_pad_with_extreme_values(value: float, tmp_path: Path) -> None:
    pads = np.array([0, 0, 1, 2, 0, 0, 3, 0])
    (y,) = run(op_file("Pad", SHAPE, pads, np.float32(value)), tmp_path, X)
    assert np.array_equal(y, pad(X, (1, 2, 3, 0), np.float32(value)))
    file = op_file("Pad", SHAPE, pads, np.float32(value), outputs="p").add("MaxPool", "p", "y", kernel_shape=[2, 2])
    file.outputs = {"y": None}
    (y,) = run(file, tmp_path, X)
    assert np.array_equal(y[:, :, 1, 2], np.maximum.reduce([X[:, :, a, b] for a in (0, 1) for b in (0, 1)]))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (
            op_file("Conv", (4, 9, 8, 7), random(6, 4, 3, 3, 3), auto_pad="SAME_UPPER"),
            "auto_pad of a convolution of clips; export it with explicit pads",
        ),
        (
            op_file("MaxPool", (4, 9, 8, 7), kernel_shape=[2, 2, 2]),
            "it works on 3-dimensional data instead of images",
        ),
        (op_file("Conv", (4, 9), random(6, 4, 3, 3)), "its operand is N × 4 × 9, and its weight 6 × 4 × 3 × 3"),
        (op_file("MaxPool", (4, 9), kernel_shape=[2, 2]), "its kernel_shape are not one number: (2, 2)"),
        (
            op_file("MaxPool", SHAPE, kernel_shape=[2, 2], dilations=[9, 1]),
            "(dilated to 10 × 2) is larger than the padded",
        ),
        (op_file("MaxPool", SHAPE), "its kernel_shape must be two numbers, for rows and columns; they are None"),
        (op_file("MaxPool", SHAPE, kernel_shape=[2, 2], outputs="y z"), "its output 'z'"),
        (op_file("Conv", SHAPE, random(6, 5, 3, 3)), "4 input channels, but the weight 6 × 5 × 3 × 3 expects 5"),
        (
            op_file("Conv", SHAPE, W, kernel_shape=[5, 5]),
            "its kernel_shape (5, 5) differs from that of its weight, (3, 3)",
        ),
        (op_file("Conv", SHAPE, W, strides=[0, 1]), "are not all at least 1"),
        (op_file("Conv", SHAPE, W, pads=[1, 1]), "2 pads for the four sides of an image"),
        (op_file("Conv", SHAPE, W, auto_pad="SAME"), "auto_pad SAME"),
        (op_file("Conv", SHAPE, W, group=1.5), "its attribute 'group' has the wrong type"),
        (op_file("LpPool", SHAPE, kernel_shape=[2, 2], p=0), "the norm of p = 0"),
    ],
)
def test_unsupported(file: File, text: str, tmp_path: Path) -> None:
    assert text in import_error(file, tmp_path)

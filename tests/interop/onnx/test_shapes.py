"""Tests of the shape arithmetic that exporters write, with a free batch size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opsin.ir import BATCH
from tests.interop.onnx.support import import_error, network, run
from tests.interop.onnx.writer import File, op_file, random

SHAPE = (4, 6, 5)
X = random(3, *SHAPE).astype(np.float64)


def shape_file(batch: int | str = "batch", **weights: object) -> File:
    arrays = {key: np.array(value) for key, value in weights.items()}
    return File(inputs={"x": (batch, *SHAPE)}, weights=arrays)


def test_flatten_from_pytorch(tmp_path: Path) -> None:
    """x.view(x.size(0), -1) gathers the batch size from the shape and concatenates it with -1."""
    file = shape_file(zero=0, rest=[-1], first=[0])
    file.add("Shape", "x", "s").add("Gather", "s zero", "n", axis=0).add("Unsqueeze", "n first", "n1")
    file.add("Concat", "n1 rest", "shape", axis=0).add("Reshape", "x shape", "y")
    net = network(file, tmp_path)
    assert net.graph.outputs["y"].shape == (BATCH, 120)
    assert [node.op.name for node in net.graph.nodes] == ["input", "reshape"]
    assert np.array_equal(run(file, tmp_path, X)[0], X.reshape(3, 120))


def test_channel_shuffle_with_sizes_from_the_shape(tmp_path: Path) -> None:
    file = shape_file(two=2, i0=0, i1=1, i2=2, i3=3, axis=[0], groups=[2])
    file.add("Shape", "x", "s")
    for number in range(4):
        file.add("Gather", f"s i{number}", f"d{number}", axis=0)
        file.add("Unsqueeze", f"d{number} axis", f"u{number}")
    file.add("Div", "d1 two", "half").add("Cast", "half", "whole", to=7).add("Unsqueeze", "whole axis", "h")
    file.add("Concat", "u0 groups h u2 u3", "apart", axis=0).add("Reshape", "x apart", "a")
    file.add("Transpose", "a", "t", perm=[0, 2, 1, 3, 4])
    file.add("Mul", "d0 d1", "product").add("Unsqueeze", "product axis", "p")  # 4·N, unused.
    file.add("Concat", "u0 u1 u2 u3", "together", axis=0).add("Reshape", "t together", "y")
    expected = X.reshape(3, 2, 2, 6, 5).swapaxes(1, 2).reshape(3, *SHAPE)
    assert np.array_equal(run(file, tmp_path, X)[0], expected)


def test_sizes_for_resize(tmp_path: Path) -> None:
    """The sizes are floor(2.0 · size) of rows and columns, after those of the first two axes."""
    file = shape_file(last=[2], end=[4], begin=[0], both=[2], factor=np.float32(2.0))
    file.add("Shape", "x", "s").add("Slice", "s last end", "hw").add("Cast", "hw", "real", to=1)
    file.add("Mul", "real factor", "large").add("Floor", "large", "floor").add("Cast", "floor", "sizes", to=7)
    file.add("Slice", "s begin both", "nc").add("Concat", "nc sizes", "all", axis=0)
    file.add("Resize", "x - - all", "y", mode="nearest")
    assert np.array_equal(run(file, tmp_path, X)[0], X.repeat(2, 2).repeat(2, 3))


def test_arithmetic_with_the_batch_size(tmp_path: Path) -> None:
    """(N · 4 - N) // N is 3; Equal and Where compute the shape for Expand, as exporters write it."""
    file = shape_file(zero=0, four=4, axis=[0], ones=[1, 4, 6, 1], minus=[-1, 4, 6, -1])
    file.add("Shape", "x", "s").add("Gather", "s zero", "n", axis=0).add("Mul", "n four", "m").add("Sub", "m n", "d")
    file.add("Div", "d n", "three").add("Cast", "three", "f", to=1).add("ReduceMax", "x", "r", axes=[3])
    file.add("Equal", "minus s", "same").add("Where", "same s ones", "shape").add("Expand", "r shape", "e")
    file.add("Add", "e f", "y")
    assert np.array_equal(run(file, tmp_path, X)[0], X.max(3, keepdims=True) + 3)


def test_constant_of_shape_with_free_batch(tmp_path: Path) -> None:
    file = shape_file(begin=[0], end=[1], rest=[2, 6, 5])
    file.add("Shape", "x", "s").add("Slice", "s begin end", "n").add("Concat", "n rest", "shape", axis=0)
    file.add("ConstantOfShape", "shape", "zeros").add("Concat", "x zeros", "y", axis=1)
    assert np.array_equal(run(file, tmp_path, X)[0], np.concatenate([X, np.zeros((3, 2, 6, 5))], 1))


@pytest.mark.parametrize(
    ("shape", "result"),
    [([1, -1], (3, 120)), ([1, 2, 2, 6, 5], (3, 2, 2, 6, 5)), ([4, 30], (12, 30)), ([0, 120], (3, 120))],
)
def test_fixed_batch_of_one_becomes_free(shape: list[int], result: tuple[int, ...], tmp_path: Path) -> None:
    (y,) = run(shape_file(1, shape=shape).add("Reshape", "x shape", "y"), tmp_path, X)
    assert np.array_equal(y, X.reshape(result))


def test_fixed_batch_of_several_becomes_free(tmp_path: Path) -> None:
    file = shape_file(8, shape=[8, 4, 30], wide=[8, 4, 30]).add("Reshape", "x shape", "r").add("Expand", "r wide", "y")
    file.outputs = {"y": (8, 4, 30)}
    assert np.array_equal(run(file, tmp_path, X)[0], X.reshape(3, 4, 30))


def test_operators_that_split_the_batch(tmp_path: Path) -> None:
    text = import_error(op_file("Slice", SHAPE, np.array([1]), np.array([3]), np.array([0])), tmp_path)
    assert "Slice: node 'y' – it splits the batch of images" in text
    assert "exporting it with a free batch" not in text
    file = op_file("Split", SHAPE, np.array([4, 4]), outputs="y z", axis=0)
    file.inputs = {"x": (8, *SHAPE)}
    text = import_error(file, tmp_path)
    assert "it splits the batch of images" in text
    assert text.endswith("the file fixes the batch size at 8: exporting it with a free batch size may help")


def test_unsupported_uses_of_the_batch_size(tmp_path: Path) -> None:
    file = shape_file(zero=0, four=4).add("Shape", "x", "s").add("Gather", "s zero", "n", axis=0)
    file.add("Min", "n four", "m").add("Cast", "m", "f", to=1).add("Add", "x f", "y")
    assert "Min: node 'm' – its operands or attributes are invalid" in import_error(file, tmp_path)
    file = shape_file(zero=0).add("Shape", "x", "s").add("Cast", "s", "f", to=1).add("Add", "x f", "y")
    assert "it computes with the batch size" in import_error(file, tmp_path)


def test_weights_keep_their_names_after_reshape(tmp_path: Path) -> None:
    file = shape_file(shape=[6, 4, 1, 1])
    file.weights["layer::w"] = random(4, 6)
    file.add("Transpose", "layer::w", "t", perm=[1, 0]).add("Reshape", "t shape", "k").add("Conv", "x k", "y")
    net = network(file, tmp_path)
    assert list(net.state) == ["layer.w"]
    assert np.array_equal(net.state["layer.w"][..., 0, 0], random(4, 6).T)


def test_consecutive_transposes_are_merged(tmp_path: Path) -> None:
    file = shape_file().add("Transpose", "x", "a", perm=[0, 2, 3, 1]).add("Transpose", "a", "y", perm=[0, 3, 1, 2])
    assert [node.op.name for node in network(file, tmp_path).graph.nodes] == ["input"]
    file = shape_file().add("Transpose", "x", "a", perm=[0, 2, 3, 1]).add("Transpose", "a", "y", perm=[0, 2, 3, 1])
    assert [node.op.name for node in network(file, tmp_path).graph.nodes] == ["input", "transpose"]
    assert np.array_equal(run(file, tmp_path, X)[0], X.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (op_file("Reshape", SHAPE, np.array([-1, -1])), "only one size"),
        (op_file("Reshape", SHAPE, np.array([7, 9])), "reshape: N × 4 × 6 × 5 has 120·N elements"),
        (op_file("Reshape", SHAPE, np.array([0, 4, 6, 5, 0])), "it copies a size that its operand"),
        (op_file("Gather", SHAPE, np.array([4]), axis=1), "its indices are out of range for an axis of size 4"),
        (op_file("Gather", SHAPE, np.array([[0, 1]]), axis=1), "its indices have several axes"),
        (
            op_file("Concat", SHAPE, random(2, 4, 6, 5), axis=1),
            "concat: N × 4 × 6 × 5 and 2 × 4 × 6 × 5 may differ only",
        ),
        (op_file("Transpose", SHAPE, perm=[0, 1]), "is not an order of the 4 axes"),
        (op_file("Squeeze", SHAPE, np.array([1])), "are not all of size 1"),
        (op_file("Unsqueeze", SHAPE, np.array([1, 1])), "it inserts the axes [1, 1]"),
        (op_file("Unsqueeze", SHAPE, np.array([6])), "it inserts the axes [6]"),
        (op_file("Split", SHAPE, np.array([3, 3]), axis=1), "it splits an axis of size 4 into [3, 3]"),
        (op_file("Tile", SHAPE, np.array([1, 1, 1, 2000])), "it repeats its operand 2,000 times"),
        (op_file("Pad", SHAPE, np.array([1, 2])), "2 pads for 4 axes"),
        (op_file("Pad", SHAPE, np.ones(8, np.int64), mode="mirror"), "it splits the batch"),
        (op_file("Pad", SHAPE, np.array([0, 1, 0, 0] * 2), mode="mirror"), "the padding mode 'mirror'"),
        (op_file("MatMul", SHAPE, random(2, 5, 3)), "the product of N × 4 × 6 × 5 and 2 × 5 × 3"),
        (op_file("LRN", SHAPE, size=4), "a neighbourhood of 4 channels; odd sizes up to 255 are supported"),
        (op_file("Cast", SHAPE, to=7), "it converts values that depend on the images to integers"),
        (op_file("Floor", SHAPE), "its operands depend on the images"),
        (op_file("Pow", SHAPE, random(4, 1, 1)), "its operand number 2 is not a scalar"),
        (op_file("Dropout", SHAPE, np.float32(0.5), np.array(True)), "it applies dropout at inference"),
        (
            op_file("BatchNormalization", SHAPE, *[random(4)] * 4, training_mode=1),
            "with the statistics of the batch",
        ),
        (op_file("Sub", SHAPE), "its operand number 2 is missing"),
        (op_file("Relu", SHAPE, slope=0.1), "the attribute 'slope'"),
    ],
)
def test_unsupported(file: File, text: str, tmp_path: Path) -> None:
    assert text in import_error(file, tmp_path)

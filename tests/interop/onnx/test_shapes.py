"""The arithmetic that exporters do on shapes: known while reading, whatever the batch will be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opsin.ir import BATCH
from tests.interop.onnx.support import network, refused, run
from tests.interop.onnx.writer import File, one, random

SHAPE = (4, 6, 5)
X = random(3, *SHAPE).astype(np.float64)


def start(batch: int | str = "batch", **weights: object) -> File:
    known = {key: np.array(value) for key, value in weights.items()}
    return File(inputs={"x": (batch, *SHAPE)}, weights=known)


def test_flattening_as_pytorch_writes_it(tmp_path: Path) -> None:
    """x.view(x.size(0), -1): the batch is taken from the shape, and put before a -1."""
    file = start(zero=0, rest=[-1], first=[0])
    file.add("Shape", "x", "s").add("Gather", "s zero", "n", axis=0).add("Unsqueeze", "n first", "n1")
    file.add("Concat", "n1 rest", "shape", axis=0).add("Reshape", "x shape", "y")
    read = network(file, tmp_path)
    assert read.graph.outputs["y"].shape == (BATCH, 120)
    assert [node.op.name for node in read.graph.nodes] == ["input", "reshape"]
    assert np.array_equal(run(file, tmp_path, X)[0], X.reshape(3, 120))


def test_channel_shuffle_with_sizes_from_the_shape(tmp_path: Path) -> None:
    file = start(two=2, i0=0, i1=1, i2=2, i3=3, axis=[0], groups=[2])
    file.add("Shape", "x", "s")
    for number in range(4):
        file.add("Gather", f"s i{number}", f"d{number}", axis=0)
        file.add("Unsqueeze", f"d{number} axis", f"u{number}")
    file.add("Div", "d1 two", "half").add("Cast", "half", "whole", to=7).add("Unsqueeze", "whole axis", "h")
    file.add("Concat", "u0 groups h u2 u3", "apart", axis=0).add("Reshape", "x apart", "a")
    file.add("Transpose", "a", "t", perm=[0, 2, 1, 3, 4])
    file.add("Mul", "d0 d1", "product").add("Unsqueeze", "product axis", "p")  # 4·N, of no use, and no harm
    file.add("Concat", "u0 u1 u2 u3", "together", axis=0).add("Reshape", "t together", "y")
    expected = X.reshape(3, 2, 2, 6, 5).swapaxes(1, 2).reshape(3, *SHAPE)
    assert np.array_equal(run(file, tmp_path, X)[0], expected)


def test_sizes_of_an_enlargement(tmp_path: Path) -> None:
    """Shape → the last two → real numbers → doubled → rounded down → sizes, with the batch before them."""
    file = start(last=[2], end=[4], begin=[0], both=[2], factor=np.float32(2.0))
    file.add("Shape", "x", "s").add("Slice", "s last end", "hw").add("Cast", "hw", "real", to=1)
    file.add("Mul", "real factor", "large").add("Floor", "large", "floor").add("Cast", "floor", "sizes", to=7)
    file.add("Slice", "s begin both", "nc").add("Concat", "nc sizes", "all", axis=0)
    file.add("Resize", "x - - all", "y", mode="nearest")
    assert np.array_equal(run(file, tmp_path, X)[0], X.repeat(2, 2).repeat(2, 3))


def test_arithmetic_with_the_batch(tmp_path: Path) -> None:
    """(N · 4 - N) // N = 3, N equals N, and a choice by comparison, as Expand is exported."""
    file = start(zero=0, four=4, axis=[0], ones=[1, 4, 6, 1], minus=[-1, 4, 6, -1])
    file.add("Shape", "x", "s").add("Gather", "s zero", "n", axis=0).add("Mul", "n four", "m").add("Sub", "m n", "d")
    file.add("Div", "d n", "three").add("Cast", "three", "f", to=1).add("ReduceMax", "x", "r", axes=[3])
    file.add("Equal", "minus s", "same").add("Where", "same s ones", "shape").add("Expand", "r shape", "e")
    file.add("Add", "e f", "y")
    assert np.array_equal(run(file, tmp_path, X)[0], X.max(3, keepdims=True) + 3)


def test_zeros_for_every_image(tmp_path: Path) -> None:
    file = start(begin=[0], end=[1], rest=[2, 6, 5])
    file.add("Shape", "x", "s").add("Slice", "s begin end", "n").add("Concat", "n rest", "shape", axis=0)
    file.add("ConstantOfShape", "shape", "zeros").add("Concat", "x zeros", "y", axis=1)
    assert np.array_equal(run(file, tmp_path, X)[0], np.concatenate([X, np.zeros((3, 2, 6, 5))], 1))


@pytest.mark.parametrize(
    ("shape", "result"),
    [([1, -1], (3, 120)), ([1, 2, 2, 6, 5], (3, 2, 2, 6, 5)), ([4, 30], (12, 30)), ([0, 120], (3, 120))],
)
def test_a_fixed_batch_of_one_becomes_any(shape: list[int], result: tuple[int, ...], tmp_path: Path) -> None:
    (y,) = run(start(1, shape=shape).add("Reshape", "x shape", "y"), tmp_path, X)
    assert np.array_equal(y, X.reshape(result))


def test_a_fixed_batch_of_several_becomes_any(tmp_path: Path) -> None:
    file = start(8, shape=[8, 4, 30], wide=[8, 4, 30]).add("Reshape", "x shape", "r").add("Expand", "r wide", "y")
    file.outputs = {"y": (8, 4, 30)}
    assert np.array_equal(run(file, tmp_path, X)[0], X.reshape(3, 4, 30))


def test_a_batch_that_is_taken_apart(tmp_path: Path) -> None:
    text = refused(one("Slice", SHAPE, np.array([1]), np.array([3]), np.array([0])), tmp_path)
    assert "Slice: node 'y' – it takes apart the batch of images" in text
    assert "exporting it with a free" not in text
    file = one("Split", SHAPE, np.array([4, 4]), outputs="y z", axis=0)
    file.inputs = {"x": (8, *SHAPE)}
    text = refused(file, tmp_path)
    assert "it takes apart the batch of images" in text
    assert text.endswith("the file fixes the number of images at 8: exporting it with a free one may help")


def test_the_number_of_images_in_a_decision(tmp_path: Path) -> None:
    file = start(zero=0, four=4).add("Shape", "x", "s").add("Gather", "s zero", "n", axis=0)
    file.add("Min", "n four", "m").add("Cast", "m", "f", to=1).add("Add", "x f", "y")
    assert "Min: node 'm' – its operands or attributes make no sense" in refused(file, tmp_path)
    file = start(zero=0).add("Shape", "x", "s").add("Cast", "s", "f", to=1).add("Add", "x f", "y")
    assert "it calculates with the number of images" in refused(file, tmp_path)


def test_weights_keep_their_names_through_shapes(tmp_path: Path) -> None:
    file = start(shape=[6, 4, 1, 1])
    file.weights["layer::w"] = random(4, 6)
    file.add("Transpose", "layer::w", "t", perm=[1, 0]).add("Reshape", "t shape", "k").add("Conv", "x k", "y")
    read = network(file, tmp_path)
    assert list(read.state) == ["layer.w"]
    assert np.array_equal(read.state["layer.w"][..., 0, 0], random(4, 6).T)


def test_two_transpositions_are_one_or_none(tmp_path: Path) -> None:
    file = start().add("Transpose", "x", "a", perm=[0, 2, 3, 1]).add("Transpose", "a", "y", perm=[0, 3, 1, 2])
    assert [node.op.name for node in network(file, tmp_path).graph.nodes] == ["input"]
    file = start().add("Transpose", "x", "a", perm=[0, 2, 3, 1]).add("Transpose", "a", "y", perm=[0, 2, 3, 1])
    assert [node.op.name for node in network(file, tmp_path).graph.nodes] == ["input", "transpose"]
    assert np.array_equal(run(file, tmp_path, X)[0], X.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (one("Reshape", SHAPE, np.array([-1, -1])), "only one size"),
        (one("Reshape", SHAPE, np.array([7, 9])), "reshape: N × 4 × 6 × 5 has 120·N elements"),
        (one("Reshape", SHAPE, np.array([0, 4, 6, 5, 0])), "it keeps a size that its operand"),
        (one("Gather", SHAPE, np.array([4]), axis=1), "it asks for places that an axis of 4 does not have"),
        (one("Gather", SHAPE, np.array([[0, 1]]), axis=1), "its indices have several axes"),
        (one("Concat", SHAPE, random(2, 4, 6, 5), axis=1), "concat: N × 4 × 6 × 5 and 2 × 4 × 6 × 5 may differ only"),
        (one("Transpose", SHAPE, perm=[0, 1]), "is not an order of the 4 axes"),
        (one("Squeeze", SHAPE, np.array([1])), "are not all of size 1"),
        (one("Unsqueeze", SHAPE, np.array([1, 1])), "it inserts the axes [1, 1]"),
        (one("Unsqueeze", SHAPE, np.array([6])), "it inserts the axes [6]"),
        (one("Split", SHAPE, np.array([3, 3]), axis=1), "it divides an axis of 4 into [3, 3]"),
        (one("Tile", SHAPE, np.array([1, 1, 1, 2000])), "it repeats its operand 2,000 times"),
        (one("Pad", SHAPE, np.array([1, 2])), "2 pads for 4 axes"),
        (one("Pad", SHAPE, np.ones(8, np.int64), mode="mirror"), "it takes apart the batch"),
        (one("Pad", SHAPE, np.array([0, 1, 0, 0] * 2), mode="mirror"), "padding of the kind 'mirror'"),
        (one("MatMul", SHAPE, random(2, 5, 3)), "the product of N × 4 × 6 × 5 and 2 × 5 × 3"),
        (one("LRN", SHAPE, size=4), "a neighbourhood of 4 channels; odd numbers up to 255 are"),
        (one("Cast", SHAPE, to=7), "it turns values that depend on the images into whole numbers"),
        (one("Floor", SHAPE), "its operands depend on the images"),
        (one("Pow", SHAPE, random(4, 1, 1)), "its operand number 2 is not one number"),
        (one("Dropout", SHAPE, np.float32(0.5), np.array(True)), "it drops out at inference, too"),
        (one("BatchNormalization", SHAPE, *[random(4)] * 4, training_mode=1), "by the batch's own statistics"),
        (one("Sub", SHAPE), "its operand number 2 is missing"),
        (one("Relu", SHAPE, slope=0.1), "the attribute 'slope'"),
    ],
)
def test_what_there_is_not(file: File, text: str, tmp_path: Path) -> None:
    assert text in refused(file, tmp_path)

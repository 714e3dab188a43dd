"""Tests of whole files: names, inputs, outputs, and the errors of unsupported and invalid files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opsin.base.errors import ModelError
from opsin.interop import onnx
from opsin.ir import BATCH
from tests.interop.onnx.support import import_error, network, run
from tests.interop.onnx.writer import File, entry, node, op_file, random, value_info

W, B = random(5, 3, 3, 3), random(5, seed=1)


def classifier(last: str = "Softmax") -> File:
    """Return a small convolutional classifier; its last operator is `last`."""
    norm = {"norm.weight": B, "norm.bias": B, "norm.mean": B, "norm.var": np.abs(B)}
    file = File(weights={"conv.weight": W, "conv.bias": B, **norm, "head": random(5, 4), "shift": random(4)})
    file.add("Conv", "x conv.weight conv.bias", "c", name="/body/body.0/conv/Conv")
    file.add("BatchNormalization", "c norm.weight norm.bias norm.mean norm.var", "n", name="/body/body.0/norm")
    file.add("Relu", "n", "r").add("GlobalAveragePool", "r", "g").add("Flatten", "g", "f")
    return file.add("MatMul", "f head", "m").add("Add", "m shift", "a").add(last, "a", "y")


def test_names_layers_and_parameters(tmp_path: Path) -> None:
    net = network(classifier(), tmp_path)
    names = ["conv.weight", "conv.bias", "norm.weight", "norm.bias", "norm.mean", "norm.var", "head", "shift"]
    assert sorted(net.state) == sorted(names)
    assert sorted(net.graph.parameters) == sorted(set(names) - {"norm.mean", "norm.var"})
    assert all(array.dtype == np.float32 for array in net.state.values())
    assert np.array_equal(net.state["conv.weight"], W)
    assert list(net.layers.items())[:3] == [
        ("body.0.conv.Conv", "Conv"),
        ("body.0.norm", "BatchNormalization"),
        ("r", "Relu"),
    ]
    assert {n.scope for n in net.graph.nodes} - {""} == set(net.layers)
    assert (net.name, net.producer, net.opset) == ("net", "tests 1.0", 17)


def test_shared_weight_is_one_variable(tmp_path: Path) -> None:
    file = File(weights={"w": random(3, 3, 1, 1)}).add("Conv", "x w", "a").add("Conv", "a w", "y")
    assert list(network(file, tmp_path).state) == ["w"]


def test_reserved_names_are_changed(tmp_path: Path) -> None:
    weights = {"inputs": random(3, 1, 1), "random.step": random(3, 1, 1), "golden.logits": random(3, 1, 1)}
    file = File(weights=weights).add("Mul", "x inputs", "a").add("Mul", "a random.step", "b")
    file.add("Mul", "b golden.logits", "c").add("Mul", "c a::b", "d").add("Mul", "d a//b", "y")
    file.weights |= {"a::b": random(3, 1, 1), "a//b": random(3, 1, 1)}
    names = ["inputs_2", "weights.random.step", "weights.golden.logits", "a.b", "a.b_2"]
    assert list(network(file, tmp_path).state) == names


def test_scalars_are_constants_and_subtracted_means_are_not_trained(tmp_path: Path) -> None:
    mean = random(3, 1, 1)
    file = File(weights={"mean": mean, "two": np.float32(2), "shift": mean})
    file.add("Sub", "x mean", "a").add("Mul", "a two", "b").add("Add", "b shift", "y")
    net = network(file, tmp_path)
    assert list(net.state) == ["mean", "shift"]
    assert list(net.graph.parameters) == ["shift"]


def test_unused_nodes_are_ignored(tmp_path: Path) -> None:
    file = classifier().add("NonMaxSuppression", "r", "boxes")
    assert list(network(file, tmp_path).graph.outputs) == ["y"]
    file.outputs = {"y": ("batch", 4), "boxes": None}
    assert "NonMaxSuppression: node 'boxes'" in import_error(file, tmp_path)
    assert list(network(file, tmp_path, classifier=True).graph.outputs) == ["logits"]


@pytest.mark.parametrize("last", ["Softmax", "Identity"])
def test_classifier_outputs_logits(last: str, tmp_path: Path) -> None:
    x = random(2, 3, 8, 8).astype(np.float64)
    (logits,) = run(classifier(last), tmp_path, x, classifier=True)
    (expected,) = run(classifier("Identity"), tmp_path, x)
    assert logits.shape == (2, 4)
    assert np.array_equal(logits, expected)


def test_softmax_before_flatten(tmp_path: Path) -> None:
    w, x = random(7, 3, 8, 8), random(2, 3, 8, 8).astype(np.float64)
    file = File(weights={"w": w}).add("Conv", "x w", "c").add("Softmax", "c", "s", axis=1).add("Flatten", "s", "y")
    (logits,) = run(file, tmp_path, x, classifier=True)
    assert np.allclose(logits, np.einsum("nchw,kchw->nk", x, w))
    (probabilities,) = run(file, tmp_path, x)
    assert np.allclose(probabilities.sum(1), 1)


def test_logits_of_1_by_1_images(tmp_path: Path) -> None:
    file = File(weights={"w": random(7, 3, 8, 8)}).add("Conv", "x w", "y")
    assert network(file, tmp_path, classifier=True).graph.outputs["logits"].shape == (BATCH, 7)
    file = File(weights={"w": W}).add("Conv", "x w", "y")
    text = import_error(file, tmp_path, classifier=True)
    assert text.startswith(
        "outputs N × 5 × 6 × 6 instead of one number per class and image; opsin.interop.onnx.read returns"
    )


def test_channels_last(tmp_path: Path) -> None:
    """tf2onnx converts Keras networks to this form: a Transpose follows the N × H × W × C input."""
    file = File(weights={"w": W}, inputs={"x": (None, 9, 8, 3)}, outputs={"y": (None, 7, 6, 5)})
    file.add("Transpose", "x", "t", perm=[0, 3, 1, 2]).add("Conv", "t w", "c").add(
        "Transpose", "c", "y", perm=[0, 2, 3, 1]
    )
    net = network(file, tmp_path)
    assert net.graph.inputs[0].shape == (BATCH, 3, 9, 8)
    assert [node.op.name for node in net.graph.nodes if node.op.name != "variable"] == [
        "input",
        "conv2d",
        "transpose",
    ]


def test_free_image_sizes(tmp_path: Path) -> None:
    file = File(weights={"w": W}, inputs={"x": ("n", 3, "h", None)}).add("Conv", "x w", "y")
    text = import_error(file, tmp_path)
    assert text.startswith("leaves the size of its images free (3 × ? × ?); choose one in Python, such as")
    assert network(file, tmp_path, input_shape=(3, 9, 12)).graph.outputs["y"].shape == (BATCH, 5, 7, 10)
    assert import_error(file, tmp_path, input_shape=(1, 9, 12)) == "takes images of 3 × ? × ?, not 1 × 9 × 12"
    file.inputs = {"x": None}
    assert network(file, tmp_path, input_shape=(3, 9, 12)).graph.outputs["y"].shape == (BATCH, 5, 7, 10)


def test_initializers_among_the_inputs(tmp_path: Path) -> None:
    """Old exporters and MXNet write files of this form."""
    file = File(weights={"w": W}, inputs={"w": (5, 3, 3, 3), "x": (1, 3, 8, 8)}, outputs={"y": (1, 5, 6, 6)})
    assert list(network(file.add("Conv", "x w", "y"), tmp_path).state) == ["w"]


def test_unsorted_nodes(tmp_path: Path) -> None:
    file = File().add("Relu", "a", "y").add("Neg", "x", "a")
    x = random(1, 3, 8, 8).astype(np.float64)
    assert np.array_equal(run(file, tmp_path, x)[0], np.maximum(-x, 0))


def test_one_error_lists_all_unsupported_operators(tmp_path: Path) -> None:
    file = File().add("Einsum", "x", "a", name="attention").add("Resize", "x", "b", name="up", mode="lanczos")
    file.add("Einsum", "a", "c", name="second").add("FusedConv", "x", "d", domain="com.microsoft", name="quick")
    file.add("LSTM", "x", "e", name="bad\x1b[2J" + "x" * 100).add("Einsum", "x", "f", name="third")
    file.add("Sum", "a b c d e f", "y")
    lines = import_error(file, tmp_path).splitlines()
    assert lines == [
        "uses operators or attributes that Opsin does not support:",
        "  Einsum: node 'attention', 'second', 'third'",
        f"  LSTM: node 'bad\\x1b[2J{'x' * 70}…'",
        "  Resize: node 'up' – the mode 'lanczos'",
        "  com.microsoft::FusedConv: node 'quick'",
        "docs/onnx.md lists the supported operators",
    ]


def test_limit_of_nodes_in_a_message(tmp_path: Path) -> None:
    file = File()
    for number in range(70):
        file.add("Einsum", "x", f"e{number}")
    file.add("Sum", " ".join(f"e{number}" for number in range(70)), "y")
    (line,) = (line for line in import_error(file, tmp_path).splitlines() if "Einsum" in line)
    assert line.endswith("'e49' and 20 more")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (File().add("Relu", "y", "y"), "has a cycle: the value 'y' depends on itself"),
        (File().add("Add", "x b", "a").add("Relu", "a", "b").add("Relu", "b", "y"), "has a cycle: the value"),
        (File().add("Relu", "z", "y"), "uses the value 'z', which no node computes"),
        (File().add("Relu", "x", "y").add("Neg", "x", "y"), "computes the value 'y' twice; export it again"),
        (File().add("Relu", "x", "x").add("Relu", "x", "y"), "computes the value 'x' twice; export it again"),
        (File().add("Relu", "x", "y").add("Relu", "y", ""), "has a node '' without an output"),
        (File(outputs={}).add("Relu", "x", "y"), "has no output"),
        (File(inputs={}).add("Constant", "", "y", value=W), "has 0 inputs (none); Opsin imports"),
        (File(inputs={"x": (1, 3), "z": (1, 3)}).add("Add", "x z", "y"), "has 2 inputs ('x', 'z'); Opsin imports"),
        (File(weights={"w": W}, outputs={"y": None, "w": None}).add("Relu", "x", "y"), "an output 'w' that does not"),
        (File(outputs={"y": (1, 4)}).add("Relu", "x", "y"), "declares its output 'y' as 1 × 4, but computes N × 3"),
        (File(opset=6).add("Relu", "x", "y"), "uses opset version 6; Opsin supports 7 to 28"),
        (File(opset=99).add("Relu", "x", "y"), "uses opset version 99; Opsin supports 7 to 28"),
        (File(graph_fields=entry(15, b"")).add("Relu", "x", "y"), "has sparse weights, which Opsin does not read"),
    ],
)  # fmt: skip
def test_invalid_files(file: File, text: str, tmp_path: Path) -> None:
    assert text in import_error(file, tmp_path)


def test_inputs_other_than_images(tmp_path: Path) -> None:
    file = File(inputs={}, graph_fields=entry(11, value_info("x", ("n", 3, 8, 8), elem_type=7))).add("Relu", "x", "y")
    assert import_error(file, tmp_path) == (
        "has int64 values in 'x'; Opsin reads networks that take images as floats or as bytes (uint8): "
        "export it with such an input"
    )
    file = File(inputs={"x": ("n", 7)}).add("Relu", "x", "y")
    assert import_error(file, tmp_path, classifier=True) == "has the input 'x' with 2 axes; images have four"


def test_uint8_images(tmp_path: Path) -> None:
    file = File(inputs={}, graph_fields=entry(11, value_info("x", ("n", 8, 8, 3), elem_type=2)))
    file.add("Transpose", "x", "t", perm=[0, 3, 1, 2]).add("Cast", "t", "c", to=1).add("Mul", "c scale", "y")
    file.weights["scale"] = np.array([1 / 255], np.float32)
    net = network(file, tmp_path)
    assert net.byte_input
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8))
    (y,) = run(file, tmp_path, x.astype(np.float64))
    assert np.allclose(y, x / 255)
    file = File(inputs={}, graph_fields=entry(11, value_info("x", ("n", 3, 8, 8), elem_type=2))).add(
        "Add", "x x", "y", name="sum"
    )
    assert "Add: node 'sum' – it computes with bytes (uint8); cast the images to float32" in import_error(
        file, tmp_path
    )


def test_other_files(tmp_path: Path) -> None:
    assert import_error(b"", tmp_path) == "is empty; copy it again or export it again"
    for data in (entry(1, 8), entry(8, entry(2, 17)), entry(7, b"")):
        assert import_error(data, tmp_path).startswith("is not an ONNX file; give one that an exporter such as")
    with pytest.raises(ModelError, match="there is no such file"):
        onnx.read(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="is a folder, not a model file"):
        onnx.read(tmp_path)


def test_attributes_without_a_value_are_zero(tmp_path: Path) -> None:
    """Protocol Buffers may omit zeros."""
    relu = node("LeakyRelu", "x", "y") + entry(5, entry(1, "alpha") + entry(20, 1))
    x = random(1, 3, 8, 8).astype(np.float64)
    assert np.array_equal(run(File(nodes=[relu]), tmp_path, x)[0], np.maximum(x, 0))


def test_omitted_operands_and_outputs(tmp_path: Path) -> None:
    """Import a node with an omitted operand, and one with an unnamed output."""
    file = op_file("Clip", (3, 8, 8), None, np.float32(0.5))
    assert run(file, tmp_path, random(1, 3, 8, 8).astype(np.float64))[0].max() == 0.5
    data = node("Dropout", "x", "y") + entry(2, "")
    assert network(File(nodes=[data]), tmp_path).graph.outputs["y"].shape == (BATCH, 3, 8, 8)


def test_very_deep_network(tmp_path: Path) -> None:
    file = File()
    for number in range(5_000):
        file.add("Relu", f"v{number - 1}" if number else "x", f"v{number}")
    net = network(file.add("Neg", "v4999", "y"), tmp_path)
    assert len(net.graph.nodes) == 5_002

"""Tests that imported classifiers return the probabilities of the file, for each kind of last operators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import opsin
from opsin.backends.reference import Reference
from opsin.base.errors import DataError, ModelError, UsageError
from opsin.ir import Graph
from opsin.model import Model
from tests.interop.onnx.writer import File, entry, random, tensor, value_info

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8), dtype=np.uint8)


def reference(graph: Graph, batch: int, threads: int | None = None) -> Reference:
    return Reference(graph, batch, np.float64)


def network(classes: int, batch: int | str = 1) -> File:
    """Return a network that maps the means of the channels linearly to "z", N × classes."""
    file = File(weights={"w": 4 * random(classes, 3), "b": random(classes, seed=1)}, inputs={"x": (batch, 3, 8, 8)})
    file.add("GlobalAveragePool", "x", "g").add("Flatten", "g", "f")
    return file.add("Gemm", "f w b", "z", transB=1)


def logits(classes: int) -> NDArray[Any]:
    return np.asarray((PIXELS / 255).mean((2, 3)) @ (4 * random(classes, 3)).T + random(classes, seed=1))


def sigmoid(z: NDArray[Any]) -> NDArray[Any]:
    return 1 / (1 + np.exp(-z))


def softmax(z: NDArray[Any]) -> NDArray[Any]:
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def model_of(file: File, folder: Path, **options: Any) -> Model:
    return opsin.import_onnx(file.write(folder / "net.onnx"), engine=reference, **options)


def with_complement(p: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([1 - p, p], axis=1)


def chain(file: File, *steps: tuple[str, dict[str, Any]]) -> File:
    """Add a sequence of operators from "z" to "y"; their other operands are weights."""
    names = ["z", *(f"v{index}" for index in range(1, len(steps))), "y"]
    for (op, options), source, result in zip(steps, names, names[1:], strict=False):
        attributes = dict(options)
        operand = attributes.pop("operand", None)
        if operand is not None:
            file.weights[f"o{result}"] = np.asarray(operand)
        file.add(op, f"{source} o{result}" if operand is not None else source, result, **attributes)
    return file


SINGLE_OUTPUTS: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "sigmoid": (("Sigmoid", {}),),
    "no activation": (("Identity", {}),),
    "reshaped": (("Sigmoid", {}), ("Reshape", {"operand": [-1, 1, 1, 1]})),
    "squeezed": (("Sigmoid", {}), ("Squeeze", {"operand": [1]})),
    "flat": (("Sigmoid", {}), ("Flatten", {}), ("Cast", {"to": 1}), ("Identity", {})),
    "before the shape": (("Reshape", {"operand": [-1, 1, 1, 1]}), ("Sigmoid", {})),
    "clipped": (("Sigmoid", {}), ("Clip", {})),
}


@pytest.mark.parametrize("batch", [1, "n"])
@pytest.mark.parametrize("name", SINGLE_OUTPUTS)
def test_single_output_becomes_two_classes(tmp_path: Path, name: str, batch: int | str) -> None:
    model = model_of(chain(network(1, batch), *SINGLE_OUTPUTS[name]), tmp_path)
    assert model.labels == ("0", "1")
    assert not model.independent
    np.testing.assert_allclose(model.probabilities(PIXELS), with_complement(sigmoid(logits(1))), atol=1e-6)
    first = model.predict(PIXELS[0])[0]
    assert first.label == str(int(logits(1)[0, 0] > 0))
    assert dict(first.ranking)["1"] == pytest.approx(sigmoid(logits(1))[0, 0], abs=1e-6)


def test_labels_of_two_classes(tmp_path: Path) -> None:
    file = chain(network(1), ("Sigmoid", {}))
    assert model_of(file, tmp_path, labels=["cat", "dog"]).labels == ("cat", "dog")
    with pytest.raises(UsageError, match="distinguishes 2 classes, but 1 labels were given"):
        model_of(file, tmp_path, labels=["dog"])


def test_hard_sigmoid(tmp_path: Path) -> None:
    for classes in (1, 3):
        model = model_of(chain(network(classes), ("HardSigmoid", {})), tmp_path)
        expected = np.clip(0.2 * logits(classes) + 0.5, 0, 1)
        assert model.independent == (classes > 1)
        np.testing.assert_allclose(
            model.probabilities(PIXELS), with_complement(expected) if classes == 1 else expected, atol=1e-6
        )


@pytest.mark.parametrize("steps", [
    (("Sigmoid", {}),), (("Sigmoid", {}), ("Reshape", {"operand": [-1, 5, 1, 1]})), (("Sigmoid", {}), ("Clip", {})),
], ids=["sigmoid", "reshaped", "clipped"])  # fmt: skip
def test_several_sigmoids_are_independent_labels(tmp_path: Path, steps: Any) -> None:
    model = model_of(chain(network(5), *steps), tmp_path)
    expected = sigmoid(logits(5))
    assert model.independent
    np.testing.assert_allclose(model.probabilities(PIXELS), expected, atol=1e-6)
    for prediction, row in zip(model.predict(PIXELS), expected, strict=True):
        assert prediction.independent
        assert prediction.label == str(row.argmax())
        assert prediction.probability == pytest.approx(row.max(), abs=1e-6)
        assert [probability for _, probability in prediction.ranking] == pytest.approx(
            sorted(row, reverse=True), abs=1e-6
        )
    model.save(tmp_path / "a.opsin")
    reloaded = opsin.load(tmp_path / "a.opsin", engine=reference)
    assert reloaded.independent
    np.testing.assert_allclose(reloaded.probabilities(PIXELS), expected, atol=1e-6)


def test_independent_labels_are_not_calibrated_by_classes(tmp_path: Path) -> None:
    model = model_of(chain(network(5), ("Sigmoid", {})), tmp_path)
    with pytest.raises(DataError, match=r"the data is for classification, but .*net\.onnx does multilabel"):
        model.calibrate(opsin.data.load("digits").test)


@pytest.mark.parametrize("steps", [
    (("Softmax", {}),), (("LogSoftmax", {}),), (("Identity", {}),), (("Softmax", {}), ("Log", {})),
    (("Softmax", {}), ("Reshape", {"operand": [-1, 4, 1, 1]})), (("Softmax", {}), ("Clip", {})),
    (("Softmax", {}), ("Clip", {}), ("Flatten", {})),
], ids=["softmax", "log-softmax", "logits", "log", "reshaped", "clipped", "flat"])  # fmt: skip
def test_softmax_is_applied_once(tmp_path: Path, steps: Any) -> None:
    model = model_of(chain(network(4), *steps), tmp_path)
    assert not model.independent
    np.testing.assert_allclose(model.probabilities(PIXELS), softmax(logits(4)), atol=1e-6)


@pytest.mark.parametrize("order", ["q s", "s q"])
def test_concatenated_complements(tmp_path: Path, order: str) -> None:
    file = network(1).add("Sigmoid", "z", "s").add("Sub", "one s", "q").add("Concat", order, "y", axis=1)
    file.weights["one"] = np.ones((), np.float32)
    model = model_of(file, tmp_path)
    expected = with_complement(sigmoid(logits(1)))
    assert not model.independent
    np.testing.assert_allclose(
        model.probabilities(PIXELS), expected if order == "q s" else expected[:, ::-1], atol=1e-6
    )


def test_concatenated_sigmoids_and_mean_of_softmaxes(tmp_path: Path) -> None:
    file = network(4)
    file.add("Sigmoid", "z", "a").add("Sigmoid", "f", "c").add("Concat", "a c", "y", axis=1)
    model = model_of(file, tmp_path)
    expected = np.concatenate([sigmoid(logits(4)), sigmoid((PIXELS / 255).mean((2, 3)))], axis=1)
    assert model.independent
    np.testing.assert_allclose(model.probabilities(PIXELS), expected, atol=1e-6)
    file = network(3).add("Softmax", "z", "a").add("Softmax", "f", "c").add("Mean", "a c", "y")
    model = model_of(file, tmp_path)
    expected = (softmax(logits(3)) + softmax((PIXELS / 255).mean((2, 3)))) / 2
    np.testing.assert_allclose(model.probabilities(PIXELS), expected, atol=1e-6)


def test_channels_last(tmp_path: Path) -> None:
    """tf2onnx converts Keras networks to this form."""
    file = File(weights={"w": 4 * random(3, 1)}, inputs={"x": ("n", 8, 8, 3)})
    file.add("Transpose", "x", "t", perm=[0, 3, 1, 2]).add("GlobalAveragePool", "t", "g").add("Squeeze", "g axes", "f")
    file.weights["axes"] = np.array([2, 3])
    file.add("MatMul", "f w", "z").add("Sigmoid", "z", "y")
    expected = sigmoid((PIXELS / 255).mean((2, 3)) @ (4 * random(3, 1)))
    np.testing.assert_allclose(model_of(file, tmp_path).probabilities(PIXELS), with_complement(expected), atol=1e-6)


def test_label_output_before_probabilities(tmp_path: Path) -> None:
    """scikit-learn's exporter and others write two outputs: the most probable class, and the scores."""
    file = network(3).add("Softmax", "z", "p").add("ArgMax", "p", "label", axis=1, keepdims=0)
    file.outputs, file.graph_fields = (
        {},
        entry(12, value_info("label", (1,), elem_type=7)) + entry(12, value_info("p", (1, 3))),
    )
    np.testing.assert_allclose(model_of(file, tmp_path).probabilities(PIXELS), softmax(logits(3)), atol=1e-6)
    file.graph_fields = entry(12, value_info("label", (1,), elem_type=7))
    with pytest.raises(ModelError, match=r"outputs no probabilities, only integers or strings \('label'\); export it"):
        model_of(file, tmp_path)


def test_zip_map(tmp_path: Path) -> None:
    file = network(3).add("Softmax", "z", "p")
    file.outputs, names = {}, b"".join(entry(9, name) for name in ("cat", "dog", "eel"))
    labels = entry(5, entry(1, "classlabels_strings") + names + entry(20, 8))
    file.nodes.append(
        entry(1, "p") + entry(2, "map") + entry(3, "zip") + entry(4, "ZipMap") + labels + entry(7, "ai.onnx.ml")
    )
    file.graph_fields = entry(12, entry(1, "map"))
    model = model_of(file, tmp_path)
    assert model.labels == ("cat", "dog", "eel")
    np.testing.assert_allclose(model.probabilities(PIXELS), softmax(logits(3)), atol=1e-6)


def test_sigmoid_with_other_uses(tmp_path: Path) -> None:
    """Only the sigmoid of the output is removed."""
    file = network(2).add("Sigmoid", "z", "s").add("Mul", "z s", "y")
    z = logits(2)
    np.testing.assert_allclose(model_of(file, tmp_path).probabilities(PIXELS), softmax(z * sigmoid(z)), atol=1e-6)


def test_complement_with_constant_node(tmp_path: Path) -> None:
    constant = entry(5, entry(1, "value") + entry(5, tensor(np.ones(1, np.float32))) + entry(20, 4))
    file = network(1).add("Sigmoid", "z", "s").add("Sub", "one s", "q").add("Concat", "q s", "y", axis=1)
    file.nodes.append(entry(2, "one") + entry(4, "Constant") + constant)
    np.testing.assert_allclose(
        model_of(file, tmp_path).probabilities(PIXELS), with_complement(sigmoid(logits(1))), atol=1e-6
    )


def add_sigmoid_denominator(file: File) -> File:
    file.weights["one"] = np.ones((), np.float32)
    return file.add("Neg", "z", "n").add("Exp", "n", "e").add("Add", "e one", "d")


@pytest.mark.parametrize("classes", [1, 3])
def test_decomposed_sigmoid_and_its_logarithm(tmp_path: Path, classes: int) -> None:
    expected = sigmoid(logits(classes))
    for file in (
        add_sigmoid_denominator(network(classes)).add("Div", "one d", "y"),
        add_sigmoid_denominator(network(classes)).add("Reciprocal", "d", "y"),
        network(classes).add("Sigmoid", "z", "s").add("Log", "s", "y"),
    ):
        model = model_of(file, tmp_path)
        assert model.independent == (classes > 1)
        np.testing.assert_allclose(
            model.probabilities(PIXELS), with_complement(expected) if classes == 1 else expected, atol=1e-6
        )


@pytest.mark.parametrize("second_exp", [False, True])
def test_decomposed_softmax(tmp_path: Path, second_exp: bool) -> None:
    file = network(4).add("Exp", "z", "e").add("Exp", "z", "again")
    file.weights["axes"] = np.array([1])
    file.add("ReduceSum", "again axes" if second_exp else "e axes", "t", keepdims=1).add("Div", "e t", "y")
    model = model_of(file, tmp_path)
    assert not model.independent
    np.testing.assert_allclose(model.probabilities(PIXELS), softmax(logits(4)), atol=1e-6)


SOFTMAX, SIGMOID = ("Softmax", {"axis": 1}), ("Sigmoid", {})


@pytest.mark.parametrize(
    ("classes", "steps", "words"),
    [
        (3, [("Identity", {})], None),
        (3, [SOFTMAX], "ends with a softmax, which was removed: the network here gives the logits"),
        (3, [SIGMOID], "ends with a sigmoid, which was removed: the network here gives the logits"),
        (1, [SIGMOID], "ends with a sigmoid, which was removed: the network here gives the logits of two classes"),
        (1, [("Identity", {})], "has one output, a logit: the network here gives the logits of two classes"),
        (3, [SIGMOID, ("Clip", {})], "gives probabilities: the network here gives logits that mean the same"),
    ],
)
def test_what_was_changed_is_recorded(
    tmp_path: Path, classes: int, steps: list[tuple[str, dict[str, Any]]], words: str | None
) -> None:
    model = model_of(chain(network(classes), *steps), tmp_path)
    assert model.record["onnx"].get("outputs") == (words and f"The ONNX file {words}.")

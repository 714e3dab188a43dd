"""Models from ONNX files are used, trained, saved and described like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import opsin
from opsin import nn
from opsin.apps.cli.main import run
from opsin.backends import native
from opsin.backends.reference import Reference
from opsin.base.errors import ModelError, UsageError
from opsin.data import Preprocessing
from opsin.ir import Graph
from tests.data.files import noise, write_image
from tests.interop.onnx.writer import File, random


def classifier(classes: int, channels: int = 3, side: int = 16) -> File:
    """As exporters write one, with a batch of one: convolution, batch normalization, ReLU, pooling, a linear map."""
    norm = {"n.weight": random(8), "n.bias": random(8), "n.mean": random(8), "n.var": np.abs(random(8)) + 0.5}
    head = {"fc.weight": random(classes, 8, seed=1), "fc.bias": random(classes, seed=2)}
    file = File(weights={"c.weight": random(8, channels, 3, 3, seed=3), **norm, **head})
    file.inputs, file.outputs = {"input": (1, channels, side, side)}, {"output": (1, classes)}
    file.add("Conv", "input c.weight", "c", name="/c/Conv", strides=[2, 2], pads=[1, 1, 1, 1])
    file.add("BatchNormalization", "c n.weight n.bias n.mean n.var", "n", name="/n/BatchNormalization")
    file.add("Relu", "n", "r", name="/r/Relu").add("GlobalAveragePool", "r", "g", name="/p/GlobalAveragePool")
    file.add("Flatten", "g", "f", name="/Flatten")
    file.add("Gemm", "f fc.weight fc.bias", "l", name="/fc/Gemm", transB=1)
    return file.add("Softmax", "l", "output", name="/Softmax")


def by_hand(file: File, x: NDArray[Any]) -> NDArray[Any]:
    """The logits that `classifier` is meant to give."""
    w = {name: np.asarray(value, np.float64) for name, value in file.weights.items()}
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2, ::2]
    y = np.einsum("nchwij,kcij->nkhw", windows, w["c.weight"])
    scale = w["n.weight"] / np.sqrt(w["n.var"] + 1e-5)
    y = (y - w["n.mean"][:, None, None]) * scale[:, None, None] + w["n.bias"][:, None, None]
    return np.asarray(np.maximum(y, 0).mean((2, 3)) @ w["fc.weight"].T + w["fc.bias"])


def reference(graph: Graph, batch: int, threads: int | None = None) -> Reference:
    return Reference(graph, batch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return classifier(4).write(tmp_path / "small.onnx")


def test_logits_of_any_number_of_images(path: Path) -> None:
    model = opsin.import_onnx(path)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 3, 16, 16), dtype=np.uint8)
    expected = by_hand(classifier(4), pixels / 255)
    assert np.allclose(model.logits(pixels), expected, atol=1e-4)
    assert np.allclose(opsin.import_onnx(path, engine=reference).logits(pixels), expected, atol=1e-4)


def test_defaults_for_what_the_file_does_not_contain(path: Path, tmp_path: Path) -> None:
    model = opsin.import_onnx(path)
    assert model.labels == ("0", "1", "2", "3")
    assert model.preprocessing == Preprocessing(3, 16, 16, (0, 0, 0), (1, 1, 1))
    assert (model.network, model.name) == ("small", str(path))
    assert model.record["onnx"].items() >= {"producer": "tests 1.0", "opset": 17}.items()
    assert model.layers["c.Conv"] == "Conv"
    large = opsin.import_onnx(classifier(1000).write(tmp_path / "large.onnx"))
    assert large.labels[:2] == ("tench", "goldfish")
    assert large.preprocessing.mean == (0.485, 0.456, 0.406)
    assert large.preprocessing.crop is not None
    assert large.preprocessing.crop.resize == 18
    grey = opsin.import_onnx(classifier(1000, channels=1).write(tmp_path / "grey.onnx"))
    assert grey.labels[-1] == "999"


def test_arguments_override_the_defaults(path: Path) -> None:
    preprocessing = Preprocessing(3, 16, 16, (0.5,) * 3, (0.2,) * 3)
    model = opsin.import_onnx(path, labels=["a", "b", "c", "d"], preprocessing=preprocessing)
    assert (model.labels, model.preprocessing) == (("a", "b", "c", "d"), preprocessing)
    with pytest.raises(UsageError, match=r"small.onnx distinguishes 4 classes, but 2 labels were given"):
        opsin.import_onnx(path, labels=["a", "b"])
    with pytest.raises(ModelError, match=r"takes images of 3 × 16 × 16, not 3 × 8 × 8"):
        opsin.import_onnx(path, preprocessing=Preprocessing(3, 8, 8, (0,) * 3, (1,) * 3))
    with pytest.raises(UsageError, match=r"takes images of 3 × 16 × 16, the preprocessing makes 3 × 8 × 8"):
        opsin.import_onnx(path, preprocessing=Preprocessing(3, 8, 8, (0,) * 3, (1,) * 3), input_shape=(3, 16, 16))


def test_free_sizes(tmp_path: Path) -> None:
    file = classifier(4)
    file.inputs, file.outputs = {"input": ("n", 3, "h", "w")}, {"output": ("n", 4)}
    path = file.write(tmp_path / "free.onnx")
    assert opsin.import_onnx(path, input_shape=(3, 24, 20)).preprocessing.shape == (3, 24, 20)
    preprocessing = Preprocessing(3, 12, 12, (0,) * 3, (1,) * 3)
    assert opsin.import_onnx(path, preprocessing=preprocessing).preprocessing == preprocessing
    with pytest.raises(ModelError, match="leaves the size of its images free"):
        opsin.import_onnx(path)


def test_saved_and_loaded(path: Path, tmp_path: Path) -> None:
    model = opsin.import_onnx(path)
    model.save(tmp_path / "small.opsin")
    loaded = opsin.load(tmp_path / "small.opsin")
    assert loaded.check() == 0
    assert str(loaded.graph) == str(model.graph)
    assert (loaded.labels, loaded.layers, loaded.record) == (model.labels, model.layers, model.record)


def test_it_trains(path: Path) -> None:
    model = opsin.import_onnx(path)
    graph = nn.training_step(model.graph, nn.optimizers.SGD(momentum=0.9))
    program = native.compile(graph, 8)
    program.load_state(model.state)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 3, 16, 16), dtype=np.uint8)
    pixels[:, 0] //= np.arange(1, 9, dtype=np.uint8)[:, None, None]
    x, labels = model.preprocessing.apply(pixels), np.arange(8) // 2
    losses = [float(program.run(inputs=x, labels=labels, learning_rate=0.02)["loss"]) for _ in range(150)]
    assert losses[-1] < losses[0] / 4
    before = dict(model.state)
    model.load_state(program.state())
    same = {name for name in before if np.array_equal(before[name], model.state[name])}
    assert same == {"n.mean", "n.var"}
    assert (model.logits(pixels).argmax(1) == labels).mean() > 0.8


def test_a_training_step_matches_the_reference(path: Path) -> None:
    """The native engine's step against the reference engine's, in float64."""
    model = opsin.import_onnx(path)
    graph = nn.training_step(model.graph, nn.optimizers.SGD())
    inputs = {"inputs": random(3, 3, 16, 16), "labels": [0, 1, 2], "learning_rate": 0.1}
    programs = native.compile(graph, 3), Reference(graph, 3, np.float64)
    for program in programs:
        program.load_state(model.state)
        program.run(**inputs)
    actual, expected = (program.state() for program in programs)
    for name in graph.variables:
        assert np.allclose(actual[name], expected[name], atol=1e-5), name


# -- the commands -----------------------------------------------------------------------------


def test_predict_and_evaluate(path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    for number in range(40):
        write_image(data / str(number % 4) / f"{number}.png", noise(number, 16, 16, 3))
    assert run(["predict", str(path), str(data / "0" / "0.png"), "--json"]) == 0
    (result,) = json.loads(capfd.readouterr().out)
    assert result["label"] in ("0", "1", "2", "3")
    assert sum(item["probability"] for item in result["ranked"]) == pytest.approx(1)
    assert run(["evaluate", str(path), str(data), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["images"] == 40


def test_describe(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["describe", str(path), "--json"]) == 0
    data = json.loads(capfd.readouterr().out)
    layers = {row["path"]: row for row in data["layers"]}
    assert layers["c.Conv"] == layers["c.Conv"] | {"kind": "Conv", "output": [8, 8, 8], "parameters": 216}
    assert layers["n.BatchNormalization"]["parameters"] == 16
    assert data["parameters"] == 216 + 16 + 4 * 8 + 4
    assert data["model"]["training"]["onnx"].items() >= {"producer": "tests 1.0", "opset": 17}.items()


def test_a_missing_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = File().add("Einsum", "x", "y", name="attention").write(tmp_path / "NET.ONNX")
    for arguments in (["predict", str(path), "x.png"], ["describe", str(path)], ["evaluate", str(path), "digits"]):
        assert run(arguments) == 1
        message = "uses operators or attributes that Opsin does not support:\n  Einsum: node 'attention'"
        assert message in capfd.readouterr().err
    assert run(["predict", str(tmp_path / "none.onnx"), "x.png"]) == 1
    assert "none.onnx: there is no such file" in capfd.readouterr().err

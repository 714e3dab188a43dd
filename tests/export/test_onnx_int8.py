"""`opsin ship --to onnx --precision int8`: the answers of Opsin's integers, in integer kernels of ONNX Runtime."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import opsin
from opsin import nn
from opsin.base.errors import ModelError, UsageError
from opsin.model import Model
from opsin.model.int8 import simulated_network
from tests.export.models import make, models
from tests.export.test_onnx import run, saved
from tests.export.zoo_models import pixels
from tests.interop.onnx.zoo import structure


def observed(name: str) -> Model:
    """A small untrained model that has seen images."""
    original = replace(models()[name], max_drop=np.inf)
    original.quantize(pixels(original, 8))
    return original


def test_answers_are_those_of_the_integers(digits_for_int8: Model, tmp_path: Path) -> None:
    images = np.asarray(opsin.data.load("digits").test.pixels)
    path = saved(digits_for_int8, tmp_path, precision="int8", preprocessing=True)
    found, _ = run(path, images.transpose(0, 2, 3, 1))
    digits_for_int8.precision = "int8"
    expected = digits_for_int8.logits(images)
    assert np.mean(found["logits"].argmax(1) == expected.argmax(1)) >= 0.999
    assert np.abs(found["logits"] - expected).max() <= 0.01 * np.ptp(expected)
    assert path.stat().st_size < 0.3 * saved(digits_for_int8, tmp_path / "..").stat().st_size


@pytest.mark.parametrize("name", ["stretched", "numbers", "pixels"])
def test_a_file_is_read_back(name: str, tmp_path: Path) -> None:
    original = observed(name)
    simulation, path = simulated_network(original), saved(original, tmp_path, precision="int8")
    again = opsin.import_onnx(path)
    assert structure(again.graph) == structure(simulation.graph)
    assert (again.task, again.preprocessing, again.tta) == (original.task, original.preprocessing, original.tta)
    images = pixels(original)
    found, _ = run(path, original.preprocessing.apply(images))
    again.save(tmp_path / "again.opsin")
    for key, array in opsin.load(tmp_path / "again.opsin").outputs(images).items():
        assert np.abs(found[key] - array).max() <= 0.02 * np.ptp(array), key


def test_onnx_runtime_multiplies_integers(digits_for_int8: Model, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is the oracle here")
    onnx = pytest.importorskip("onnx", reason="onnx reads what ONNX Runtime made of the file")
    options = runtime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(tmp_path / "optimized.onnx"), 3
    path = saved(digits_for_int8, tmp_path, precision="int8")
    runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    counts = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert counts["Conv"] == counts["Gemm"] == 0 and counts["QLinearConv"] == 2 and counts["QGemm"] == 3


def test_equal_layers_can_be_multiplied_exactly(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is the oracle here")
    layers = [layer for _ in range(3) for layer in (nn.Conv2d(3, 3, padding=1), nn.ReLU())]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4))
    original = make(network, models()["cropped"].preprocessing, tuple("abcd"), max_drop=np.inf)
    original.quantize(pixels(original, 8))
    path, options = saved(original, tmp_path, precision="int8"), runtime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    images = pixels(original)
    (found,) = session.run(["logits"], {"inputs": original.preprocessing.apply(images)})
    original.precision = "int8"
    assert np.abs(found - original.logits(images)).max() <= 0.02 * np.ptp(found)


def test_a_model_without_ranges_is_refused() -> None:
    with pytest.raises(ModelError, match=r"has no ranges for 8-bit integers.*--calibrate FOLDER"):
        opsin.ship(models()["grey"], "onnx", precision="int8")
    with pytest.raises(UsageError, match="precision of an export must be one of float32, int8, not 'int4'"):
        opsin.ship(models()["grey"], "onnx", precision="int4")


def test_a_rounded_network_has_no_ranges_and_no_gradients(tmp_path: Path) -> None:
    original = observed("grey")
    rounded = opsin.import_onnx(saved(original, tmp_path, precision="int8"))
    with pytest.raises(ModelError, match=r"is already rounded to 8-bit integers.*leave out --precision int8"):
        opsin.ship(rounded, "onnx", precision="int8")
    with pytest.raises(ModelError, match="is already rounded to 8-bit integers"):
        rounded.quantize(pixels(original, 4))
    assert nn.describe(rounded.graph).parameters == nn.describe(original.graph).parameters
    with pytest.raises(UsageError, match="is rounded to 8-bit integers, and has no gradients; give the model that"):
        opsin.see(rounded, pixels(original, 1))

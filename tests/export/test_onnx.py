"""`opsin ship --to onnx`: the same model for Opsin, the same numbers for ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import opsin
from opsin import nn, zoo
from opsin.base.errors import ModelError, UsageError
from opsin.data import Preprocessing
from opsin.model import Model
from opsin.tasks.identity.task import unit
from opsin.tasks.registry import find_task
from tests.export.zoo_models import NETWORKS, model, pixels
from tests.interop.onnx.zoo import structure, trained_state


def saved(model: Model, folder: Path, **options: Any) -> Path:
    return opsin.ship(model, "onnx", folder / "model.onnx", **options).save(folder / "model.onnx")


def run(path: Path, images: NDArray[Any]) -> tuple[Mapping[str, NDArray[np.float32]], Mapping[str, str]]:
    """The outputs and the metadata of a file in ONNX Runtime."""
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is the oracle here")
    pytest.importorskip("onnx", reason="onnx is the oracle here").checker.check_model(path, full_check=True)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    outputs = session.run(names, {session.get_inputs()[0].name: images})
    return dict(zip(names, outputs, strict=True)), session.get_modelmeta().custom_metadata_map


def assert_close(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    assert list(actual) == list(expected)
    for name, array in expected.items():
        assert np.abs(actual[name] - array).max() <= 1e-5 * np.ptp([0, *array.flat]), name


@pytest.mark.parametrize("task", NETWORKS)
def test_a_model_of_each_task_is_read_back(task: str, tmp_path: Path) -> None:
    original = model(task)
    again = opsin.import_onnx(saved(original, tmp_path))
    assert structure(again.graph) == structure(original.graph)
    assert (again.task, again.preprocessing, again.layers) == (original.task, original.preprocessing, original.layers)
    images = pixels(original)
    for name, array in original.outputs(images).items():
        assert np.array_equal(again.outputs(images)[name], array), name


@pytest.mark.parametrize("task", NETWORKS)
@pytest.mark.parametrize("options", [{}, {"preprocessing": True, "tta": True}], ids=["plain", "complete"])
def test_onnx_runtime_agrees(task: str, options: dict[str, bool], tmp_path: Path) -> None:
    original = model(task)
    if not original.task.mirrors:
        options = options and {"preprocessing": True}
    original.tta = "hflip" if options.get("tta") else None
    images = pixels(original)
    inputs = images.transpose(0, 2, 3, 1) if options else original.preprocessing.apply(images)
    actual, metadata = run(saved(original, tmp_path, **options), inputs)
    expected = original.outputs(images)
    if task == "identity":
        expected = {name: unit(vectors) for name, vectors in expected.items()}
    assert_close(actual, expected)
    assert json.loads(metadata["labels"]) == list(original.labels) and metadata["task"] == task


def test_everything_inside_is_read_back_as_the_model_alone(tmp_path: Path) -> None:
    original = model("classification", tta="hflip")
    path = saved(original, tmp_path, preprocessing=True)
    again = opsin.import_onnx(path)
    assert again.tta == "hflip" and structure(again.graph) == structure(original.graph)
    assert np.array_equal(again.logits(pixels(original)), original.logits(pixels(original)))
    assert opsin.import_onnx(saved(original, tmp_path, tta=False)).tta is None


def test_calibration_and_labels_travel(digits: Model, tmp_path: Path) -> None:
    assert digits.calibration is not None and digits.preprocessing.dark_background
    again = opsin.import_onnx(saved(digits, tmp_path), labels=[f"digit {n}" for n in range(10)])
    assert again.calibration == digits.calibration and again.labels[3] == "digit 3"
    answers = [each.predict("docs/seven.png")[0] for each in (digits, opsin.import_onnx(tmp_path / "model.onnx"))]
    assert str(answers[0]) == str(answers[1])


def test_light_images_are_inverted_inside(digits: Model, tmp_path: Path) -> None:
    images = opsin.data.load("digits").test.pixels[:20]
    images = np.concatenate([images, 255 - np.asarray(images)])
    actual, _ = run(saved(digits, tmp_path, preprocessing=True), images.transpose(0, 2, 3, 1))
    expected = digits.logits(images[:20])
    assert np.abs(actual["logits"] - np.concatenate([expected, expected])).max() <= 1e-5 * np.ptp(expected)


def test_stacked_frames_keep_their_order_of_axes(tmp_path: Path) -> None:
    graph = nn.trace(zoo.create("egomotion"), (12, 80, 80))
    preparation = Preprocessing(3, 80, 80, (0.5, 0.4, 0.3), (0.3, 0.2, 0.1), frames=4)
    original = Model("egomotion", graph, trained_state(graph), preparation, find_task("regression").with_outputs(1))
    images = pixels(original)
    actual, _ = run(saved(original, tmp_path, preprocessing=True), images)
    assert_close(actual, original.outputs(images))


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="regression, whose mirrored outputs cannot be averaged; omit tta"):
        opsin.ship(model("regression"), "onnx", tta=True)
    with pytest.raises(UsageError, match="does identity, whose answers have no labels; leave them out"):
        opsin.import_onnx(saved(model("identity"), tmp_path), labels=["Anna"])
    path = saved(model("classification"), tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"mean":[0.4]', b'"mean":[0,4]'))
    with pytest.raises(ModelError, match="does not describe a valid network"):
        opsin.import_onnx(path)
    with pytest.raises(ModelError, match="does not describe a valid network: its network does not take the images"):
        opsin.import_onnx(saved(model("classification"), tmp_path), preprocessing=Preprocessing(1, 9, 9, (0,), (1,)))

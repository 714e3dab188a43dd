"""`opsin ship --to onnx --resize`: the file resizes images as Opsin's portable resizing does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import opsin
from opsin.data.preprocessing import portable_preprocessing
from opsin.export.runtime.tasks import task_description
from tests.export.models import images, models
from tests.export.test_onnx import run, saved
from tests.interop.onnx.zoo import structure


@pytest.mark.parametrize("name", ["grey", "stretched", "cropped"])
def test_pixels_are_those_of_the_portable_resizing(name: str, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is the oracle here")
    onnx = pytest.importorskip("onnx", reason="onnx exposes the resized pixels")
    model = models()[name]
    file = onnx.load(saved(model, tmp_path, resize=True))
    onnx.checker.check_model(file, full_check=True)
    (clip,) = (node for node in file.graph.node if node.op_type == "Clip")
    file.graph.output.append(onnx.helper.make_tensor_value_info(clip.output[0], onnx.TensorProto.FLOAT, None))
    session = runtime.InferenceSession(file.SerializeToString(), providers=["CPUExecutionProvider"])
    preparation = portable_preprocessing(replace(model.preprocessing, dark_background=False))
    for image in images():
        image = image[:, :, : preparation.channels]
        (pixels,) = session.run([clip.output[0]], {"images": image[None]})
        expected = preparation.read(Image.fromarray(image.squeeze(2) if image.shape[2] == 1 else image), "the image")
        difference = np.abs(pixels[0] - expected)
        assert difference.max() <= 1 and (difference > 0).mean() <= 0.002, image.shape  # sums in another order


def test_answers_are_those_of_opsin(tmp_path: Path) -> None:
    model = models()["grey"]
    path = saved(model, tmp_path, resize=True)
    rng = np.random.default_rng(2)
    batch = rng.integers(0, 256, (2, 37, 61, 1), np.uint8) // 4 + np.array([0, 190], np.uint8).reshape(2, 1, 1, 1)
    preparation = portable_preprocessing(model.preprocessing)
    pixels = np.stack([preparation.read(Image.fromarray(image.squeeze(2)), "the image") for image in batch])
    found, metadata = run(path, batch)
    expected = model.outputs(pixels)["logits"]
    assert np.abs(found["logits"] - expected).max() <= 0.01 * np.ptp(expected)
    assert structure(opsin.import_onnx(path).graph) == structure(model.graph)
    assert json.loads(metadata["decoding"])["threshold"] == task_description(model)["threshold"]
    assert json.loads(metadata["input"])["framing"] == {"kind": "fit", "interpolation": "bicubic"}

"""`--to js` in Node: pixels, outputs and answers are those of portable prediction, and changed files are refused."""

from __future__ import annotations

import base64
import json
import random
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import opsin
from opsin.base.errors import UsageError
from opsin.export.runtime.script import compact
from opsin.model import Model
from opsin.tasks.identity.task import unit
from tests.export.models import classifier, feature_model, images, make, models

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")

HEAD = """
import fs from 'node:fs'
const data = JSON.parse(fs.readFileSync(0, 'utf8'))
if (data.scalar) WebAssembly.validate = () => false
const {load, OpsinError} = await import(`file://${data.folder}/index.js`)
const base64 = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('base64')
"""

ANSWERS = (
    HEAD
    + """
const model = await load()
let first
const results = data.images.map(({content, width, height}) => {
  const image = new Uint8Array(Buffer.from(content, 'base64'))
  const pixels = model.pixels(image, width, height), outputs = model.outputs(pixels)
  const answer = model.predict(image, width, height)
  if (answer.ids) answer.ids = base64(answer.ids)
  if (answer.embedding) {
    answer.comparison = model.compare(first ??= answer.embedding, answer.embedding)
    answer.embedding = base64(answer.embedding)
  }
  return {answer, pixels: base64(pixels), outputs: Object.values(outputs).map(base64)}
})
process.stdout.write(JSON.stringify(results))
"""
)

FLIPS = (
    HEAD
    + """
const read = async (name) => new Uint8Array(fs.readFileSync(`${data.folder}/${name}`))
const results = []
for (const [file, bit] of data.flips) {
  try {
    await load({read: async (name) => {
      const bytes = await read(name)
      if (name === file) bytes[bit >> 3] ^= 1 << (bit & 7)
      return bytes
    }})
    results.push('accepted')
  } catch (error) {
    results.push(error instanceof OpsinError ? error.message : String(error))
  }
}
await load({read})
process.stdout.write(JSON.stringify(results))
"""
)


def node(script: str, data: dict[str, Any]) -> Any:
    command = ["node", "--input-type=module", "-e", script]
    done = subprocess.run(command, input=json.dumps(data), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def encoded(image: np.ndarray) -> dict[str, Any]:
    return {"content": base64.b64encode(image.tobytes()).decode(), "width": image.shape[1], "height": image.shape[0]}


@needs_node
@pytest.mark.parametrize("scalar", [False, True], ids=["vector", "scalar"])
@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("name", list(models()))
def test_results_are_those_of_portable_prediction(name: str, precision: str, scalar: bool, tmp_path: Path) -> None:
    model = replace(quantized(name) if precision == "int8" else models()[name], precision=precision, _programs={})
    _compare_with_prediction(model, tmp_path, scalar)


@cache
def quantized(name: str) -> Model:
    """Return a model with ranges and rounded weights, which take seconds; callers do not change it."""
    model = models()[name]
    model.quantize(images())
    return model


@needs_node
def test_features_without_labels_are_compared(tmp_path: Path) -> None:
    _compare_with_prediction(feature_model(), tmp_path)


@needs_node
@pytest.mark.parametrize("layer", ["0", "3", "6"])
def test_layers_that_stay_in_float32_have_the_same_bits(layer: str, tmp_path: Path) -> None:
    model = models()["stretched"]
    model.quantize(images(), float_layers=[layer])
    model.precision = "int8"
    _compare_with_prediction(model, tmp_path)


def _compare_with_prediction(model: Model, folder: Path, scalar: bool = False) -> None:
    model.portable, given = True, images()
    opsin.ship(model, "js", folder, precision=model.precision)
    results = node(ANSWERS, {"folder": str(folder), "images": [encoded(image) for image in given], "scalar": scalar})
    answers = model.predict(given)
    for image, result, answer in zip(given, results, answers, strict=True):
        pixels = model.reader.read(Image.fromarray(image), "the image")
        assert base64.b64decode(result["pixels"]) == pixels.tobytes()
        outputs = model.outputs(pixels[None])
        assert [base64.b64decode(each) for each in result["outputs"]] == [each.tobytes() for each in outputs.values()]
        if model.task.name == "self-supervised":
            assert base64.b64decode(result["answer"]["embedding"]) == unit(answer.vector[None]).tobytes()
            assert result["answer"]["comparison"]["same"] is None
        elif model.task.name == "identity":
            _compare_vectors(model, result["answer"], answer, answers[0])
        else:
            _compare(model, result["answer"], answer)


def _compare_vectors(model: Model, actual: dict[str, Any], expected: Any, first: Any) -> None:
    """Compare a vector and its comparison with the first one."""
    assert base64.b64decode(actual["embedding"]) == expected.vector.tobytes()
    comparison = model.task.compare(first, expected, model.calibration).to_data()
    assert actual["comparison"] == {key: pytest.approx(value, rel=1e-12) for key, value in comparison.items()}


def _compare(model: Model, actual: dict[str, Any], expected: Any) -> None:
    """Compare answers: numbers within the rounding of exponentials, everything else exactly."""
    assert actual.pop("task") == model.task.name
    if model.task.name == "segmentation":
        ids = np.frombuffer(base64.b64decode(actual["ids"]), np.uint8).reshape(actual["height"], actual["width"])
        assert (ids == expected.ids).mean() > 0.999
        return
    if model.task.name == "regression":
        assert len(actual["quantities"]) == len(expected.quantities)
        for row, quantity in zip(actual["quantities"], expected.quantities, strict=True):
            assert row == {key: getattr(quantity, key) for key in ("name", "value", "unit", "low", "high")}
        return
    ranking = [(row["label"], pytest.approx(row["probability"], rel=1e-12)) for row in actual["ranking"]]
    assert [tuple(row) for row in expected.ranking] == ranking
    if model.task.name == "multilabel":
        assert tuple(actual["labels"]) == expected.labels
    else:
        assert (actual["label"], actual["known"]) == (expected.label, expected.reliable)


@needs_node
def test_flipped_bits_are_refused(tmp_path: Path) -> None:
    export = opsin.ship(models()["grey"], "js", tmp_path)
    names = ["model.json", "weights.bin", "module.wasm", "module-scalar.wasm"]
    rng = random.Random(0)
    flips = [(name, rng.randrange(8 * len(export.files[name]))) for name in names for _ in range(50)]
    results = node(FLIPS, {"folder": str(tmp_path), "flips": flips})
    assert results == [
        f"{name} is not the file that was exported; export the model again, all files together" for name, _ in flips
    ]


@needs_node
def test_bad_images_are_refused_in_words(tmp_path: Path) -> None:
    opsin.ship(models()["grey"], "js", tmp_path)
    script = (
        HEAD
        + """
    const model = await load(), texts = []
    const calls = [[new Uint8Array(7), 2, 2], [[1, 2], 1, 2], [new Uint8Array(4), 0, 4], [new Uint8Array(4), 1.5, 1]]
    for (const call of calls) try { model.predict(...call) } catch (error) { texts.push(error.message) }
    try { model.compare(new Float32Array(3), new Float32Array(3)) } catch (error) { texts.push(error.message) }
    process.stdout.write(JSON.stringify(texts))
    """
    )
    texts = node(script, {"folder": str(tmp_path)})
    assert texts[0] == "expected 4 × 4 (RGBA), × 3 (RGB) or × 1 (grey) bytes for 2 × 2 pixels, not 7"
    assert texts[1].startswith("expected 2 × 4") and all("whole numbers above 0" in text for text in texts[2:4])
    assert texts[4:] == ["this model does classification, and compares no images; ship one for identities"]


@needs_node
def test_digests_do_not_need_the_browsers_help(tmp_path: Path) -> None:
    opsin.ship(models()["grey"], "js", tmp_path)
    script = (
        "Object.defineProperty(globalThis, 'crypto', {value: {}})\n"
        + HEAD
        + """
    await load()
    process.stdout.write('"loaded"')
    """
    )
    assert node(script, {"folder": str(tmp_path)}) == "loaded"


@needs_node
def test_frames_of_a_film_are_compared(tmp_path: Path) -> None:
    numbers = models()["numbers"]
    model = make(classifier(2), replace(numbers.preprocessing, frames=3), numbers.task, calibration=numbers.calibration)
    model.portable = True
    opsin.ship(model, "js", tmp_path)
    film = [image for image in images() if min(image.shape[:2]) > 5]
    script = (
        HEAD
        + """
    const model = await load(), answers = []
    for (let turn = 0; turn < 2; turn++) {
      model.restart()
      for (const {content, width, height} of data.images) {
        answers.push(model.predict(new Uint8Array(Buffer.from(content, 'base64')), width, height).quantities[0].value)
      }
    }
    process.stdout.write(JSON.stringify(answers))
    """
    )
    found = node(script, {"folder": str(tmp_path), "images": [encoded(image) for image in film]})
    expected = [answer.quantities[0].value for answer in model.predict(film)]
    assert found == expected * 2 and len(set(expected)) == len(film)


def test_models_that_pages_cannot_run_are_refused() -> None:
    model = models()["grey"]
    model.preprocessing = opsin.data.Preprocessing(2, 19, 22, (0.1,) * 2, (0.3,) * 2)
    with pytest.raises(UsageError, match="takes 2 channels; pages show grey and RGB images"):
        opsin.ship(model, "js")


def test_comments_are_removed() -> None:
    assert compact("/* one\n two */\n\n  const a = 1 // 2\n  /** three */\n// four\nb()\n") == "const a = 1 // 2\nb()\n"

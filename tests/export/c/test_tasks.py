"""Every task that C decodes, with every way to frame an image: outputs are bit-identical, and answers are the same."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import opsin
from opsin.base.errors import UsageError
from opsin.tasks.identity.answers import Embedding
from opsin.tasks.identity.task import unit
from tests.backends.c.support import compiler
from tests.export.c.support import CModel
from tests.export.models import classifier, feature_model, images, make, models

MODELS = models()
NAMES = list(MODELS)


def answers(compiled: CModel, function: str, pixels: np.ndarray) -> np.ndarray:
    values = np.zeros(compiled.count, np.float32)
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (pixels, values)]
    assert compiled.call(function, pointers[0], pixels.shape[1], pixels.shape[0], pixels.shape[2], pointers[1]) == 0
    return values


def classes(compiled: CModel, pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    found = np.full((rows, columns), 255, np.uint8)
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (pixels, found)]
    arguments = pointers[0], pixels.shape[1], pixels.shape[0], pixels.shape[2], pointers[1], columns, rows
    assert compiled.call("segment", *arguments) == 0
    return found


@pytest.mark.parametrize("name", NAMES)
def test_outputs_and_answers(name: str, tmp_path: Path) -> None:
    model = replace(MODELS[name], portable=True, _programs={})
    compiled = CModel(model, tmp_path, extra_bytes=50_000)
    assert compiled.call("self_test") == 0
    for pixels in images():
        read = model.reader.read(Image.fromarray(pixels), "image")[None]
        state, outputs = compiled.outputs(pixels)
        assert state == 0
        (expected_outputs,) = model.outputs(read).values()
        assert outputs.tobytes() == np.moveaxis(expected_outputs, 1, -1)[0].tobytes(), pixels.shape
        (answer,) = model.predict(pixels)
        if name == "pixels":
            assert np.array_equal(classes(compiled, pixels, *pixels.shape[:2]), answer.ids)
            (other,) = model.task.answers(model.outputs(read), [(31, 7)], None, None)
            assert np.array_equal(classes(compiled, pixels, 31, 7), other.ids)
        elif name == "numbers":
            expected = [quantity.value for quantity in answer.quantities]
            assert np.allclose(answers(compiled, "measure", pixels), expected, rtol=1e-6, atol=1e-6)
        elif name == "vectors":
            assert answers(compiled, "embed", pixels).tobytes() == answer.vector.tobytes()
        elif name == "labels":
            found = answers(compiled, "probabilities", pixels)
            assert np.allclose(found, [dict(answer.ranking)[label] for label in model.labels], atol=1e-6)
        else:
            best, probabilities = compiled.predict(pixels)
            assert model.labels[best] == answer.label
            assert np.allclose(probabilities, [dict(answer.ranking)[label] for label in model.labels], atol=1e-6)


def test_vectors_are_compared(tmp_path: Path) -> None:
    model = MODELS["vectors"]
    compiled = CModel(model, tmp_path)
    for function, count in (("similarity", 2), ("probability", 1)):
        each = getattr(compiled.library, f"small_{function}")
        each.restype = ctypes.c_float
        each.argtypes = [ctypes.c_void_p] * 2 if count == 2 else [ctypes.c_float]
    first, second = unit(np.random.default_rng(0).normal(size=(2, compiled.count)))
    similarity = compiled.library.small_similarity(*(vector.ctypes.data for vector in (first, second)))
    for value in (similarity, -1.0, 0.0, 1.0):
        expected = model.calibration.probability(value)
        assert compiled.library.small_probability(value) == pytest.approx(expected, abs=1e-6)
    comparison = model.task.compare(Embedding(first), Embedding(second), model.calibration)
    assert similarity == pytest.approx(comparison.similarity, abs=1e-7)
    without = opsin.ship(replace(model, calibration=None), "c").files
    assert b"small_similarity" in without["src/small.h"] and b"small_probability" not in without["src/small.h"]


def test_features_without_labels_are_compared(tmp_path: Path) -> None:
    model = replace(feature_model(), portable=True)
    compiled = CModel(model, tmp_path)
    assert compiled.call("self_test") == 0
    for pixels in images()[2:5]:
        read = model.reader.read(Image.fromarray(pixels), "image")[None]
        features = model.outputs(read)["features"]
        assert compiled.outputs(pixels)[1].tobytes() == features.tobytes()
        assert answers(compiled, "embed", pixels).tobytes() == unit(features).tobytes()


def test_units_thresholds_and_margins_are_exported() -> None:
    numbers = opsin.ship(MODELS["numbers"], "c").files["src/small.c"].decode()
    assert 'small_units[SMALL_OUTPUTS] = {"m", ""}' in numbers
    assert "small_margins[SMALL_OUTPUTS] = {0x1.0p-1f, 0x1.0p-2f}" in numbers
    labels = opsin.ship(MODELS["labels"], "c").files["src/small.c"].decode()
    assert "small_thresholds[SMALL_OUTPUTS] = {0x1.0p-1f, " in labels


@pytest.mark.parametrize("name", NAMES)
def test_the_project_for_a_pc_compiles(name: str, tmp_path: Path) -> None:
    opsin.ship(MODELS[name], "c", tmp_path / "small")
    flags = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-Isrc", "pc/main.c"]
    done = subprocess.run(
        [compiler("gcc"), *flags], cwd=tmp_path / "small", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_frames_of_a_film_are_compared(precision: str, tmp_path: Path) -> None:
    numbers = MODELS["numbers"]
    model = make(classifier(2), replace(numbers.preprocessing, frames=3), numbers.task, calibration=numbers.calibration)
    if precision == "int8":
        model.quantize(np.random.default_rng(1).integers(0, 256, (40, *model.preprocessing.shape), np.uint8))
    model = replace(model, portable=True, precision=precision, max_drop=np.inf, _programs={})
    compiled = CModel(model, tmp_path, extra_bytes=50_000, precision=precision)
    assert compiled.call("self_test") == 0
    film = [image for image in images() if min(image.shape[:2]) > 5]
    for _ in range(2):
        for pixels, answer in zip(film, model.predict(film), strict=True):
            expected = [quantity.value for quantity in answer.quantities]
            assert np.allclose(answers(compiled, "measure", pixels), expected, rtol=1e-6, atol=1e-6)
        compiled.library.small_restart()


def test_films_are_neither_streamed_nor_averaged() -> None:
    film = replace(MODELS["numbers"].preprocessing, frames=2)
    model = make(classifier(4), film, MODELS["stretched"].task)
    with pytest.raises(UsageError, match="which C does not combine with stream; leave it out"):
        opsin.ship(model, "c", stream=True)
    model.tta = "hflip"
    with pytest.raises(UsageError, match=r"with averaging over mirror images \(tta\)"):
        opsin.ship(model, "c")

"""A model in C answers as `opsin predict --portable` does, and its self-test refuses what is not the same."""

from __future__ import annotations

import ctypes
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import opsin
from opsin import nn
from opsin.backends.native.codegen import host
from opsin.backends.portable import COMPACT, portable_program
from opsin.base.errors import ModelError, UsageError
from opsin.data import Preprocessing
from opsin.export.c.names import comment, prefix_of, string
from opsin.model import Model
from tests.backends.c.support import VARIANTS, library
from tests.export.c.support import CModel


def small_model(labels: tuple[str, ...] = ("a", "b", "c"), **fields: object) -> Model:
    network = nn.Sequential(
        nn.Conv2d(8, 3, padding=1), nn.SiLU(), nn.MaxPool2d(2), nn.Conv2d(8, 3, groups=8), nn.ReLU(), nn.Flatten(),
        nn.Linear(len(labels)),
    )  # fmt: skip
    graph = nn.trace(network, (3, 12, 10))
    preprocessing = Preprocessing(3, 12, 10, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    return Model("small", graph, nn.initial_state(graph, 2), preprocessing, labels, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_and_probabilities(variant: str, digits: Model, tmp_path: Path) -> None:
    model = replace(digits, portable=True, _programs={})
    compiled = CModel(model, tmp_path, variant)
    assert compiled.call("self_test") == 0
    rng = np.random.default_rng(0)
    for size in ((28, 28), (40, 33), (60, 80)):
        pixels = rng.integers(0, 256, size, dtype=np.uint8)
        answer = model.predict(pixels)[0]
        state, logits = compiled.outputs(pixels)
        best, probabilities = compiled.predict(pixels)
        read = model.reader.read(_pillow(pixels), "image")
        assert state == 0
        assert logits.tobytes() == model.logits(read[None])[0].tobytes()
        assert model.labels[best] == answer.label
        expected = dict(answer.ranking)
        assert np.allclose(probabilities, [expected[label] for label in model.labels], atol=1e-6)


def test_outputs_are_averaged_over_mirror_images(tmp_path: Path) -> None:
    model = small_model(tta="hflip", portable=True)
    compiled = CModel(model, tmp_path, extra_bytes=9000)
    assert compiled.call("self_test") == 0
    pixels = np.random.default_rng(3).integers(0, 256, (31, 20, 3), dtype=np.uint8)
    state, logits = compiled.outputs(pixels)
    read = model.reader.read(_pillow(pixels), "image")
    assert state == 0
    assert logits.tobytes() == model.logits(read[None])[0].tobytes()
    assert logits.tobytes() != replace(model, tta=None, _programs={}).logits(read[None])[0].tobytes()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("tta", [None, "hflip"])
def test_8_bit_integers(tta: str | None, variant: str, tmp_path: Path) -> None:
    model = small_model(tta=tta, portable=True)
    rng = np.random.default_rng(4)
    model.quantize(rng.integers(0, 256, (32, 3, 12, 10), dtype=np.uint8))
    compiled = CModel(model, tmp_path, variant, extra_bytes=9000, precision="int8")
    assert compiled.call("self_test") == 0
    exact, model.precision = model.logits(np.zeros((1, 3, 12, 10), np.uint8)), "int8"
    assert model.logits(np.zeros((1, 3, 12, 10), np.uint8)).tobytes() != exact.tobytes()
    for size in ((12, 10, 3), (31, 20, 3)):
        pixels = rng.integers(0, 256, size, dtype=np.uint8)
        state, logits = compiled.outputs(pixels)
        assert state == 0
        assert logits.tobytes() == model.logits(model.reader.read(_pillow(pixels), "image")[None])[0].tobytes()


def test_models_without_ranges_are_refused_in_8_bit_integers() -> None:
    with pytest.raises(ModelError, match="no ranges"):
        opsin.ship(small_model(), "c", precision="int8")
    with pytest.raises(UsageError, match="int4"):
        opsin.ship(small_model(), "c", precision="int4")


def test_a_changed_weight_is_refused(tmp_path: Path) -> None:
    model = small_model()
    CModel(model, tmp_path)
    (built,) = tmp_path.glob("*.so")
    content, weights = built.read_bytes(), portable_program(model.graph, model.state, COMPACT).constants
    start = content.index(weights)
    rng = np.random.default_rng(0)
    for number, bit in enumerate(rng.choice(8 * len(weights), 40, replace=False)):
        changed = bytearray(content)
        changed[start + bit // 8] ^= 1 << (bit % 8)
        path = tmp_path / f"changed{number}.so"
        path.write_bytes(changed)
        assert ctypes.CDLL(str(path)).small_self_test() == -3


def test_fused_arithmetic_is_refused(tmp_path: Path) -> None:
    if "fma" not in host().enabled:
        pytest.skip("needs a processor with fused multiplication and addition")
    files = opsin.ship(small_model(), "c").files
    text = files["src/small.c"].decode()
    unprotected = re.sub(r"^#pragma GCC optimize.*$", "", text, flags=re.MULTILINE)
    assert unprotected != text
    (tmp_path / "small.h").write_bytes(files["src/small.h"])
    command = ("gcc", "-O2", "-std=gnu99", "-march=native", "-ffp-contract=fast", "-I.")
    assert library(tmp_path, {"small.c": unprotected}, command).small_self_test() == -4
    assert library(tmp_path, {"small.c": text}, command).small_self_test() == 0


def test_images_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    compiled = CModel(small_model(), tmp_path)
    pixels = np.zeros((12, 10, 3), np.uint8)
    assert compiled.outputs(pixels)[0] == 0
    assert compiled.outputs(pixels[..., :2])[0] == -1
    assert compiled.outputs(np.zeros((2000, 5000, 3), np.uint8))[0] == -2
    assert compiled.outputs(np.zeros((0, 10, 3), np.uint8))[0] == -1


def test_the_same_model_gives_the_same_bytes(digits: Model) -> None:
    assert opsin.ship(digits, "c").files == opsin.ship(digits, "c").files


def test_the_certificate_counts_what_the_plan_determines(digits: Model) -> None:
    export = opsin.ship(digits, "c")
    data = json.loads(export.files["certificate.json"])
    header = export.files["src/digits.h"].decode()
    assert f"#define DIGITS_RAM {data['ram_bytes']}\n" in header
    assert f"#define DIGITS_WEIGHTS {data['weights_bytes']}\n" in header
    assert data["macs"] == nn.describe(digits.graph).macs
    assert data["compilers"] == []
    first_map = 28 * 28 * 6
    assert 4 * first_map <= data["ram_bytes"] < 4 * first_map + 1000, "the map replaces the image"


def test_labels_and_names_are_safe_in_c(tmp_path: Path) -> None:
    labels = ('"; exit(1); //', "Straße *​/ ??/", "\\")
    model = small_model(labels, name="12 odd-Names.opsin")
    compiled = CModel(model, tmp_path)
    assert compiled.prefix == "model_12_odd_names"
    assert compiled.call("self_test") == 0
    assert string('a"ß?') == '"a\\042\\303\\237\\077"'
    assert comment("a */ b") == "a * / b"
    assert prefix_of(replace(model, name="x" * 50 + ".onnx", _programs={})) == "x" * 21


def test_models_without_a_row_of_numbers_are_refused() -> None:
    graph = nn.trace(nn.Conv2d(2, 1), (3, 8, 8))
    model = replace(small_model(), graph=graph, _programs={})
    with pytest.raises(UsageError, match="no row of numbers"):
        opsin.ship(model, "c")


def _pillow(pixels: np.ndarray):  # type: ignore[no-untyped-def]
    from PIL import Image

    return Image.fromarray(pixels)

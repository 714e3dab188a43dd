"""`opsin.ship(..., precision="int8")`: what an export in 8-bit integers holds, and which models are refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

import opsin
from opsin.apps.cli.main import run
from opsin.base.errors import ModelError, UsageError
from opsin.export.goldens import golden_images
from opsin.model import Model, int8
from opsin.quantization.comparison import Comparison
from tests.export.models import images, models


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_golden_outputs_are_those_of_portable_prediction(precision: str) -> None:
    model = models()["grey"]
    model.quantize(images())
    description = json.loads(opsin.ship(model, "js", precision=precision).files["model.json"])
    model.portable, model.precision = True, precision
    rows = model.outputs(golden_images(model.preprocessing.input_shape))["logits"]
    assert description["goldenDigests"] == [hashlib.sha256(row.tobytes()).hexdigest() for row in rows]
    assert len({*description["goldenDigests"]}) == 8 and description["precision"] == precision


def test_weights_take_a_quarter_of_the_space(digits_for_int8: Model) -> None:
    digits = digits_for_int8
    exact, quantized = (opsin.ship(digits, "js", precision=precision).files for precision in ("float32", "int8"))
    assert len(quantized["weights.bin"]) < 0.27 * len(exact["weights.bin"])
    assert opsin.ship(digits, "js").files == exact
    assert opsin.ship(digits, "js", precision="int8").files == quantized
    pages = [opsin.ship(digits, "web", precision=precision).size for precision in ("float32", "int8")]
    assert pages[1] < 0.4 * pages[0]


@pytest.mark.parametrize("to", ["web", "js"])
def test_models_that_cannot_predict_in_int8_are_refused(to: str) -> None:
    model = models()["grey"]
    with pytest.raises(ModelError, match="has no ranges for 8-bit integers"):
        opsin.ship(model, to, precision="int8")
    record = model.quantize(images())
    model.quantization = replace(record, comparison=Comparison(1000, 950, lost=30, won=10))
    with pytest.raises(ModelError, match=r"loses too much in int8: .* a drop of 2\.00 points"):
        opsin.ship(model, to, precision="int8")
    model.max_drop = 2.5
    assert opsin.ship(model, to, precision="int8").size


@pytest.mark.parametrize("precision", ["bf16", 8, None])
def test_other_precisions_are_refused(precision: object) -> None:
    with pytest.raises(UsageError, match="the precision of an export must be one of float32, int8, not"):
        opsin.ship(models()["grey"], "web", precision=precision)


def test_a_command_quantizes_once(digits_for_int8: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits_for_int8.save(tmp_path / "m.opsin")
    calls, quantize = list[int](), int8.quantize_graph
    monkeypatch.setattr(int8, "quantize_graph", lambda *arguments: (calls.append(1), quantize(*arguments))[1])
    out = str(tmp_path / "out")
    assert run(["ship", str(tmp_path / "m.opsin"), "--to", "c", "--precision", "int8", "--out", out]) == 0
    assert len(calls) == 1

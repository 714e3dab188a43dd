"""Predictions in bfloat16: close to those in float32, for one call or for all, and never in what a file promises."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from opsin import nn
from opsin.backends.native import compile
from opsin.backends.reference import Reference
from opsin.base.errors import UsageError
from opsin.compiler.precision import Precision
from opsin.data import LabeledImages, Preprocessing
from opsin.model import Model, load
from opsin.report.speed import measure_speed
from tests.model.networks import LABELS


def model_of(engine: object = compile) -> Model:
    network = nn.Sequential(
        nn.Conv2d(16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 3, padding=1), nn.GlobalAvgPool2d(), nn.Flatten(),
        nn.Linear(3),
    )  # fmt: skip
    graph = nn.trace(network, (3, 16, 16))
    preprocessing = Preprocessing(3, 16, 16, (0.5,) * 3, (0.25,) * 3)
    return Model("mine", graph, nn.initial_state(graph, 0), preprocessing, LABELS, engine=engine)  # type: ignore[arg-type]


def images(count: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(count).integers(0, 256, (count, 3, 16, 16)).astype(np.uint8)


def probabilities(answers: list[object]) -> list[float]:
    return [answer.probability for answer in answers]  # type: ignore[attr-defined]


def test_a_call_may_be_in_bfloat16() -> None:
    model, pixels = model_of(), images(20)
    full = probabilities(model.predict(pixels))
    narrow = probabilities(model.predict(pixels, precision="bf16"))
    assert narrow != full and narrow == pytest.approx(full, abs=0.01)
    assert probabilities(model.predict(pixels)) == full, "the model stays in float32"
    assert probabilities(model.predict(pixels, precision="float32")) == full
    assert {precision for _, precision, _ in model._programs} == {Precision.FLOAT32, Precision.BF16}


def test_all_calls_may_be_in_bfloat16() -> None:
    model, pixels = model_of(), images(20)
    full, narrow = model.logits(pixels), probabilities(model.predict(pixels, precision="bf16"))
    model.precision = "bf16"
    assert probabilities(model.predict(pixels)) == narrow
    assert model.logits(pixels).dtype == np.float32
    assert 0 < np.abs(model.logits(pixels) - full).max() < 0.05 * np.abs(full).max()
    labels = np.arange(20, dtype=np.int32) % 3
    assert model.evaluate(LabeledImages(pixels, labels, LABELS)).score.images == 20
    assert pickle.loads(pickle.dumps(model)).precision == "bf16"
    measure_speed(model, 0.0)


def test_new_parameters_reach_programs_in_both_precisions() -> None:
    model, other, pixels = model_of(), model_of(), images(4)
    state = {name: 2 * array for name, array in model.state.items()}
    for precision in Precision:
        model.predict(pixels, precision=precision)
    model.load_state(state)
    other.load_state(state)
    for precision in Precision:
        answers = (each.predict(pixels, precision=precision) for each in (model, other))
        assert probabilities(next(answers)) == probabilities(next(answers))


def test_a_file_is_checked_in_float32(tmp_path: Path) -> None:
    narrow, full = model_of(), model_of()
    narrow.precision = "bf16"
    for name, model in (("narrow", narrow), ("full", full)):
        model.save(tmp_path / name)
    assert (tmp_path / "narrow").read_bytes() == (tmp_path / "full").read_bytes()
    loaded = load(tmp_path / "narrow")
    assert loaded.precision == "float32"
    loaded.precision = "bf16"
    assert loaded.check() == 0


@pytest.mark.parametrize("name", ["fp16", "", "BF16"])
def test_other_names_are_refused(name: str) -> None:
    model = model_of()
    with pytest.raises(UsageError, match=f"^the precision must be one of float32, bf16, int8, not '{name}'$"):
        model.predict("no such file.png", precision=name)
    model.precision = name
    with pytest.raises(UsageError, match="the precision must be one of float32, bf16"):
        model.logits(images(1))


def test_an_engine_that_cannot_says_so() -> None:
    model = model_of(lambda graph, batch, threads: Reference(graph, batch))
    with pytest.raises(UsageError, match="the engine has no options"):
        model.predict(images(1), precision="bf16")
    assert len(model.predict(images(1))) == 1

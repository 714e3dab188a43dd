"""Plans in bfloat16: training steps store feature maps narrow, and everything else about a run stays as it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import opsin
from opsin import nn
from opsin.backends.native import Native, compile
from opsin.backends.native.codegen import host
from opsin.backends.options import DEFAULT, CompileOptions
from opsin.backends.reference import compile as reference
from opsin.base.errors import UsageError
from opsin.compiler.precision import Precision
from opsin.data import Dataset, load
from opsin.ir import Graph
from opsin.kernels.ir import bfloat16
from opsin.model.record import held_out
from opsin.runs import Run
from opsin.runs.learning_curve import CurveRun
from opsin.runs.listing import differences
from opsin.runs.resume import configuration, reopen
from opsin.training import Rewound, Stage, Step, Trainer, TrainingPlan
from opsin.training.features import FeatureCache
from tests.data.annotated_folders import write_numbers
from tests.data.files import write_stripes

STAGES = (
    Stage(name="head", epochs=2, batch=8, learning_rate=0.01, frozen=("conv", "norm", "more"), features=True),
    Stage(name="all", epochs=2, batch=8, learning_rate=0.01),
)
PLAN = TrainingPlan(network="mine", stages=STAGES, ema=0.9, precision="bf16")


def network() -> nn.Layer:
    return nn.Sequential(
        ("conv", nn.Conv2d(16, 3, padding=1)),
        ("norm", nn.BatchNorm2d()),
        ("relu", nn.ReLU()),
        ("more", nn.Conv2d(16, 3, padding=1)),
        ("pool", nn.GlobalAvgPool2d()),
        ("flat", nn.Flatten()),
        ("last", nn.Linear(2)),
    )


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load(write_stripes(tmp_path_factory.mktemp("stripes")))


def trained(trainer: Trainer) -> dict[str, bytes]:
    for _ in trainer:
        pass
    return {name: array.tobytes() for name, array in trainer.model.state.items()}


def test_a_plan_keeps_its_precision() -> None:
    data = json.loads(json.dumps(PLAN.to_data()))
    assert data["precision"] == "bf16" and TrainingPlan.from_data(data) == PLAN
    del data["precision"]
    assert TrainingPlan.from_data(data) == replace(PLAN, precision="float32"), "older plans have no such field"
    assert "precision" not in replace(PLAN, precision="float32").to_data(), "older versions do not know the field"
    assert replace(PLAN, precision=Precision.BF16) == PLAN


@pytest.mark.parametrize("name", ["fp16", "bfloat16", "", "BF16"])
def test_other_names_are_refused(name: str, stripes: Dataset) -> None:
    text = f"^the precision must be one of float32, bf16, not '{name}'$"
    with pytest.raises(UsageError, match=text):
        replace(PLAN, precision=name)
    with pytest.raises(UsageError, match=text.replace("bf16,", "bf16, auto,")):
        opsin.train("lenet5", stripes, epochs=1, precision=name)


def test_an_engine_that_cannot_is_refused_before_training(stripes: Dataset) -> None:
    with pytest.raises(UsageError, match="the reference engine cannot compute in another precision"):
        Trainer(PLAN, stripes, network=network(), threads=1, engine=reference)
    with pytest.raises(UsageError, match=r"compute in another precision \(precision\), and the engine has no options"):
        Trainer(PLAN, stripes, network=network(), engine=lambda graph, batch, threads: reference(graph, batch))


def test_steps_and_features_are_narrow(stripes: Dataset) -> None:
    plan, sizes = replace(PLAN, winograd=False), dict[str, list[int]]()  # Winograd's transforms are float32, and large.
    for precision in Precision:
        runtimes: list[Any] = [
            Trainer(replace(plan, stages=stages, precision=precision), stripes, network=network(), threads=1).runtime
            for stages in (STAGES, STAGES[1:])
        ]
        assert isinstance(runtimes[0].feed, FeatureCache)
        programs = (runtimes[0].feed.extractor.program, runtimes[1].program)
        sizes[precision] = [program.plan.arena_size for program in programs]
    for narrow, full in zip(sizes["bf16"], sizes["float32"], strict=True):
        assert narrow < 0.8 * full


def test_the_model_is_evaluated_in_float32(stripes: Dataset) -> None:
    trainer = Trainer(PLAN, stripes, network=network(), threads=1)
    trained(trainer)
    other = Trainer(replace(PLAN, precision="float32"), stripes, network=network(), threads=1).model
    other.load_state(trainer.model.state)
    pixels = stripes.require_test().pixels[:]
    np.testing.assert_array_equal(trainer.model.logits(pixels), other.logits(pixels))
    scores = [epoch.held_out for epoch in trainer.history]
    assert scores[-1].loss == pytest.approx(other.evaluate(held_out(stripes)).score.loss, abs=1e-6)
    parameters = [array for array in trainer.model.state.values() if array.size > 9]
    assert not any(np.array_equal(array, bfloat16.rounded(array)) for array in parameters), "they are float32"


@pytest.mark.parametrize("stages", [STAGES, STAGES[1:]], ids=["features", "images"])
def test_the_same_bits_for_any_number_of_threads(stages: tuple[Stage, ...], stripes: Dataset) -> None:
    plan = replace(PLAN, stages=stages)
    first, *others = (trained(Trainer(plan, stripes, network=network(), threads=count)) for count in (1, 2, 3))
    assert all(other == first for other in others)
    assert trained(Trainer(replace(plan, precision="float32"), stripes, network=network(), threads=1)) != first


@pytest.mark.parametrize("step", [3, 6, 10])
def test_a_resumed_run_gives_the_same_bits(
    step: int, stripes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsin.training.divergence_guard.CHECK_INTERVAL", 1)
    monkeypatch.setattr(Run, "due", True)
    expected = trained(Trainer(PLAN, stripes, network=network(), threads=1))
    trainer = Trainer(PLAN, stripes, network=network(), threads=2)
    trainer.run = Run.create(configuration(PLAN, stripes, "", None), stripes.name, tmp_path / "run")
    for event in trainer:
        if isinstance(event, Step) and event.step == step:
            trainer.interruption.requested = True
    again = reopen(tmp_path / "run", data=stripes, network=network(), threads=1)
    assert again.plan == PLAN and again.state.steps >= step
    assert trained(again) == expected


class Poisoned(Native):
    """A native program that sets a parameter to NaN in its sixth step, once."""

    steps = 0

    def run(self, **inputs: Any) -> dict[str, Any]:
        outputs = super().run(**inputs)
        self.steps += 1
        if self.steps == 6:
            self.load_state({"last.bias": np.full(2, np.nan, np.float32)})
        return outputs


def poisoned(graph: Graph, batch: int, threads: int | None, options: CompileOptions = DEFAULT) -> Native:
    program = compile(graph, batch, threads, options=options)
    if "loss" not in graph.outputs:
        return program
    assert options.precision is Precision.BF16
    return Poisoned(program.plan, program.threads, host().target)


def test_training_recovers_from_nan(stripes: Dataset) -> None:
    plan = replace(PLAN, stages=STAGES[1:])
    trainers = [Trainer(plan, stripes, network=network(), threads=count, engine=poisoned) for count in (1, 2)]
    events = list(trainers[0])
    assert [type(event) for event in events].count(Rewound) == 1
    state = trainers[0].model.state
    assert all(np.isfinite(array).all() for array in state.values())
    assert trained(trainers[1]) == {name: array.tobytes() for name, array in state.items()}


def test_learning_curves_train_in_the_precision_of_the_plan(tmp_path: Path) -> None:
    data = load(write_numbers(tmp_path / "numbers", 40), size=32, task="regression")
    plan = TrainingPlan(
        network="resnet9_half", size=32, stages=(Stage(epochs=1, batch=8),), precision="bf16", winograd=False
    )
    trainer = Trainer(plan, data, threads=1)
    trained(trainer)
    assert [type(event).__name__ for event in CurveRun.of(trainer, None)].count("Finished") == 2
    assert trainer.model.record["plan"]["precision"] == "bf16" and "learning_curve" in trainer.model.record


def test_runs_are_compared_by_precision(stripes: Dataset, tmp_path: Path) -> None:
    for name in Precision:
        opsin.train(network(), stripes, epochs=1, threads=1, precision=name, run=tmp_path / name)
    rows = differences(tmp_path / "float32", tmp_path / "bf16")
    assert ("precision", "float32", "bf16") in rows


@pytest.mark.parametrize(("name", "images", "epochs"), [("lenet5", 4500, 6), ("resnet9_half", 1000, 4)])
def test_digits_are_learned_as_well_as_in_float32(name: str, images: int, epochs: int) -> None:
    digits = load("digits")
    digits = replace(digits, train=digits.train.take(np.arange(images)))
    models = {precision: opsin.train(name, digits, epochs=epochs, precision=precision) for precision in Precision}
    accuracy = {precision: model.evaluate(digits.test).score.accuracy for precision, model in models.items()}
    assert accuracy[Precision.FLOAT32] > 0.94
    assert abs(accuracy[Precision.BF16] - accuracy[Precision.FLOAT32]) <= 0.01, accuracy

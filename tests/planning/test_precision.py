"""Plans in bfloat16: what is measured in which precision, what the plan says, and what it fits into the memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import opsin
from opsin import nn, zoo
from opsin.backends.options import CompileOptions
from opsin.backends.tuning import TuningSummary
from opsin.base.errors import UsageError
from opsin.compiler.precision import Precision
from opsin.data import load
from opsin.ir import Graph
from opsin.planning import measurement, trial
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.measurement import ConvTuning, Cost, CostMeter, LocalMachine
from opsin.planning.networks import choose_network
from opsin.planning.options import TrainOptions
from opsin.planning.trial_candidates import trial_candidates
from tests.planning.fake_machine import PHOTOS, FakeMachine, choose

SMALL = replace(PHOTOS, side=32, smallest=32)
BF16 = TrainOptions(precision="bf16")


def test_float32_is_the_default() -> None:
    machine = FakeMachine()
    plan = choose(TrainOptions(), machine=machine)
    assert plan.plan.precision == "float32" and set(machine.precisions) == {Precision.FLOAT32}
    assert not any("bfloat16" in reason for reason in plan.reasons)


@pytest.mark.parametrize("summary", [PHOTOS, SMALL], ids=["transfer", "scratch"])
def test_steps_are_measured_in_bfloat16_and_evaluation_in_float32(summary: DatasetSummary) -> None:
    machine = FakeMachine()
    plan = choose(BF16, summary, machine)
    assert plan.plan.precision == "bf16"
    assert machine.precisions.count(Precision.FLOAT32) == 1 and machine.precisions.count(Precision.BF16) >= 1


def test_the_plan_says_what_is_stored_and_whether_it_is_converted() -> None:
    reasons = choose(BF16).reasons
    assert sum("store feature maps and their gradients as bfloat16;" in each for each in reasons) == 1
    assert not any("no instructions" in each for each in reasons)
    converted = [each for each in choose(BF16, machine=FakeMachine(bf16_gain=1.0)).reasons if "no instructions" in each]
    assert len(converted) == 1 and "numbers are converted and multiplied as float32" in converted[0]


def test_a_larger_batch_fits_into_the_memory() -> None:
    machine = {"megabytes": 8000.0}
    batches = []
    for precision in Precision:
        options = TrainOptions(precision=precision, memory=2e9)
        (stage,) = choose(options, SMALL, FakeMachine(**machine)).plan.stages
        batches.append(stage.batch)
    assert batches[1] == 2 * batches[0]


@pytest.mark.parametrize("name", ["fp16", "bfloat16", ""])
def test_other_names_are_refused_before_images_are_read(name: str) -> None:
    with pytest.raises(UsageError, match=f"^the precision must be one of float32, bf16, auto, not '{name}'$"):
        TrainOptions(precision=name)
    with pytest.raises(UsageError, match="the precision must be one of float32, bf16"):
        CostMeter(precision=name)


class Recorder(FakeMachine):
    """A machine that records in which precision convolutions are tuned."""

    def __init__(self) -> None:
        super().__init__()
        self.tuned: list[Precision] = []

    def tune(
        self, graph: Graph, batch: int, threads: int | None, seconds: float, precision: Precision
    ) -> TuningSummary:
        self.tuned.append(precision)
        return super().tune(graph, batch, threads, seconds, precision)


def test_convolutions_are_tuned_in_the_precision_of_the_plan() -> None:
    machine, graph = Recorder(), nn.trace(zoo.create("lenet5", 10), (1, 28, 28))
    meter = CostMeter(machine, 1, ConvTuning(enabled=True, seconds=1.0), "bf16")
    meter.measure(graph, 4)
    meter.evaluation_seconds(graph, 4)
    assert machine.tuned == [Precision.BF16] and machine.precisions == [Precision.BF16, Precision.FLOAT32]


def test_this_machine_compiles_and_tunes_in_the_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = nn.trace(zoo.create("resnet20_cifar", 10), (3, 32, 32))
    costs = {p: CostMeter(LocalMachine(), 1, precision=p).measure(graph, 8) for p in Precision}
    assert costs[Precision.BF16].bytes < costs[Precision.FLOAT32].bytes
    asked: list[Any] = []
    monkeypatch.setattr(measurement, "tune", lambda *_, precision: asked.append(precision))
    LocalMachine().tune(graph, 8, 1, 0.0, Precision.BF16)
    assert asked == [Precision.BF16]
    assert LocalMachine().multiplies_bf16() == measurement.host().target.bf16_dot


def test_trials_train_in_the_precision_of_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    measured, plans = list[Precision](), list[str]()
    digits = load("digits")
    digits = trial.comparable(replace(digits, train=digits.train.take(np.arange(400))), 0)
    candidate = trial_candidates(choose_network(DatasetSummary.of(digits), BF16), BF16)[0]

    def run_cost(self: LocalMachine, graph: Graph, batch: int, threads: int | None, options: CompileOptions) -> Cost:
        measured.append(options.precision)
        return Cost(1e-4, 10**6, 0.0)

    class Observed(trial.Trainer):
        def __init__(self, plan: Any, *arguments: Any, **options: Any) -> None:
            plans.append(plan.precision)
            super().__init__(plan, *arguments, **options)

    monkeypatch.setattr(LocalMachine, "run_cost", run_cost)
    monkeypatch.setattr(trial, "Trainer", Observed)
    assert candidate.options.precision == "bf16"
    assert trial.run(candidate, digits, 1.0) is not None
    assert plans == ["bf16"] and measured.count(Precision.FLOAT32) == measured.count(Precision.BF16) - 1


def test_estimators_have_the_option(tmp_path: Path) -> None:
    digits = load("digits")
    x, y = digits.train.pixels[:600, 0], digits.train.labels[:600]
    classifier = opsin.ImageClassifier(epochs=1, precision="bf16").fit(x, y)
    assert classifier.plan_.precision == "bf16" and classifier.model_.precision == "float32"
    network = nn.Sequential(nn.Conv2d(8, 3), nn.Flatten(), nn.Linear(10))
    assert opsin.ImageClassifier(network, epochs=1, precision="bf16").fit(x, y).plan_.precision == "bf16"
    numbers = x.mean(axis=(1, 2))
    assert opsin.ImageRegressor(epochs=1, precision="bf16").fit(x, numbers).plan_.precision == "bf16"
    with pytest.raises(UsageError, match="the precision must be one of float32, bf16, auto, not 'half'"):
        opsin.ImageClassifier(precision="half").fit(x, y)

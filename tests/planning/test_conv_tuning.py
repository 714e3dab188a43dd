"""Tuned convolution algorithms: when a plan adopts them, and that a run keeps those it began with."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin import nn
from opsin.backends.native import tuning_cache
from opsin.backends.native.codegen import host
from opsin.backends.options import CompileOptions
from opsin.backends.tuning import TuningResult, TuningSummary, problems
from opsin.compiler.lower.conv_algorithms import ConvAlgorithm, candidates
from opsin.compiler.precision import Precision
from opsin.data import Dataset, load
from opsin.ir import Graph
from opsin.planning import autoconfig, measurement
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.measurement import ConvTuning, Cost, CostMeter
from opsin.planning.networks import choose_network
from opsin.planning.options import TrainOptions
from opsin.runs import Run, train
from opsin.runs.listing import differences
from opsin.runs.resume import configuration, reopen
from opsin.training import Stage, Step, Trainer, TrainingPlan
from tests.data.files import write_stripes
from tests.planning.fake_machine import FakeMachine
from tests.runs.kills import result

DEFAULT_SECONDS = 1e-5
"""The time of an image on the fake machine, with the default algorithms."""
STAGE = Stage(epochs=2, batch=8, learning_rate=0.01)


def network() -> nn.Layer:
    first, second = nn.Conv2d(16, 3, padding=1), nn.Conv2d(16, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), second, nn.Flatten(), nn.Linear(2))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning_cache, "cache_folder", lambda: tmp_path / "cache")


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load(write_stripes(tmp_path_factory.mktemp("stripes")))


def graph_of(data: Dataset) -> Graph:
    return nn.training_graph(network(), data.shape, nn.optimizers.AdamW())


def tuned(graph: Graph, batch: int, fastest: ConvAlgorithm) -> TuningSummary:
    """Return the summary of a tuning in which one algorithm, which works for all problems, was the fastest."""
    counts = problems(graph, batch).items()
    trials = (TuningResult(p, count, candidates(p)[0], fastest, 2.0, 1.0) for p, count in counts)
    return TuningSummary(tuple(trials), (), 0.0)


def start_run(data: Dataset, plan: TrainingPlan, folder: Path) -> Trainer:
    training = Trainer(plan, data, network=network(), threads=1)
    training.run = Run.create(configuration(plan, data, "", None), data.name, folder)
    return training


def test_a_run_keeps_the_algorithms_it_began_with(stripes: Dataset, tmp_path: Path) -> None:
    direct = tuned(graph_of(stripes), 8, ConvAlgorithm.DIRECT)
    plan = TrainingPlan(network="small", stages=(STAGE,), conv_algorithms=direct.conv_algorithms)
    list(start_run(stripes, plan, tmp_path / "whole"))
    list(start_run(stripes, TrainingPlan(network="small", stages=(STAGE,)), tmp_path / "usual"))
    whole, usual = result(tmp_path / "whole"), result(tmp_path / "usual")
    assert whole.tensors != usual.tensors  # Otherwise this test shows nothing.
    broken = start_run(stripes, plan, tmp_path / "broken")
    steps = (event for event in broken if isinstance(event, Step))
    list(islice(steps, 7))
    steps.close()
    broken.run.close()  # type: ignore[union-attr]
    tuned(graph_of(stripes), 8, ConvAlgorithm.IMPLICIT_GEMM).save()  # A later tuning.
    list(reopen(tmp_path / "broken", data=stripes, network=network(), threads=2))
    assert result(tmp_path / "broken").tensors == whole.tensors
    list(start_run(stripes, TrainingPlan(network="small", stages=(STAGE,)), tmp_path / "later"))
    assert result(tmp_path / "later").tensors == usual.tensors
    different = {what: theirs for what, _, theirs in differences(tmp_path / "usual", tmp_path / "whole")}
    assert different["conv algorithms"].startswith("forward 8x") and different["conv algorithms"].count(
        ": direct"
    ) == len(direct.conv_algorithms)


def test_opsin_train_ignores_the_tuning_cache(stripes: Dataset) -> None:
    before = train(network(), stripes, epochs=1, batch=8, threads=1).state
    tuned(graph_of(stripes), 8, ConvAlgorithm.DIRECT).save()
    after = train(network(), stripes, epochs=1, batch=8, threads=1).state
    assert all(after[name].tobytes() == value.tobytes() for name, value in before.items())


def test_a_plan_with_algorithms_survives_json(stripes: Dataset) -> None:
    plan = TrainingPlan(network="small", stages=(STAGE,), winograd=False, conv_algorithms={"forward": "direct"})
    assert TrainingPlan.from_data(json.loads(json.dumps(plan.to_data()))) == plan
    old = plan.to_data()
    del old["winograd"], old["conv_algorithms"]
    assert TrainingPlan.from_data(old) == TrainingPlan(network="small", stages=(STAGE,))


def test_only_the_native_backend_takes_the_algorithms(stripes: Dataset) -> None:
    plan = TrainingPlan(network="small", stages=(STAGE,), winograd=False)
    program: Any = Trainer(plan, stripes, network=network(), threads=1).runtime
    assert "Winograd" not in str(program.program.plan)
    usual: Any = Trainer(TrainingPlan(network="small", stages=(STAGE,)), stripes, network=network(), threads=1).runtime
    assert "Winograd" in str(usual.program.plan)


# -- while a plan is made ---------------------------------------------------------------------


class TunableMachine(FakeMachine):
    """A machine on which tuning finds implicit GEMM to be the fastest; a step then takes `tuned_seconds` an image."""

    def __init__(self, tuned_seconds: float = 0.5 * DEFAULT_SECONDS) -> None:
        super().__init__()
        self.tuned_seconds = tuned_seconds
        self.tuning_seconds: list[float] = []

    def tune(
        self, graph: Graph, batch: int, threads: int | None, seconds: float, precision: Precision
    ) -> TuningSummary:
        self.tuning_seconds.append(seconds)
        return tuned(graph, batch, ConvAlgorithm.IMPLICIT_GEMM)

    def run_cost(self, graph: Graph, batch: int, threads: int | None, options: CompileOptions) -> Cost:
        return Cost(self.tuned_seconds if options.conv_algorithms else DEFAULT_SECONDS, 10**6, 0.0)


def test_algorithms_are_adopted_if_the_whole_step_is_faster(stripes: Dataset) -> None:
    machine, tuning = TunableMachine(), ConvTuning(enabled=True, seconds=3.0)
    assert CostMeter(machine, 1, tuning).measure(graph_of(stripes), 8).image_seconds == 0.5 * DEFAULT_SECONDS
    assert set(tuning.algorithms.values()) == {"implicit GEMM"} and tuning.changed == len(tuning.algorithms)
    assert machine.tuning_seconds == [3.0] and tuning.seconds < 3.0
    assert {record.algorithm for record in tuning_cache.load(host().target).values()} == {"implicit GEMM"}


def test_algorithms_are_reverted_if_the_whole_step_is_slower(stripes: Dataset) -> None:
    machine, tuning = TunableMachine(1.1 * DEFAULT_SECONDS), ConvTuning(enabled=True, seconds=3.0)
    assert CostMeter(machine, 1, tuning).measure(graph_of(stripes), 8).image_seconds == DEFAULT_SECONDS
    assert tuning.algorithms == {} and tuning.changed == 0
    assert all(record.algorithm == record.heuristic for record in tuning_cache.load(host().target).values())


def test_nothing_is_tuned_unless_enabled(stripes: Dataset) -> None:
    machine = TunableMachine()
    for tuning in (None, ConvTuning(), ConvTuning(winograd=False, enabled=True, seconds=3.0)):
        assert CostMeter(machine, 1, tuning).measure(graph_of(stripes), 8).image_seconds == DEFAULT_SECONDS
    assert not machine.tuning_seconds and not tuning_cache.load(host().target)


@pytest.mark.parametrize(
    ("options", "enabled", "seconds"),
    [
        (TrainOptions(), True, 6.0),
        (TrainOptions(budget=100), True, 1.0),
        (TrainOptions(budget=7200), True, 10.0),
        (TrainOptions(budget=50), True, 0.0),
        (TrainOptions(memory=4e9), True, 0.0),
        (TrainOptions(epochs=2, budget=600), True, 6.0),
        (TrainOptions(epochs=2), True, None),
        (TrainOptions(), False, None),
        (TrainOptions(winograd=False), True, None),
    ],
)
def test_the_budget_limits_the_tuning(
    options: TrainOptions, enabled: bool, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsin.planning.budget.CONV_TUNING_SHARE", 0.01)
    machine, data = TunableMachine(), load("digits")
    choice = choose_network(DatasetSummary.of(data), options, machine)
    auto = autoconfig.choose(choice, data, options, tune_convs=enabled, machine=machine)
    assert machine.tuning_seconds[:1] == ([] if seconds is None else [seconds])
    assert bool(auto.plan.conv_algorithms) == (seconds is not None)
    assert auto.plan.winograd == options.winograd
    reasons = [reason for reason in auto.reasons if "another algorithm than the default" in reason]
    assert bool(reasons) == bool(auto.plan.conv_algorithms)


def test_every_input_gets_noise() -> None:
    graph = nn.training_graph(network(), (1, 8, 8), nn.optimizers.SGD()).bind(4)
    inputs = measurement.noise(graph)
    assert inputs["inputs"].shape == (4, 1, 8, 8) and inputs["labels"].dtype == np.int32

"""Ways of convolutions that were timed: when a plan takes them, and that a run keeps what it began with."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin import nn
from opsin.backends import reference
from opsin.backends.native import tuning_cache
from opsin.backends.native.codegen import host
from opsin.backends.reference import Reference
from opsin.backends.tuning import TuningResult, TuningSummary, problems
from opsin.base.errors import UsageError
from opsin.compiler.lower.conv_algorithms import ConvAlgorithm, candidates
from opsin.data import Dataset, load
from opsin.ir import Graph
from opsin.planning import autoconfig, measurement, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.measurement import ConvTuning, Cost, measure
from opsin.planning.options import TrainOptions
from opsin.runs import Run, train
from opsin.runs.listing import differences
from opsin.runs.resume import configuration, reopen
from opsin.training import Stage, Step, Trainer, TrainingPlan
from tests.data.files import write_stripes
from tests.training.kills import result

USUAL = 1e-5
"""Seconds that an image takes in the pretended machine."""
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


def found(graph: Graph, batch: int, way: ConvAlgorithm) -> TuningSummary:
    """As if one way, which works for all problems, had been the fastest."""
    trials = (TuningResult(p, count, candidates(p)[0], way, 2.0, 1.0) for p, count in problems(graph, batch).items())
    return TuningSummary(tuple(trials), (), 0.0)


def begin(data: Dataset, plan: TrainingPlan, folder: Path) -> Trainer:
    training = Trainer(plan, data, network=network(), threads=1)
    training.run = Run.create(configuration(plan, data, "", None), data.name, folder)
    return training


def test_a_run_keeps_the_ways_it_began_with(stripes: Dataset, tmp_path: Path) -> None:
    direct = found(graph_of(stripes), 8, ConvAlgorithm.DIRECT)
    plan = TrainingPlan(network="small", stages=(STAGE,), choices=direct.conv_algorithms)
    list(begin(stripes, plan, tmp_path / "whole"))
    list(begin(stripes, TrainingPlan(network="small", stages=(STAGE,)), tmp_path / "usual"))
    whole, usual = result(tmp_path / "whole"), result(tmp_path / "usual")
    assert whole.tensors != usual.tensors  # or this test says nothing
    broken = begin(stripes, plan, tmp_path / "broken")
    steps = (event for event in broken if isinstance(event, Step))
    list(islice(steps, 7))
    steps.close()
    broken.run.close()  # type: ignore[union-attr]
    found(graph_of(stripes), 8, ConvAlgorithm.IMPLICIT_GEMM).save()  # since then, something else was timed
    list(reopen(tmp_path / "broken", data=stripes, network=network(), threads=2))
    assert result(tmp_path / "broken").tensors == whole.tensors
    list(begin(stripes, TrainingPlan(network="small", stages=(STAGE,)), tmp_path / "later"))
    assert result(tmp_path / "later").tensors == usual.tensors
    told = {what: theirs for what, _, theirs in differences(tmp_path / "usual", tmp_path / "whole")}
    assert told["choices"].startswith("forward 8x") and told["choices"].count(": direct") == len(direct.conv_algorithms)


def test_training_by_a_call_depends_on_nothing_that_was_timed(stripes: Dataset) -> None:
    before = train(network(), stripes, epochs=1, batch=8, threads=1).state
    found(graph_of(stripes), 8, ConvAlgorithm.DIRECT).save()
    after = train(network(), stripes, epochs=1, batch=8, threads=1).state
    assert all(after[name].tobytes() == value.tobytes() for name, value in before.items())


def test_a_plan_with_ways_survives_json(stripes: Dataset) -> None:
    plan = TrainingPlan(network="small", stages=(STAGE,), exact=True, choices={"forward": "direct"})
    assert TrainingPlan.from_data(json.loads(json.dumps(plan.to_data()))) == plan
    old = plan.to_data()
    del old["exact"], old["choices"]
    assert TrainingPlan.from_data(old) == TrainingPlan(network="small", stages=(STAGE,))


def test_engines_are_given_the_options_of_the_plan(stripes: Dataset) -> None:
    plan = TrainingPlan(network="small", stages=(STAGE,), exact=True)
    with pytest.raises(UsageError, match="the plan asks the engine to exclude Winograd's algorithm"):
        Trainer(plan, stripes, network=network(), engine=lambda graph, batch, threads: Reference(graph, batch))
    Trainer(plan, stripes, network=network(), engine=reference.compile)
    plan = TrainingPlan(network="small", stages=(STAGE,), exact=True)
    program: Any = Trainer(plan, stripes, network=network(), threads=1).work
    assert "Winograd" not in str(program.program.plan)
    usual: Any = Trainer(TrainingPlan(network="small", stages=(STAGE,)), stripes, network=network(), threads=1).work
    assert "Winograd" in str(usual.program.plan)


# -- while a plan is made ---------------------------------------------------------------------


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Tuning finds packing to be the fastest; a step then takes half as long, or what the list begins with. The seconds
    that tuning is given are added to it.
    """
    tuned = [0.5 * USUAL]

    def tune(graph: Graph, batch: int, threads: int | None, seconds: float) -> TuningSummary:
        tuned.append(seconds)
        return found(graph, batch, ConvAlgorithm.IMPLICIT_GEMM)

    def measured(graph: Graph, batch: int, threads: int | None, exact: bool, choices: dict[str, str]) -> Cost:
        return Cost(tuned[0] if choices else USUAL, 10**6, 0.0)

    monkeypatch.setattr(measurement, "tune", tune)
    monkeypatch.setattr(measurement, "_measured", measured)
    return tuned


def test_ways_are_taken_where_the_whole_step_is_faster(stripes: Dataset, pretend: list[float]) -> None:
    own = ConvTuning(timed=True, seconds=3.0)
    assert measure(graph_of(stripes), 8, 1, own).seconds == 0.5 * USUAL
    assert set(own.choices.values()) == {"packed"} and own.others == len(own.choices) and own.seconds < 3.0
    assert pretend[1:] == [3.0]
    assert {timed.algorithm for timed in tuning_cache.load(host().target).values()} == {"packed"}


def test_ways_are_withdrawn_where_it_is_not(stripes: Dataset, pretend: list[float]) -> None:
    pretend[0] = 1.1 * USUAL
    own = ConvTuning(timed=True, seconds=3.0)
    assert measure(graph_of(stripes), 8, 1, own).seconds == USUAL
    assert own.choices == {} and own.others == 0
    assert all(timed.algorithm == timed.heuristic for timed in tuning_cache.load(host().target).values())


def test_nothing_is_timed_unasked(stripes: Dataset, pretend: list[float]) -> None:
    for own in (None, ConvTuning(), ConvTuning(exact=True, timed=True, seconds=3.0)):
        assert measure(graph_of(stripes), 8, 1, own).seconds == USUAL
    assert len(pretend) == 1 and not tuning_cache.load(host().target)


@pytest.mark.parametrize(
    ("wishes", "timed", "seconds"),
    [
        (TrainOptions(), True, 6.0), (TrainOptions(budget=100), True, 1.0), (TrainOptions(budget=7200), True, 10.0),
        (TrainOptions(budget=50), True, 0.0), (TrainOptions(memory=4e9), True, 0.0), (TrainOptions(epochs=2, budget=600), True, 6.0),
        (TrainOptions(epochs=2), True, None), (TrainOptions(), False, None), (TrainOptions(exact=True), True, None),
    ],
)  # fmt: skip
def test_how_long_is_timed(
    wishes: TrainOptions, timed: bool, seconds: float | None, pretend: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsin.planning.budget.TUNING", 0.01)
    data = load("digits")
    outline = networks.outline(DatasetSummary.of(data), wishes)
    choice = autoconfig.choose(outline, data, wishes, timed=timed)
    assert pretend[1:2] == ([] if seconds is None else [seconds])
    assert bool(choice.plan.choices) == (seconds is not None)
    assert choice.plan.exact == wishes.exact
    said = [reason for reason in choice.reasons if "computed in another way than usual" in reason]
    assert bool(said) == bool(choice.plan.choices)


def test_noise_is_an_input_of_each() -> None:
    graph = nn.training_graph(network(), (1, 8, 8), nn.optimizers.SGD()).bind(4)
    given = measurement.noise(graph)
    assert given["inputs"].shape == (4, 1, 8, 8) and given["labels"].dtype == np.int32

"""Ways of convolutions that were timed: when a plan takes them, and that a run keeps what it began with."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin import nn
from opsin.compiler.lower.ways import Way, ways
from opsin.data import Dataset, load
from opsin.engines.native import choices
from opsin.engines.native.choices import recall
from opsin.engines.native.codegen import host
from opsin.engines.reference import Reference
from opsin.engines.tuning import Trial, Tuned, problems
from opsin.graph import Graph
from opsin.training import Plan, Run, Stage, Step, Training, choose, machine, networks, train
from opsin.training.facts import Facts
from opsin.training.machine import Cost, Ways, engine_of, measure
from opsin.training.resume import configuration, reopen
from opsin.training.runs import differences
from opsin.training.wishes import Wishes
from tests.data.files import write_stripes
from tests.training.kills import result

USUAL = 1e-5
"""Seconds that a picture takes in the pretended machine."""
STAGE = Stage(epochs=2, batch=8, learning_rate=0.01)


def network() -> nn.Layer:
    first, second = nn.Conv2d(16, 3, padding=1), nn.Conv2d(16, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), second, nn.Flatten(), nn.Linear(2))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices, "cache_folder", lambda: tmp_path / "cache")


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load(write_stripes(tmp_path_factory.mktemp("stripes")))


def graph_of(data: Dataset) -> Graph:
    return nn.training_graph(network(), data.shape, nn.optimizers.AdamW())


def found(graph: Graph, batch: int, way: Way) -> Tuned:
    """As if one way, which works for all problems, had been the fastest."""
    trials = (Trial(p, count, ways(p)[0], way, 2.0, 1.0) for p, count in problems(graph, batch).items())
    return Tuned(tuple(trials), (), 0.0)


def begin(data: Dataset, plan: Plan, folder: Path) -> Training:
    training = Training(plan, data, network=network(), threads=1)
    training.run = Run.create(configuration(plan, data, "", None), data.name, folder)
    return training


def test_a_run_keeps_the_ways_it_began_with(stripes: Dataset, tmp_path: Path) -> None:
    direct = found(graph_of(stripes), 8, Way.DIRECT)
    plan = Plan(network="small", stages=(STAGE,), choices=direct.choices)
    list(begin(stripes, plan, tmp_path / "whole"))
    list(begin(stripes, Plan(network="small", stages=(STAGE,)), tmp_path / "usual"))
    whole, usual = result(tmp_path / "whole"), result(tmp_path / "usual")
    assert whole.tensors != usual.tensors  # or this test says nothing
    broken = begin(stripes, plan, tmp_path / "broken")
    steps = (event for event in broken if isinstance(event, Step))
    list(islice(steps, 7))
    steps.close()
    broken.run.close()  # type: ignore[union-attr]
    found(graph_of(stripes), 8, Way.PACKED).remember()  # since then, something else was timed
    list(reopen(tmp_path / "broken", data=stripes, network=network(), threads=2))
    assert result(tmp_path / "broken").tensors == whole.tensors
    list(begin(stripes, Plan(network="small", stages=(STAGE,)), tmp_path / "later"))
    assert result(tmp_path / "later").tensors == usual.tensors
    told = {what: theirs for what, _, theirs in differences(tmp_path / "usual", tmp_path / "whole")}
    assert told["choices"].startswith("forward 8x") and told["choices"].count(": direct") == len(direct.choices)


def test_training_by_a_call_depends_on_nothing_that_was_timed(stripes: Dataset) -> None:
    before = train(network(), stripes, epochs=1, batch=8, threads=1).state
    found(graph_of(stripes), 8, Way.DIRECT).remember()
    after = train(network(), stripes, epochs=1, batch=8, threads=1).state
    assert all(after[name].tobytes() == value.tobytes() for name, value in before.items())


def test_a_plan_with_ways_survives_json(stripes: Dataset) -> None:
    plan = Plan(network="small", stages=(STAGE,), exact=True, choices={"forward": "direct"})
    assert Plan.from_data(json.loads(json.dumps(plan.to_data()))) == plan
    old = plan.to_data()
    del old["exact"], old["choices"]
    assert Plan.from_data(old) == Plan(network="small", stages=(STAGE,))


def test_only_the_native_engine_is_told(stripes: Dataset) -> None:
    assert engine_of(Plan(network="small", stages=(STAGE,)), Reference) is Reference
    plan = Plan(network="small", stages=(STAGE,), exact=True)
    program: Any = Training(plan, stripes, network=network(), threads=1).work
    assert "Winograd" not in str(program.program.plan)
    usual: Any = Training(Plan(network="small", stages=(STAGE,)), stripes, network=network(), threads=1).work
    assert "Winograd" in str(usual.program.plan)


# -- while a plan is made ---------------------------------------------------------------------


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Tuning finds packing to be the fastest; a step then takes half as long, or what the list begins with. The seconds
    that tuning is given are added to it.
    """
    tuned = [0.5 * USUAL]

    def tune(graph: Graph, batch: int, threads: int | None, seconds: float) -> Tuned:
        tuned.append(seconds)
        return found(graph, batch, Way.PACKED)

    def measured(graph: Graph, batch: int, threads: int | None, exact: bool, choices: dict[str, str]) -> Cost:
        return Cost(tuned[0] if choices else USUAL, 10**6, 0.0)

    monkeypatch.setattr(machine, "tune", tune)
    monkeypatch.setattr(machine, "_measured", measured)
    return tuned


def test_ways_are_taken_where_the_whole_step_is_faster(stripes: Dataset, pretend: list[float]) -> None:
    own = Ways(timed=True, seconds=3.0)
    assert measure(graph_of(stripes), 8, 1, own).seconds == 0.5 * USUAL
    assert set(own.choices.values()) == {"packed"} and own.others == len(own.choices) and own.seconds < 3.0
    assert pretend[1:] == [3.0]
    assert {timed.way for timed in recall(host().target).values()} == {"packed"}


def test_ways_are_withdrawn_where_it_is_not(stripes: Dataset, pretend: list[float]) -> None:
    pretend[0] = 1.1 * USUAL
    own = Ways(timed=True, seconds=3.0)
    assert measure(graph_of(stripes), 8, 1, own).seconds == USUAL
    assert own.choices == {} and own.others == 0
    assert all(timed.way == timed.model for timed in recall(host().target).values())


def test_nothing_is_timed_unasked(stripes: Dataset, pretend: list[float]) -> None:
    for own in (None, Ways(), Ways(exact=True, timed=True, seconds=3.0)):
        assert measure(graph_of(stripes), 8, 1, own).seconds == USUAL
    assert len(pretend) == 1 and not recall(host().target)


@pytest.mark.parametrize(
    ("wishes", "timed", "seconds"),
    [
        (Wishes(), True, 6.0), (Wishes(budget=100), True, 1.0), (Wishes(budget=7200), True, 10.0),
        (Wishes(budget=50), True, 0.0), (Wishes(memory=4e9), True, 0.0), (Wishes(epochs=2, budget=600), True, 6.0),
        (Wishes(epochs=2), True, None), (Wishes(), False, None), (Wishes(exact=True), True, None),
    ],
)  # fmt: skip
def test_how_long_is_timed(
    wishes: Wishes, timed: bool, seconds: float | None, pretend: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsin.training.budget.TUNING", 0.01)
    data = load("digits")
    outline = networks.outline(Facts.of(data), wishes)
    choice = choose.choose(outline, data, wishes, timed=timed)
    assert pretend[1:2] == ([] if seconds is None else [seconds])
    assert bool(choice.plan.choices) == (seconds is not None)
    assert choice.plan.exact == wishes.exact
    said = [reason for reason in choice.reasons if "computed in another way than usual" in reason]
    assert bool(said) == bool(choice.plan.choices)


def test_noise_is_an_input_of_each() -> None:
    graph = nn.training_graph(network(), (1, 8, 8), nn.optimizers.SGD()).bind(4)
    given = machine.noise(graph)
    assert given["pictures"].shape == (4, 1, 8, 8) and given["labels"].dtype == np.int32

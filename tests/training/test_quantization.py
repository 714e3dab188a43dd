"""Quantization-aware training: a last stage that rounds, and the model that follows."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import opsin
from opsin.base.errors import UsageError
from opsin.data import Dataset
from opsin.planning.options import TrainOptions
from opsin.training import Epoch, Event, Stage, TrainingPlan
from opsin.training.deadline import QAT_COST, Deadline
from opsin.training.early_stopping import EarlyStopping
from opsin.training.quantization import qat_stage, with_qat
from opsin.training.saving import ModelWriter
from tests.conftest import RECORD
from tests.data.files import write_stripes
from tests.model.networks import reference, small_network
from tests.planning.fake_machine import choose
from tests.training.test_policies import TASK, Clock, after

STAGE = Stage(epochs=30, batch=32, learning_rate=0.004)
PLAN = with_qat(TrainingPlan(network="small", stages=(STAGE,), patience=1))


def test_the_stage_follows_from_the_one_before() -> None:
    stage = qat_stage(STAGE)
    assert (stage.qat, stage.epochs, stage.batch, stage.schedule) == (True, 3, 32, "cosine")
    assert stage.learning_rate == pytest.approx(4e-5)
    head = replace(STAGE, batch=512, frozen=("conv",), features=True, views=3, epochs=2)
    after_head = qat_stage(head)
    assert (after_head.epochs, after_head.batch, after_head.frozen) == (1, 64, ("conv",))
    assert not after_head.features and qat_stage(replace(STAGE, size=160)).size is None


def test_a_plan_survives_json_and_plans_without_the_stage_are_as_before() -> None:
    data = PLAN.to_data()
    assert TrainingPlan.from_data(data) == PLAN and [stage.get("qat") for stage in data["stages"]] == [None, True]


@pytest.mark.parametrize("fields", [{"size": 32}, {"features": True, "frozen": ("conv",)}])
def test_the_stage_needs_the_whole_network(fields: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="rounds as in 8-bit integers, which needs the whole network"):
        Stage(epochs=1, qat=True, **fields)  # type: ignore[arg-type]


def test_the_stage_comes_last() -> None:
    with pytest.raises(UsageError, match="comes last"):
        replace(PLAN, stages=PLAN.stages[::-1])


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return opsin.data.load(write_stripes(tmp_path_factory.mktemp("stripes")))


def trained(data: Dataset, plan: TrainingPlan | None = None, **options: object) -> tuple[opsin.Model, list[Epoch]]:
    events: list[Event] = []
    model = opsin.train(small_network(2), data, on_event=events.append, engine=reference, **options)  # type: ignore[arg-type]
    return model, [event for event in events if isinstance(event, Epoch)]


def test_a_model_keeps_the_ranges_and_steps_that_were_simulated(
    stripes: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelWriter, "quantize", RECORD)
    plain, _ = trained(stripes, epochs=2)
    model, epochs = trained(stripes, epochs=2, qat=True)
    assert [epoch.stage for epoch in epochs] == ["training", "training", "quantization"]
    assert plain.quantization is not None and "steps" not in plain.quantization.ranges
    assert model.quantization is not None and model.quantization.comparison is not None
    assert len(model.quantization.ranges["steps"]) == 2
    for place, bounds in plain.quantization.ranges["bounds"].items():
        assert model.quantization.ranges["bounds"][place] == pytest.approx(bounds, abs=(bounds[1] - bounds[0]) / 255)
    assert not np.array_equal(plain.state["conv.weight"], model.state["conv.weight"])
    assert np.array_equal(plain.state["norm.running_mean"], model.state["norm.running_mean"])
    assert model.quantized().state["conv.weight_int8"].dtype == np.int8


def test_a_deadline_reserves_the_time_of_the_stage() -> None:
    clock = Clock()
    deadline = Deadline(replace(PLAN, stages=(replace(STAGE, epochs=9), PLAN.stages[1])), 100.0, clock)
    state = replace(after(0.5, 0.4), seconds=30.0)
    deadline.on_stage_start(state)
    deadline.on_epoch_start(state)
    clock.now += 10
    shortened = deadline.on_epoch(state, steps=4)
    assert shortened is not None and QAT_COST == 1.5
    assert shortened.epochs == 2 + int((100 - 30 - 3 * 10 * QAT_COST) / 10 + 0.1)


def test_the_stage_never_stops_early() -> None:
    stopping, state = EarlyStopping(PLAN, TASK), after(0.5, 0.6, 0.6)
    assert stopping.on_epoch(state) is not None
    assert stopping.on_epoch(replace(state, stage=1, epoch=1)) is None


@pytest.mark.parametrize("options", [{}, {"network": "airbench94"}])
def test_a_plan_says_what_the_stage_takes(options: dict[str, str]) -> None:
    plain, auto = (choose(TrainOptions(budget=900, qat=qat, **options)) for qat in (False, True))  # type: ignore[arg-type]
    *before, stage = auto.plan.stages
    assert stage.qat and len(before) == len(plain.plan.stages)
    (reason,) = (reason for reason in auto.reasons if "quantization-aware" in reason)
    assert reason.startswith(("one epoch", f"{stage.epochs} epochs")) and re.search(" takes? ", reason)
    assert auto.expected.seconds > 0 and auto.deadline == pytest.approx(plain.deadline, rel=0.05)


def test_the_budget_reserves_time_for_the_record() -> None:
    auto = choose(TrainOptions(budget=900))
    assert auto.deadline is not None
    assert auto.deadline < 900 * 0.96 - auto.expected.report - 20 - 0.5

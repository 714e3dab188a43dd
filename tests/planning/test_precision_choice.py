"""--precision auto: which precision a plan gets from short trainings, simulated ones and real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import opsin
from opsin import nn
from opsin.backends.native import compile
from opsin.base.errors import TrainingError, UsageError
from opsin.data import Dataset, load
from opsin.planning import precision_choice
from opsin.planning.options import TrainOptions
from opsin.planning.precision_choice import PrecisionTrial, choose_precision, run_trial
from opsin.training import Stage, Trainer, TrainingPlan
from opsin.training.events import Interrupted, Step
from tests.data.files import write_stripes
from tests.planning.fake_machine import FakeMachine, choose, dataset

PLAN = TrainingPlan(network="resnet9_half", stages=(Stage(epochs=400, batch=10),), patience=3)
"""80,000 steps on 2,000 images."""

FEATURES = Stage(name="head", epochs=900, frozen=("conv",), features=True)
"""Trains on stored features."""

FULL = PrecisionTrial("float32", 200, 0.02, (1.0,) * 10)


class SimulatedRuns:
    """Short trainings with these results; `plans` are those that were trained, on `data`."""

    def __init__(self, *results: PrecisionTrial | None) -> None:
        self.results = list(results)
        self.plans: list[TrainingPlan] = []
        self.data: list[Dataset] = []

    def run(self, plan: TrainingPlan, data: Dataset, *_: Any) -> PrecisionTrial | None:
        self.plans.append(plan)
        self.data.append(data)
        return self.results[len(self.plans) - 1]

    def choose(
        self, plan: TrainingPlan = PLAN, machine: FakeMachine | None = None, images: int = 2000
    ) -> precision_choice.PrecisionChoice:
        return choose_precision(plan, dataset(images, (3, 32, 32)), machine=machine or FakeMachine(), run=self.run)


def narrow(step_seconds: float = 0.01, losses: Sequence[float] = (1.0,) * 10) -> PrecisionTrial:
    return PrecisionTrial("bf16", 200, step_seconds, tuple(losses))


def test_what_is_faster_and_as_good_is_chosen_with_its_evidence() -> None:
    choice = SimulatedRuns(FULL, narrow(losses=[1.005] * 10)).choose()
    assert choice.reason == (
        "bfloat16, 2.00 times as fast: a step takes 10 ms in bfloat16 and 20 ms in float32, and the held-out loss "
        "after 200 steps is 1.005 in bfloat16 and 1 in float32"
    )
    earlier: dict[str, Any] = {"recipe": "lenet5", "error": 0.1}
    plan = choice.applied(replace(PLAN, evidence=(earlier,)))
    assert plan.precision == "bf16"
    assert TrainingPlan.from_data(plan.to_data()).evidence == (
        earlier,
        {"precision": "float32", "steps": 200, "step_seconds": 0.02, "held_out_loss": 1.0},
        {"precision": "bf16", "steps": 200, "step_seconds": 0.01, "held_out_loss": 1.005},
    )


@pytest.mark.parametrize(("seconds", "expected"), [(0.0181, "bf16"), (0.0183, "float32")])
def test_it_must_be_faster(seconds: float, expected: str) -> None:
    choice = SimulatedRuns(FULL, narrow(seconds)).choose()
    assert choice.name == expected
    assert ("which is not 1.1 times as fast" in choice.reason) == (expected == "float32")
    assert len(choice.evidence) == 2


SPREAD = np.array([-0.05, 0.05] * 5)
"""Differences of groups: their mean has a standard error of 0.0176."""


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([0.019] * 10, "bf16"), ([0.021] * 10, "float32"), (0.05 + SPREAD, "bf16"), (0.06 + SPREAD, "float32"),
        ([-0.5] * 10, "bf16"), ([0.01], "bf16"), ([0.03], "float32"),
    ],
)  # fmt: skip
def test_its_loss_must_be_as_good(differences: Sequence[float], expected: str) -> None:
    full = replace(FULL, losses=FULL.losses[: len(differences)])
    choice = SimulatedRuns(full, narrow(losses=[1 + each for each in differences])).choose()
    assert choice.name == expected
    assert ("more than chance and rounding explain" in choice.reason) == (expected == "float32")


def test_trainings_that_diverge_decide_for_float32() -> None:
    assert SimulatedRuns(FULL, None).choose().reason == "float32: a short training in bfloat16 diverged"
    assert "a short training in float32 diverged" in SimulatedRuns(None).choose().reason


@pytest.mark.parametrize(
    ("plan", "machine", "reason"),
    [
        (PLAN, FakeMachine(bf16_gain=1.0), "this processor has no instructions that multiply bfloat16"),
        (replace(PLAN, stages=(Stage(epochs=3, batch=8),)), FakeMachine(), "750 steps are too few"),
        (
            replace(PLAN, stages=(*PLAN.stages, FEATURES)), FakeMachine(),
            "stored features take little time in any precision",
        ),
    ],
    ids=["processor", "steps", "features"],
)  # fmt: skip
def test_nothing_is_trained_if_that_cannot_pay(plan: TrainingPlan, machine: FakeMachine, reason: str) -> None:
    runs = SimulatedRuns()
    choice = runs.choose(plan, machine)
    assert choice.name == "float32" and reason in choice.reason and not (runs.plans or choice.evidence)


def test_a_short_training_is_tried_in_float32_only() -> None:
    runs = SimulatedRuns(replace(FULL, step_seconds=0.0007))
    choice = runs.choose()
    assert choice.name == "float32" and "about 56 s of steps are too few" in choice.reason
    assert len(runs.plans) == len(choice.evidence) == 1


def test_trials_differ_in_nothing_but_the_precision() -> None:
    runs = SimulatedRuns(FULL, narrow())
    runs.choose(replace(PLAN, seed=3, stages=(Stage(name="head", epochs=1), *PLAN.stages)))
    first, second = runs.plans
    assert second == replace(first, precision="bf16") and runs.data[0] is runs.data[1]
    (stage,) = first.stages
    assert first.seed == 3 and first.patience is None and stage == replace(PLAN.stages[0], epochs=1, images=None)
    data = runs.data[0]
    assert len(data.train) == 2000 and len(data.test) == 250 and data.validation is None


@pytest.mark.parametrize(
    ("epochs", "batch", "expected"),
    [(8, 10, (1, 400)), (400, 10, (1, None)), (400, 25, (2, None)), (30000, 2000, (200, None))],
)
def test_the_number_of_steps_follows_from_the_plan(epochs: int, batch: int, expected: tuple[int, int | None]) -> None:
    runs = SimulatedRuns(FULL, narrow())
    runs.choose(replace(PLAN, stages=(Stage(epochs=epochs, batch=batch),)))
    (stage,) = runs.plans[0].stages
    assert (stage.epochs, stage.images) == expected and stage.batch == batch


@pytest.mark.parametrize(("batch", "expected"), [(4, 200), (10, 500), (100, 2000)])
def test_the_number_of_held_out_images_follows_from_the_steps(batch: int, expected: int) -> None:
    runs = SimulatedRuns(FULL, narrow())
    runs.choose(replace(PLAN, stages=(Stage(epochs=400, batch=batch),)), images=20_000)
    assert len(runs.data[0].test) == expected


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return replace(load(write_stripes(tmp_path_factory.mktemp("stripes"))), validation=None)


def network() -> nn.Layer:
    return nn.Sequential(nn.Conv2d(8, 3, padding=1), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(2))


SHORT = TrainingPlan(network="Sequential", stages=(Stage(epochs=2, batch=8),), precision="bf16")


def test_a_trial_trains_and_measures_the_held_out_images(stripes: Dataset) -> None:
    layer = network()
    result = run_trial(SHORT, stripes, layer, 1, compile)
    trainer = Trainer(SHORT, stripes, network=layer, threads=1)
    assert len(list(trainer)) > 2
    evaluation = trainer.model.evaluate(stripes.require_test())
    assert result is not None and result.precision == "bf16" and 0 < result.step_seconds < 1
    assert result.steps == 2 * -(-len(stripes.train) // 8)
    sizes = [len(range(first, len(stripes.test), 10)) for first in range(min(10, len(stripes.test)))]
    assert np.average(result.losses, weights=sizes) == pytest.approx(evaluation.score.loss, rel=1e-6)


def test_a_trial_can_diverge_or_be_interrupted(stripes: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    class Diverging(Trainer):
        def __iter__(self) -> Any:
            raise TrainingError("NaN")

    class Stopped(Trainer):
        def __iter__(self) -> Any:
            yield Interrupted(1, 1)

    class Useless(Trainer):
        def __iter__(self) -> Any:
            self.model.load_state({name: np.full_like(array, np.nan) for name, array in self.model.state.items()})
            yield Step(1, 1, 1.0, 1, 8)

    monkeypatch.setattr(precision_choice, "Trainer", Diverging)
    assert run_trial(SHORT, stripes, network(), 1, compile) is None
    monkeypatch.setattr(precision_choice, "Trainer", Useless)
    assert run_trial(SHORT, stripes, network(), 1, compile) is None
    monkeypatch.setattr(precision_choice, "Trainer", Stopped)
    with pytest.raises(KeyboardInterrupt):
        run_trial(SHORT, stripes, network(), 1, compile)


def test_plans_are_in_float32_until_it_is_decided() -> None:
    machine = FakeMachine()
    plan = choose(TrainOptions(precision="auto"), machine=machine)
    assert plan.plan.precision == "float32" and set(machine.precisions) == {"float32"}
    assert sum("decides between them before the training begins" in reason for reason in plan.reasons) == 1
    with pytest.raises(UsageError, match=r"^the precision must be one of float32, bf16, not 'auto'$"):
        replace(PLAN, precision="auto")


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[TrainingPlan]:
    """Trials of few steps that always prefer bfloat16, and the plans they were made for."""
    plans: list[TrainingPlan] = []

    def run(plan: TrainingPlan, *_: Any) -> PrecisionTrial:
        plans.append(plan)
        return replace(FULL if plan.precision == "float32" else narrow(), precision=plan.precision)

    replaced = {"run": run, "machine": FakeMachine()}
    monkeypatch.setattr(choose_precision, "__kwdefaults__", choose_precision.__kwdefaults__ | replaced)
    monkeypatch.setattr(precision_choice, "TRIAL_SHARE", 1.0)
    monkeypatch.setattr(precision_choice, "MIN_TRIAL_STEPS", 1)
    monkeypatch.setattr(precision_choice, "MIN_TRAINING_SECONDS", 0.0)
    return plans


@pytest.mark.filterwarnings("ignore:the model is no better than one")
def test_python_decides(chosen: list[TrainingPlan], stripes: Dataset, tmp_path: Path) -> None:
    model = opsin.train(network(), stripes, epochs=1, precision="auto", threads=1)
    assert model.record["plan"]["precision"] == "bf16" and len(model.record["plan"]["evidence"]) == 2
    folder = write_stripes(tmp_path / "stripes")
    model = opsin.autotrain(folder, epochs=1, network="resnet9_half", size=32, precision="auto", threads=1)
    assert model.record["plan"]["precision"] == "bf16" and len(model.record["plan"]["evidence"]) == 2
    x, y = stripes.train.pixels[:], stripes.train.labels
    for each in (network(), None):
        classifier = opsin.ImageClassifier(each, epochs=1, precision="auto").fit(x, y)
        assert classifier.plan_.precision == "bf16" and len(classifier.plan_.evidence) == 2
    assert [plan.precision for plan in chosen] == ["float32", "bf16"] * 4

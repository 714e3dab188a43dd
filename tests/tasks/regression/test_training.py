"""Training a network on generated images, and what the model then answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from opsin.base.errors import UsageError
from opsin.data import load as load_data
from opsin.data.sources.detect import open_source
from opsin.model import Model, load
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import TrainOptions
from opsin.tasks.regression import Regression
from opsin.tasks.regression.evaluation import RegressionEvaluation
from opsin.training import Epoch, Event, Finished, Trainer, TrainingPlan, Warning
from tests.data.annotated_folders import write_numbers
from tests.tasks.multilabel import squares
from tests.tasks.regression import bars

EPOCHS = 12


@pytest.fixture(scope="module")
def trained() -> tuple[Model, list[Event]]:
    trainer = Trainer(bars.plan(EPOCHS), bars.dataset())
    events = list(trainer)
    return trainer.model, events


def evaluated(model: Model, count: int = 200, seed: int = 3) -> RegressionEvaluation:
    found: RegressionEvaluation = model.evaluate(bars.images(count, seed))
    return found


def of_kind(events: Iterable[Event], kind: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def test_it_learns(trained: tuple[Model, list[Event]]) -> None:
    model, events = trained
    found = evaluated(model)
    assert all(each.r2 > 0.85 for each in found.quantities)
    losses = [event.loss for event in events if isinstance(event, Epoch)]
    assert len(losses) == EPOCHS and losses[-1] < 0.2 * losses[0]
    assert len(of_kind(events, Finished)) == 1 and not of_kind(events, Warning)


def test_intervals_hold_on_new_images(trained: tuple[Model, list[Event]]) -> None:
    model, _ = trained
    assert model.calibration.images == 64
    model.calibrate(bars.images(600, 5))
    coverages = [each.coverage for each in evaluated(model, 1000, 6).quantities]
    assert all(coverage is not None and 0.87 <= coverage <= 0.93 for coverage in coverages)


def test_a_saved_model_gives_the_same_answers(trained: tuple[Model, list[Event]], tmp_path: Path) -> None:
    model, _ = trained
    model.save(tmp_path / "bars.opsin")
    loaded = load(tmp_path / "bars.opsin")
    pixels = np.asarray(bars.images(5, 7).pixels)
    assert loaded.check() == 0 and loaded.task == model.task and loaded.calibration == model.calibration
    answers = loaded.predict(pixels)
    assert answers == model.predict(pixels) and answers[0].quantities[0].low is not None
    assert evaluated(loaded).to_data() == evaluated(model).to_data()


def test_results_do_not_depend_on_threads() -> None:
    models = []
    for threads in (1, 2):
        trainer = Trainer(bars.plan(2, "light"), bars.dataset(64, 16), threads=threads)
        list(trainer)
        models.append(trainer.model)
    one, two = models
    assert all(np.array_equal(one.state[name], two.state[name]) for name in one.state)
    assert one.calibration == two.calibration
    assert evaluated(one, 16).to_data() == evaluated(two, 16).to_data()


def test_mirrored_images_teach_signed_numbers() -> None:
    """Bars on one side only: the other side is known from mirrored images, if the sign changes with them."""
    task = Regression(("place",), ("m",), (0.0,), (0.6,), (False,))
    data = bars.dataset(task=task)
    left = data.train.take(np.flatnonzero(data.train.targets.values[:, 0] < 0))
    scores = {}
    for signed in ((), ("place",)):
        trainer = Trainer(replace(bars.plan(8, flip=True), signed=signed), replace(data, train=left))
        list(trainer)
        assert trainer.model.task.signed == (bool(signed),)
        scores[bool(signed)] = trainer.model.evaluate(bars.images(100, 8, task)).score.value
    assert scores[True] > 0.8 and scores[False] < 0.3


def test_signs_in_plans() -> None:
    plan = replace(bars.plan(1, flip=True), signed=("place",))
    assert TrainingPlan.from_data(json.loads(json.dumps(plan.to_data()))) == plan
    assert "signed" not in bars.plan(1).to_data()
    with pytest.raises(UsageError, match="there is no quantity 'angle' to be signed"):
        Trainer(replace(plan, signed=("angle",)), bars.dataset(16, 16))
    with pytest.raises(UsageError, match="multilabel has no numbers that are signed; leave 'signed' out of the plan"):
        Trainer(replace(plan, signed=("red",)), squares.dataset(16, 16))


def test_options_for_signs() -> None:
    data = bars.dataset(64, 16)
    choice = networks.choose_network(DatasetSummary.of(data), TrainOptions())
    plan = autoconfig.choose(choice, data, TrainOptions(epochs=1, signed=" place, brightness")).plan
    assert plan.signed == ("place", "brightness") and plan.stages[0].flip
    assert not autoconfig.choose(choice, data, TrainOptions(epochs=1, signed="place", flip=False)).plan.stages[0].flip
    plain = autoconfig.choose(choice, data, TrainOptions(epochs=1)).plan
    assert plain.signed == () and plain.stages[0].flip is None


def test_steering_is_learned_by_pilotnet(tmp_path: Path) -> None:
    folder = write_numbers(tmp_path / "data", 80)
    table = folder / "table.csv"
    table.write_text(table.read_text().replace("price (EUR)", "steering"))
    options = TrainOptions(epochs=2, threads=1)
    choice = networks.choose_network(DatasetSummary.of(open_source(folder)), options)
    plan = autoconfig.choose(choice, load_data(folder, size=choice.size), options).plan
    assert (plan.network, plan.patience, choice.size) == ("pilotnet", 30, 80)


def test_a_folder_is_planned_and_trained_on(tmp_path: Path) -> None:
    folder = write_numbers(tmp_path / "data", 80)
    options = TrainOptions(epochs=6, threads=1)
    choice = networks.choose_network(DatasetSummary.of(load_data(folder)), options)
    data = load_data(folder, choice.preprocessing, size=choice.size)
    plan = autoconfig.choose(choice, data, options).plan
    assert plan.network == "resnet9_half" and plan.stages[0].epochs == 6
    trainer = Trainer(plan, data, threads=1)
    list(trainer)
    assert trainer.model.task.labels == ("price",) and trainer.model.task.units == ("EUR",)
    (answer,) = trainer.model.predict(folder / "images" / "00.png")
    assert str(answer).startswith("price ") and "EUR" in str(answer)

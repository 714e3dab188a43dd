"""Training a network on generated images with several labels, and what the model then answers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from opsin.data import load as load_data
from opsin.model import Model, load
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import TrainOptions
from opsin.tasks.multilabel.evaluation import MultiLabelEvaluation
from opsin.training import Epoch, Event, Finished, Trainer, Warning
from tests.data.annotated_folders import write_labels
from tests.tasks.multilabel import squares

EPOCHS = 12


@pytest.fixture(scope="module")
def trained() -> tuple[Model, list[Event]]:
    trainer = Trainer(squares.plan(EPOCHS), squares.dataset())
    events = list(trainer)
    return trainer.model, events


def evaluated(model: Model, count: int = 100) -> MultiLabelEvaluation:
    found: MultiLabelEvaluation = model.evaluate(squares.images(count, 3))
    return found


def of_kind(events: Iterable[Event], kind: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def test_it_learns(trained: tuple[Model, list[Event]]) -> None:
    model, events = trained
    found = evaluated(model)
    assert found.score.value > 0.95 and found.f1 > 0.9 and found.exact > 0.8
    losses = [event.loss for event in events if isinstance(event, Epoch)]
    assert len(losses) == EPOCHS and losses[-1] < 0.4 * losses[0]
    assert len(of_kind(events, Finished)) == 1 and not of_kind(events, Warning)


def test_probabilities_do_not_add_up(trained: tuple[Model, list[Event]]) -> None:
    model, _ = trained
    images = squares.images(30, 4)
    probabilities = model.probabilities(images.pixels)
    assert model.independent and probabilities.shape == (30, 3)
    answers = model.predict(np.asarray(images.pixels))
    assert {len(answer.labels) for answer in answers} >= {0, 1, 2}
    assert model.calibration.images == 64


def test_a_saved_model_gives_the_same_answers(trained: tuple[Model, list[Event]], tmp_path: Path) -> None:
    model, _ = trained
    model.save(tmp_path / "squares.opsin")
    loaded = load(tmp_path / "squares.opsin")
    pixels = np.asarray(squares.images(5, 5).pixels)
    assert loaded.check() == 0 and loaded.task == model.task and loaded.calibration == model.calibration
    assert loaded.predict(pixels) == model.predict(pixels)
    assert evaluated(loaded).to_data() == evaluated(model).to_data()


@pytest.mark.parametrize("augment", ["light", "strong"])
def test_results_do_not_depend_on_threads(augment: str) -> None:
    models = []
    for threads in (1, 2):
        trainer = Trainer(squares.plan(2, augment), squares.dataset(64, 16), threads=threads)
        list(trainer)
        models.append(trainer.model)
    one, two = models
    assert all(np.array_equal(one.state[name], two.state[name]) for name in one.state)
    assert one.calibration == two.calibration
    assert evaluated(one, 16).to_data() == evaluated(two, 16).to_data()


def test_a_folder_is_planned_and_trained_on(tmp_path: Path) -> None:
    folder = write_labels(tmp_path / "data", 60)
    options = TrainOptions(epochs=4, threads=1)
    choice = networks.choose_network(DatasetSummary.of(load_data(folder)), options)
    data = load_data(folder, choice.preprocessing, size=choice.size)
    plan = autoconfig.choose(choice, data, options).plan
    assert plan.network == "resnet9_half" and plan.stages[0].epochs == 4
    trainer = Trainer(plan, data, threads=1)
    list(trainer)
    assert trainer.model.task.labels == ("left", "pink", "red", "right")
    (answer,) = trainer.model.predict(folder / "images" / "00.png")
    assert set(answer.labels) <= set(trainer.model.task.labels)

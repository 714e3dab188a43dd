"""Steering learned from the movement of a film, from the folder to answers for frames that arrive one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opsin.apps.cli import predict
from opsin.base.errors import DataError
from opsin.data import Dataset
from opsin.data import load as load_data
from opsin.data.sources.detect import open_source
from opsin.model import Model, load
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import TrainOptions
from opsin.report.task_report import measure_task
from opsin.training import Trainer
from tests.data.annotated_folders import write_numbers
from tests.data.films import write_film

FRAMES = 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "data", FRAMES)


@pytest.fixture(scope="module")
def trained(folder: Path) -> tuple[Model, Dataset]:
    options = TrainOptions(epochs=30, threads=1)
    choice = networks.choose_network(DatasetSummary.of(open_source(folder)), options)
    data = load_data(folder, size=choice.size)
    plan = autoconfig.choose(choice, data, options).plan
    assert plan.network == "egomotion"
    trainer = Trainer(plan, data, threads=1)
    list(trainer)
    return trainer.model, data


def test_it_learns_from_movement(trained: tuple[Model, Dataset]) -> None:
    model, data = trained
    assert model.preprocessing.frames == 4 and data.shape == (3, 80, 80)
    assert data.test and model.evaluate(data.test).score.value > 0.8


def test_a_film_in_parts_gives_the_same_answers(trained: tuple[Model, Dataset], folder: Path, tmp_path: Path) -> None:
    trained[0].save(tmp_path / "film.opsin")
    model = load(tmp_path / "film.opsin")
    assert model.check() == 0
    paths = sorted(folder.glob("*.png"))[:7]
    together, history = model.predict(paths), model.history()
    sized = [model.preprocessing.read_with_size(path, path.name) for path in paths]
    one_by_one = [answer for each in sized for answer in model.answers([each], None, history)]
    assert [str(answer) for answer in one_by_one] == [str(answer) for answer in together]
    still = model.predict([paths[0]] * 4)
    assert len({str(answer) for answer in still}) == 1 and str(still[0]) == str(together[0])


def test_the_report_shows_single_frames(trained: tuple[Model, Dataset]) -> None:
    model, data = trained
    report = measure_task(model, data, seconds=30)
    assert report.robustness and report.drawn and report.score.value > 0.8


def test_single_images_are_named(
    trained: tuple[Model, Dataset], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained[0].save(tmp_path / "film.opsin")
    paths = [str(path) for path in sorted(folder.glob("*.png"))]
    assert predict.run(str(tmp_path / "film.opsin"), paths[:1], False, None, None) == 0
    assert "compares each image with the 3 before it" in capsys.readouterr().err
    assert predict.run(str(tmp_path / "film.opsin"), paths[:70], False, None, None) == 0
    output = capsys.readouterr()
    assert not output.err and len(output.out.splitlines()) == 70


def test_images_without_an_order_are_refused(trained: tuple[Model, Dataset], tmp_path: Path) -> None:
    model, _ = trained
    table = write_numbers(tmp_path / "data", 20) / "table.csv"
    table.write_text(table.read_text().replace("price (EUR)", "steering"))
    data = load_data(tmp_path / "data", model.preprocessing)
    with pytest.raises(DataError, match="the images are not known to be frames in the order of time"):
        model.evaluate(data.train)


def test_training_gives_the_same_bits_on_any_number_of_threads(folder: Path) -> None:
    options = TrainOptions(epochs=1, network="egomotion")
    choice = networks.choose_network(DatasetSummary.of(open_source(folder)), options)
    data = load_data(folder, size=choice.size)
    plan = autoconfig.choose(choice, data, options).plan
    states = []
    for threads in (1, 2):
        trainer = Trainer(plan, data, threads=threads)
        list(trainer)
        states.append(trainer.model.state)
    assert all(np.array_equal(value, states[1][name]) for name, value in states[0].items())

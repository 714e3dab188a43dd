"""Learning curves of runs: subsets, equal training, interruptions and results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import opsin
from opsin.apps.cli.main import run as main
from opsin.base.errors import UsageError
from opsin.data import AnnotatedImages, Dataset
from opsin.runs import Run
from opsin.runs import resume as resume_run
from opsin.runs.learning_curve import POINTS, SUBSET_RUN, CurveRun, actual_plan, measure, subset, unfinished_curve
from opsin.tasks.multilabel import LabelSets, MultiLabel
from opsin.tasks.regression import Quantities, Regression
from opsin.training import Finished, Stage, Started, Step, SubsetStarted, TrainingPlan, Warning
from opsin.training.learning_curve import DataCurve
from tests.data.annotated_folders import write_masks, write_numbers
from tests.data.films import write_film
from tests.runs.kills import result

OPTIONS = (
    "--network", "resnet9_half", "--size", "32", "--epochs", "2", "--batch", "8", "--threads", "1", "--no-report",
    "--checkpoint-minutes", "0", "--learning-curve",
)  # fmt: skip


class Crash(BaseException):
    """The process is gone."""


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_numbers(tmp_path_factory.mktemp("data") / "numbers", 40)


@pytest.fixture(scope="module")
def complete(numbers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with a learning curve."""
    folder = tmp_path_factory.mktemp("runs") / "complete"
    assert main(["train", str(numbers), *OPTIONS, "--run", str(folder)]) == 0
    return folder


def curve_of(folder: Path) -> DataCurve:
    curve = DataCurve.from_data(opsin.load(folder / "model.opsin").record["learning_curve"])
    assert curve is not None
    return curve


def sets(truth: Any) -> AnnotatedImages:
    pixels = np.zeros((len(truth), 3, 4, 4), np.uint8)
    return AnnotatedImages(pixels, LabelSets(np.asarray(truth, np.uint8)), MultiLabel(("a", "b")))


def test_subsets_are_nested_and_stratified() -> None:
    images = sets([[1, 0]] * 60 + [[0, 1]] * 20)
    quarter, half = subset(images, 1 / 4), subset(images, 1 / 2)
    assert (len(quarter), len(set(quarter.tolist()))) == (20, 20)
    assert set(quarter.tolist()) < set(half.tolist())
    assert images.take(quarter).counts() == [15, 5]
    assert images.take(half).counts() == [30, 10]
    assert sorted(quarter.tolist()) != list(range(20))


def test_subsets_of_a_film_are_its_first_frames() -> None:
    places = np.array([5, 3, 1, 7, 0, 2, 6, 4])
    task = Regression(("angle",), ("",), (0.0,), (1.0,), (False,))
    film = AnnotatedImages(np.zeros((8, 3, 4, 4), np.uint8), Quantities(np.zeros((8, 1)), places), task)
    assert places[subset(film, 1 / 2)].tolist() == [0, 1, 2, 3]


def test_all_trainings_have_as_many_steps_and_are_measured_on_the_same_images(complete: Path) -> None:
    curve, config = curve_of(complete), json.loads((complete / "config.json").read_text())
    train = config["data"]["images"]["train"]
    assert [point.images for point in curve.points] == [round(train / 4), round(train / 2), train]
    assert curve.metric == "r2" and curve.measured == config["data"]["images"]["test"]
    record = opsin.load(complete / "model.opsin").record
    assert curve.points[-1].value == pytest.approx(record["test"]["r2"])
    assert not (complete / SUBSET_RUN).exists()
    points = json.loads((complete / POINTS).read_text())
    assert [point["value"] for point in points] == [point.value for point in curve.points[:2]]
    with pytest.raises(UsageError, match="is finished"):
        resume_run(complete)


def test_the_model_is_that_of_a_run_without_a_curve(numbers: Path, complete: Path, tmp_path: Path) -> None:
    assert main(["train", str(numbers), *OPTIONS[:-1], "--run", str(tmp_path / "plain")]) == 0
    plain, other = opsin.load(tmp_path / "plain" / "model.opsin"), opsin.load(complete / "model.opsin")
    assert all(np.array_equal(plain.state[name], other.state[name]) for name in plain.state)
    assert plain.record == {key: value for key, value in other.record.items() if key != "learning_curve"}
    assert unfinished_curve(tmp_path / "plain") is None


@pytest.mark.parametrize(("name", "saves"), [(SUBSET_RUN, 1), (SUBSET_RUN, 2), (SUBSET_RUN, 3)])
def test_a_resumed_curve_is_the_same(
    name: str, saves: int, numbers: Path, complete: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    count, save = 0, Run.save

    def crash(run: Run, snapshot: Any) -> None:
        nonlocal count
        save(run, snapshot)
        count += run.folder.name == name
        if count == saves:
            raise Crash

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", crash)
        with pytest.raises(Crash):
            main(["train", str(numbers), *OPTIONS, "--run", str(folder)])
    assert "learning_curve" not in opsin.load(folder / "model.opsin").record
    assert main(["train", "--resume", str(folder), "--no-report"]) == 0
    assert "Trained on parts of the training images, the R² is " in capsys.readouterr().out
    assert (folder / POINTS).read_bytes() == (complete / POINTS).read_bytes()
    assert result(folder) == result(complete)


def test_an_interrupted_curve_says_how_to_continue(
    numbers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("opsin.runs.learning_curve.measure", interrupted)
        assert main(["train", str(numbers), *OPTIONS, "--run", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "learning curve: training on 7 of the 28 images" in out
    assert "The learning curve was stopped; the model is complete without it. To continue" in out
    assert f"opsin train --resume {tmp_path / 'run'}" in out
    events = []
    model = resume_run(tmp_path / "run", on_event=events.append)
    assert "learning_curve" in model.record
    assert [event.images for event in events if isinstance(event, SubsetStarted)] == [7, 14]


def test_autotrain_measures_it_without_a_folder(tmp_path: Path) -> None:
    events: list[Any] = []
    model = opsin.autotrain(
        write_masks(tmp_path / "masks", 24), network="unet_light", size=32, epochs=1, learning_curve=True,
        on_event=events.append, out=tmp_path / "m.opsin",
    )  # fmt: skip
    assert model.record == opsin.load(tmp_path / "m.opsin").record
    curve = DataCurve.from_data(model.record["learning_curve"])
    assert curve is not None and curve.metric == "foreground_iou"
    steps: list[int] = []
    for event in events:
        steps += [0] if isinstance(event, Started) else []
        steps[-1:] = [steps[-1] + 1] if isinstance(event, Step) else steps[-1:]
    assert len(steps) == 3 and len(set(steps)) == 1
    assert sum(isinstance(event, Finished) for event in events) == 3


def test_too_few_images_have_no_curve(complete: Path, numbers: Path) -> None:
    model, data = opsin.load(complete / "model.opsin"), opsin.data.load(numbers, size=32)
    few: Dataset = replace(data, train=data.train.take(np.arange(7)))
    (warning,) = CurveRun(model, few)
    assert isinstance(warning, Warning) and "at least 8 training images, not 7" in warning.text


def test_points_are_measured_like_scores(complete: Path, numbers: Path) -> None:
    model, data = opsin.load(complete / "model.opsin"), opsin.data.load(numbers, size=32)
    assert data.test is not None
    point = measure(model, data.test, 28)
    assert point.value == pytest.approx(model.evaluate(data.test).score.value)
    assert len(point.without) == min(10, len(data.test))
    assert len(set(point.without)) > 1


def test_the_plan_has_the_epochs_that_the_time_allowed() -> None:
    plan = TrainingPlan(network="small", stages=(Stage(epochs=9),))

    def record(*values: float, patience: int | None = None) -> dict[str, Any]:
        history = [{"stage": "training", "held_out_loss": 1.0, "held_out_ap": value} for value in values]
        return {"plan": replace(plan, patience=patience).to_data(), "history": history}

    assert actual_plan(record(0.1, 0.2, 0.3)).epochs == 3
    assert actual_plan(record(0.1, 0.2, 0.3, patience=2)).epochs == 3
    assert actual_plan(record(0.1, 0.3, 0.2, 0.2, patience=2)).epochs == 9


def test_a_film_keeps_the_frames_before_each_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film, options = write_film(tmp_path / "film", 120), ("--epochs", "1", "--no-report", "--learning-curve", "--run")
    assert main(["train", str(film), *options, str(tmp_path / "whole")]) == 0
    whole = opsin.load(tmp_path / "whole" / "model.opsin")
    assert whole.preprocessing.frames == 4
    save = Run.save

    def crash(run: Run, snapshot: Any) -> None:
        save(run, snapshot)
        if run.folder.name == SUBSET_RUN:
            raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", crash)
        with pytest.raises(Crash):
            main(["train", str(film), *options, str(tmp_path / "crashed")])
    model = resume_run(tmp_path / "crashed")
    assert model.record["learning_curve"] == whole.record["learning_curve"]

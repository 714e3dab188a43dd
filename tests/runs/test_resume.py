"""Runs that are interrupted wherever they write, and resumed: bit-identical to an uninterrupted run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from opsin import nn
from opsin.backends.reference import Reference
from opsin.base.errors import DataError, OpsinError, UsageError
from opsin.data import Dataset
from opsin.ir import Graph
from opsin.runs import Run
from opsin.runs.listing import summary
from opsin.runs.resume import configuration, reopen
from opsin.training import (
    Finished,
    Interrupted,
    Rewound,
    Shortened,
    Stage,
    Started,
    Step,
    StoppedEarly,
    Trainer,
    TrainingPlan,
    Warning,
)
from tests.model.networks import reference, small_network
from tests.runs.kills import result
from tests.training.test_divergence import Poisoned

PLAN = TrainingPlan(
    network="small",
    stages=(
        Stage(name="head", epochs=2, batch=8, learning_rate=0.01, frozen=("conv", "norm")),
        Stage(name="fine-tuning", epochs=2, batch=6, learning_rate=0.02, augment="strong"),
    ),
    ema=0.9,
    patience=3,
    label_smoothing=0.1,
    class_weights=(0.7, 1.3),
)


pytestmark = pytest.mark.usefixtures("frequent_checkpoints")


def start_run(
    data: Dataset, folder: Path, plan: TrainingPlan = PLAN, engine: Any = reference, **settings: Any
) -> Trainer:
    """Start a run; `settings` are added to its configuration."""
    training = Trainer(plan, data, network=small_network(2), engine=engine)
    training.run = Run.create(configuration(plan, data, "", None) | settings, data.name, folder)
    return training


def resume_run(data: Dataset, folder: Path, engine: Any = reference) -> Trainer:
    return reopen(folder, data=data, network=small_network(2), engine=engine)


@pytest.fixture(scope="module")
def uninterrupted(stripes: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("runs") / "uninterrupted"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("opsin.training.divergence_guard.CHECK_INTERVAL", 3)
        patch.setattr(Run, "due", True)
        list(start_run(stripes, folder))
    return folder


class Crash(BaseException):
    """The end of the process."""


def crash_at(call: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` with a crash in its call of that number, from 1."""
    calls: list[int] = []

    def crashing(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            raise Crash
        return function(*arguments)

    return crashing


@pytest.mark.parametrize(("module", "name"), [(os, "fsync"), (Path, "replace")])
def test_a_crash_at_any_write(
    stripes: Dataset, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    expected, original, crashes = result(uninterrupted), getattr(module, name), 0
    for call in range(1, 99):
        folder = tmp_path / str(call)
        crashing = crash_at(call, original)
        monkeypatch.setattr(module, name, crashing)
        try:
            list(start_run(stripes, folder))
            break
        except Crash:
            crashes += 1
        finally:
            monkeypatch.setattr(module, name, original)
        if not (folder / "config.json").exists():
            continue  # The run never began.
        if summary(folder).state != "finished":
            list(resume_run(stripes, folder))
        assert result(folder) == expected, f"{name} number {call}"
    assert crashes >= 10


FEATURES = replace(PLAN, stages=(replace(PLAN.stages[0], epochs=4, features=True, views=2), PLAN.stages[1]))


ROUNDED = replace(PLAN, stages=(replace(PLAN.stages[0], epochs=1), Stage(name="quantization", epochs=5, qat=True)))


@pytest.mark.parametrize("plan", [PLAN, FEATURES, ROUNDED], ids=["frozen", "features", "qat"])
def test_a_run_that_crashes_every_few_steps_finishes(stripes: Dataset, tmp_path: Path, plan: TrainingPlan) -> None:
    list(start_run(stripes, tmp_path / "uninterrupted", plan))
    folder, processes = tmp_path / "run", 0
    training = start_run(stripes, folder, plan)
    while summary(folder).state != "finished":
        processes += 1
        try:
            for number, event in enumerate(training):
                if isinstance(event, Step) and number >= 5 + processes % 3:
                    raise Crash
        except Crash:
            training = resume_run(stripes, folder)
    assert processes > 3
    assert result(folder) == result(tmp_path / "uninterrupted")


def test_an_interrupted_run_continues(stripes: Dataset, uninterrupted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    training = start_run(stripes, folder)
    for event in training:
        if isinstance(event, Step) and event.step == 5:
            training.interruption.requested = True
    assert event == Interrupted(epoch=2, step=5)
    assert summary(folder).state == "interrupted"
    training = resume_run(stripes, folder)
    events = list(training)
    assert isinstance(events[0], Started)
    assert events[0].done == 4
    assert result(folder) == result(uninterrupted)


def test_a_damaged_checkpoint_is_skipped_with_a_warning(stripes: Dataset, uninterrupted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Crash):
        for event in start_run(stripes, folder):
            if isinstance(event, Step) and event.step == 10:
                raise Crash
    last = max((folder / "checkpoints").iterdir())
    last.write_bytes(last.read_bytes()[:-100])
    events = list(resume_run(stripes, folder))
    assert Warning(f"{last} is damaged; training continues from the checkpoint before it") in events
    assert result(folder) == result(uninterrupted)


def test_a_rollback_is_repeated_exactly(stripes: Dataset, tmp_path: Path) -> None:
    """Also if the run was interrupted between the snapshot to which it returns and the problem."""
    plan = TrainingPlan(network="small", stages=(Stage(epochs=6, batch=4, learning_rate=0.01),))
    rate = 0.0

    def engine(graph: Graph, batch: int, threads: int | None) -> Reference:
        return Poisoned(graph, batch, {rate}, "conv.weight") if "loss" in graph.outputs else Reference(graph, batch)

    training = start_run(stripes, tmp_path / "uninterrupted", plan, engine)
    assert training.runtime is not None
    rate = training.runtime.schedule(28)
    training = start_run(stripes, tmp_path / "poisoned", plan, engine)
    events = list(training)
    (rewound,) = (event for event in events if isinstance(event, Rewound))
    assert (rewound.step, rewound.to) == (30, 28)
    for at in (28, 33):
        folder = tmp_path / f"interrupted{at}"
        with pytest.raises(Crash):
            for event in start_run(stripes, folder, plan, engine):
                if isinstance(event, Step) and event.step == at:
                    raise Crash
        list(resume_run(stripes, folder, engine))
        assert result(folder) == result(tmp_path / "poisoned")


def test_early_stopping_keeps_the_best_model(stripes: Dataset, tmp_path: Path) -> None:
    plan = TrainingPlan(network="small", stages=(Stage(epochs=30, batch=8, learning_rate=0.02),), patience=2)
    training = start_run(stripes, tmp_path / "run", plan)
    events = list(training)
    (stopped,) = (event for event in events if isinstance(event, StoppedEarly))
    results = [(epoch.held_out.accuracy, -epoch.held_out.loss) for epoch in training.history]
    assert stopped.patience == 2
    assert stopped.epoch == len(results) == stopped.best + 2 < 30
    assert results.index(max(results)) + 1 == stopped.best
    assert training.model.record["steps"] == 4 * stopped.best
    assert stripes.validation is not None
    assert training.model.evaluate(stripes.validation).accuracy == max(results)[0]


def test_a_deadline_shortens_the_last_stage_and_speeds_up_its_schedule(stripes: Dataset, tmp_path: Path) -> None:
    plan = TrainingPlan(network="small", stages=(Stage(epochs=9, batch=8, learning_rate=0.02),))
    rates: list[float] = []

    class Recording(Reference):
        def run(self, **inputs: ArrayLike) -> dict[str, NDArray[Any]]:
            if "learning_rate" in inputs:
                rates.append(float(np.asarray(inputs["learning_rate"])))
            return super().run(**inputs)

    def shorten(epoch: int, epochs: int, epoch_seconds: float, seconds_left: float) -> int | None:
        assert (epoch_seconds > 0, seconds_left <= 0) == (True, True)
        return 4 if (epoch, epochs) == (2, 9) else None

    training = Trainer(
        plan,
        stripes,
        network=small_network(2),
        deadline=0.0,
        engine=lambda graph, batch, threads: Recording(graph, batch),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("opsin.training.deadline.affordable_epochs", shorten)
        events = list(training)
    assert [event for event in events if isinstance(event, Shortened)] == [Shortened("training", 2, 4, 9)]
    schedule = nn.schedules.one_cycle(0.02, 36, 0.25)
    assert len(rates) == 16
    assert rates[:8] == [schedule(step) for step in range(8)]
    assert rates[8] == schedule(8)
    assert rates[-1] == schedule(32) < schedule(29)


def test_epochs_that_compute_features_again_decide_nothing(stripes: Dataset, tmp_path: Path) -> None:
    folder, decisions = tmp_path / "run", list[int]()
    plan = replace(FEATURES, stages=(replace(FEATURES.stages[0], epochs=7),), patience=None)
    with pytest.raises(Crash):
        for event in start_run(stripes, folder, plan):
            if isinstance(event, Step) and event.epoch == 4:
                raise Crash

    def decide(epoch: int, epochs: int, epoch_seconds: float, seconds_left: float) -> None:
        decisions.append(epoch)

    training = resume_run(stripes, folder)
    training.deadline.seconds = 0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("opsin.training.deadline.affordable_epochs", decide)
        list(training)
    assert decisions == [6, 7]  # Not 4 and 5, in which both views are computed again.


def test_without_time_there_is_one_epoch(stripes: Dataset) -> None:
    plan = TrainingPlan(network="small", stages=(Stage(epochs=9, batch=8, learning_rate=0.02),))
    training = Trainer(plan, stripes, network=small_network(2), deadline=0.0, engine=reference)
    assert isinstance(list(training)[-1], Finished)
    assert len(training.history) == 1


def test_the_moving_average_is_the_model(stripes: Dataset, tmp_path: Path) -> None:
    plan = TrainingPlan(network="small", stages=(Stage(epochs=3, batch=8, learning_rate=0.02),), ema=0.9)
    training = start_run(stripes, tmp_path / "run", plan)
    values: list[np.ndarray[Any, Any]] = []
    for event in training:
        if isinstance(event, Step):
            assert training.runtime is not None
            values.append(training.runtime.program.state()["head.weight"])
    average = values[0]
    for step, value in enumerate(values[1:], start=1):
        weight = min(0.9, step / (step + 9))
        average = weight * average + (1 - weight) * value
    np.testing.assert_allclose(training.model.state["head.weight"], average, rtol=1e-5, atol=1e-6)
    assert not np.allclose(training.model.state["head.weight"], values[-1], rtol=1e-3)


def test_frozen_layers_do_not_change(stripes: Dataset, tmp_path: Path) -> None:
    plan = replace(PLAN, stages=PLAN.stages[:1])
    training = start_run(stripes, tmp_path / "run", plan)
    before = dict(training.model.state)
    list(training)
    after = training.model.state
    assert all(np.array_equal(before[name], after[name]) == (not name.startswith("head")) for name in before)


def test_a_full_disk_does_not_end_training(
    stripes: Dataset, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.fsync

    def full(handle: int) -> None:
        if ".part" in os.readlink(f"/proc/self/fd/{handle}") and "checkpoints" in os.readlink(
            f"/proc/self/fd/{handle}"
        ):
            raise OSError(28, "No space left on device")
        original(handle)

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs Linux to know which file is written")
    training = start_run(stripes, tmp_path / "run")
    monkeypatch.setattr(os, "fsync", full)
    warnings = [event.text for event in training if isinstance(event, Warning)]
    (warning,) = warnings
    assert warning.endswith(
        "the checkpoint cannot be written (No space left on device); training continues without it and tries again "
        "later"
    )
    assert (tmp_path / "run" / "model.opsin").read_bytes() == (uninterrupted / "model.opsin").read_bytes()


def change_config(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def test_a_change_of_versions_is_a_warning(stripes: Dataset, uninterrupted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Crash):
        for event in start_run(stripes, folder):
            if isinstance(event, Step):
                raise Crash
    change_config(folder, lambda config: config["made"].update(opsin="0.0.9"))
    warnings = [event.text for event in resume_run(stripes, folder) if isinstance(event, Warning)]
    assert warnings[0].startswith("opsin was 0.0.9 and is ")
    assert warnings[0].endswith(
        " since the run began: the result may differ in its last digits from that of an uninterrupted run"
    )


def test_runs_that_cannot_continue(stripes: Dataset, uninterrupted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    training = start_run(stripes, folder)
    cases: list[tuple[Path, Dataset | None, type[OpsinError], str]] = [
        (folder, stripes, UsageError, f"another process is training in {folder}; wait for it, or stop it first"),
        (
            uninterrupted,
            stripes,
            UsageError,
            f"the run in {uninterrupted} is finished: its model is {uninterrupted / 'model.opsin'}; start a n",
        ),
        (
            tmp_path / "no",
            stripes,
            UsageError,
            f"{tmp_path / 'no'}: there is no such folder; `opsin runs` lists the ru",
        ),
        (tmp_path, stripes, UsageError, f"{tmp_path} holds no run (there is no config.json); `opsin runs` lists the r"),
    ]
    for path, data, kind, text in cases:
        with pytest.raises(kind) as caught:
            reopen(path, data=data, network=small_network(2), engine=reference)
        assert str(caught.value).startswith(text)
    assert training.run is not None
    training.run.close()
    with pytest.raises(UsageError, match=r"a program gave the run in .* its images; only that program can continue it"):
        reopen(folder, network=small_network(2), engine=reference)
    for change, text in data_changes(stripes):
        with pytest.raises(DataError) as caught:
            resume_run(change, folder)
        assert text in str(caught.value)
    (folder / "config.json").write_text('{"plan": ')
    with pytest.raises(UsageError, match="was changed and no longer describes a run; start a new one"):
        resume_run(stripes, folder)


def data_changes(data: Dataset) -> list[tuple[Dataset, str]]:
    pixels = np.array(data.train.pixels[np.arange(len(data.train))])
    pixels[3, 0, 4, 4] ^= 1
    fewer = data.train.take(np.arange(len(data.train) - 1))
    renamed = replace(data.train, classes=("lying", "upright"))
    return [
        (
            replace(data, train=replace(data.train, pixels=pixels), content=""),
            "it has as many images, but not the same",
        ),
        (replace(data, train=fewer), "has changed since the run began: the numbers of its images were {'train': "),
        (replace(data, train=renamed), "its classes were ['lying', 'standing'] and are ['lying', 'upright']"),
    ]

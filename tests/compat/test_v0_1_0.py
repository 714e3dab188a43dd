"""Files of Opsin 0.1.0 still load: a run with its model, checkpoint, log and plan, and caches."""

from __future__ import annotations

import json
import shutil
import struct
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest

import opsin
from opsin.apps.cli.main import run as opsin_command
from opsin.backends.native import tuning_cache
from opsin.backends.native.codegen import host
from opsin.data.store import StoreFile
from opsin.runs import resume
from opsin.runs.checkpoint import Checkpoints
from opsin.runs.listing import INTERRUPTED, differences, summary
from opsin.runs.run import Run, read_config
from opsin.training import Recipe, TrainingPlan

FOLDER = Path(__file__).parent / "v0.1.0"
RUN = FOLDER / "run"
PLAN = Recipe(epochs=12, batch=64).plan("lenet5", 4500)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The run, in a folder that may be written."""
    return Path(shutil.copytree(RUN, tmp_path / "run"))


def test_the_model_predicts() -> None:
    model = opsin.load(RUN / "model.opsin")
    digits = opsin.data.load("digits")
    assert model.check() < 1e-3
    assert model.evaluate(digits.test).accuracy == pytest.approx(0.908, abs=0.002)
    assert model.record["images"] == 4500
    assert TrainingPlan.from_data(model.record["plan"]) == PLAN
    assert model.tta is None


def test_the_plan_is_that_of_today() -> None:
    stored = json.loads((RUN / "config.json").read_text())["plan"]
    assert {"shift_rate", "smoothing", "mirrored", "exact", "choices"} <= stored.keys()
    assert TrainingPlan.from_data(stored) == PLAN
    assert TrainingPlan.from_data(read_config(RUN)["plan"]) == PLAN


def test_old_values_of_a_plan_are_converted() -> None:
    stored = json.loads((RUN / "config.json").read_text())["plan"]
    stored |= {"mirrored": True, "exact": True, "choices": {"forward": "direct"}, "smoothing": 0.1, "shift_rate": 2.0}
    stored["stages"][0]["rise"] = 0.5
    stages = (replace(PLAN.stages[0], warmup_fraction=0.5),)
    changes = {"tta": "hflip", "winograd": False, "conv_algorithms": {"forward": "direct"}, "label_smoothing": 0.1}
    assert TrainingPlan.from_data(stored) == replace(PLAN, stages=stages, norm_bias_lr_scale=2.0, **changes)


def test_the_run_is_listed(capfd: pytest.CaptureFixture[str]) -> None:
    listed = summary(RUN)
    assert (listed.data, listed.network, listed.state) == ("digits", "lenet5", INTERRUPTED)
    assert (listed.epochs, listed.planned, listed.validation) == (2, 12, 0.882)
    assert opsin_command(["runs", str(FOLDER)]) == 0
    assert "lenet5" in capfd.readouterr().out


def test_it_can_be_compared_with_a_run_of_today(tmp_path: Path) -> None:
    config = read_config(RUN)
    Run.create({"plan": PLAN.to_data(), "data": config["data"]}, "digits", tmp_path / "new").close()
    changed = [row for row in differences(RUN, tmp_path / "new") if not row[0].startswith("made with")]
    assert not changed


def test_the_model_is_described(capfd: pytest.CaptureFixture[str]) -> None:
    assert opsin_command(["describe", str(RUN / "model.opsin")]) == 0
    assert "conv1" in capfd.readouterr().out


def test_the_checkpoint_is_read() -> None:
    stored = Checkpoints(RUN / "checkpoints").read()
    assert stored is not None
    snapshot, _, damaged = stored
    assert not damaged
    assert (snapshot.state.epoch, snapshot.state.steps, snapshot.state.images) == (2, 142, 9088)
    assert snapshot.state.best_loss == 0.4350977057502383
    assert [epoch.held_out.correct for epoch in snapshot.state.history] == [384, 441]
    assert snapshot.last_finite is not None and snapshot.last_finite.steps == 142
    model = opsin.load(RUN / "model.opsin")
    for name, value in model.state.items():
        assert np.array_equal(snapshot.values[name], value) and np.array_equal(snapshot.last_finite.values[name], value)


def test_the_run_continues(copy: Path) -> None:
    model = resume(copy, threads=1)
    assert model.record["ended"] == "finished" and len(model.record["history"]) == 12
    assert model.record["test"]["accuracy"] >= 0.97
    finished = summary(copy)
    assert (finished.state, finished.epochs) == ("finished", 12)


def test_a_line_of_the_tuning_cache_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning_cache, "cache_folder", lambda: tmp_path)
    problem = "forward 8x1x12x12 16 3x3"
    line = {"problem": problem, "model": "blocks", "way": "direct", "before": 2.0, "after": 1.0, "threads": 2}
    path = tuning_cache._path(host().target)
    path.parent.mkdir(parents=True)
    path.write_text(f"\n{json.dumps(line)}\n")
    assert tuning_cache.tuned_algorithms(host().target) in ({}, {problem: "direct"})


def test_decoded_images_are_read(tmp_path: Path) -> None:
    rows = np.arange(24, dtype=np.uint8).reshape(2, 12)
    digests = bytes(range(32))
    magic, sizes = b"opsin pictures 1", struct.pack("<qq", 2, 12)
    seal = blake2b(magic + sizes + digests, digest_size=16).digest()
    path = tmp_path / "old.pixels"
    path.write_bytes(rows.tobytes() + digests + magic + sizes + seal)
    pixels = np.empty(12, np.uint8)
    StoreFile(path).read(1, pixels)
    assert np.array_equal(pixels, rows[1])

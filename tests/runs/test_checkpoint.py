"""Checkpoints: exact, the last two, intact or skipped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin.base.errors import TrainingError
from opsin.runs.checkpoint import Checkpoints
from opsin.training.events import Epoch, Score
from opsin.training.state import ModelState, Snapshot, TrainerState


def snapshot(steps: int) -> Snapshot:
    """Return a snapshot with unusual values, after a number of steps."""
    random = np.random.default_rng(steps)
    history = (Epoch("head", 1, 40, 0.1 + 0.2, 1 / 3, Score.of_classifier(9, 7, 2 / 3, None), True, 1.25),)
    state = TrainerState(
        stage=1, epoch=2, step=3, steps=steps, images=8 * steps, loss_sum=1e-7 / 3, correct=5, best_loss=float("inf"),
        lr_scale=0.1, rewinds=1, stopped=True, truncations=((1, 4), (2, 3)), seconds=77.7, history=history,
    )  # fmt: skip
    values = {
        "conv.weight": random.standard_normal((4, 3, 3, 3)).astype(np.float32).transpose(0, 2, 3, 1),
        "ema.step": np.array(steps, np.float32),
        "random.step": np.array(7, np.int32),
        "odd": np.array([np.nan, -0.0, np.inf, 1e-42], np.float32),
    }
    last_finite = ModelState(steps - 1, {"conv.weight": values["conv.weight"] + 1})
    return Snapshot(state, values, {"stem.weight": np.ones(3, np.float32)}, last_finite, None)


def same(a: Any, b: Any) -> bool:
    return a.keys() == b.keys() and all(
        a[name].dtype == b[name].dtype and a[name].shape == b[name].shape and a[name].tobytes() == b[name].tobytes()
        for name in a
    )


def test_a_snapshot_is_read_bit_for_bit(tmp_path: Path) -> None:
    checkpoints, before = Checkpoints(tmp_path / "checkpoints"), snapshot(40)
    checkpoints.write(before, 1234)
    stored = checkpoints.read()
    assert stored is not None
    after, size, damaged = stored
    assert (size, damaged) == (1234, [])
    assert after.state == before.state
    assert same(after.values, before.values)
    assert same(after.outside, before.outside)
    assert after.best is None
    assert after.last_finite is not None and before.last_finite is not None
    assert after.last_finite.steps == 39
    assert same(after.last_finite.values, before.last_finite.values)


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.read() is None
    for steps in (10, 20, 30, 40):
        checkpoints.write(snapshot(steps), 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000003.checkpoint", "000004.checkpoint"]


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "empty":
        data.clear()
    elif how == "torn":
        del data[len(data) // 2 :]
    elif how == "a bit":
        data[-1] ^= 1
    elif how == "the state":
        begin = data.index(b'\\"lr_scale\\": 0.1')
        data[begin : begin + 17] = b'\\"lr_scale\\": 0.9'
    elif how == "zeros":  # Some file systems leave this after a loss of power.
        data[:] = bytes(len(data))
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["empty", "torn", "a bit", "the state", "zeros"])
def test_a_damaged_checkpoint_is_skipped(tmp_path: Path, how: str) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(snapshot(10), 1)
    last = checkpoints.write(snapshot(20), 2)
    damage(last, how)
    stored = checkpoints.read()
    assert stored is not None
    assert (stored[0].state.steps, *stored[1:]) == (10, 1, [last])
    for path in tmp_path.iterdir():
        damage(path, "torn")
    with pytest.raises(TrainingError) as caught:
        checkpoints.read()
    assert str(caught.value) == f"{last} and all checkpoints before it are damaged; start a new run"


def test_another_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsin.runs.checkpoint.FORMAT", 9)
    path = Checkpoints(tmp_path).write(snapshot(10), 1)
    monkeypatch.undo()
    with pytest.raises(TrainingError) as caught:
        Checkpoints(tmp_path).read()
    assert str(caught.value) == f"{path} was written by another Opsin (format 9); continue with that one"


def test_a_full_disk_keeps_earlier_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(snapshot(10), 1)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError) as caught:
        checkpoints.write(snapshot(20), 2)
    assert str(caught.value) == (
        f"{tmp_path / '000002.checkpoint'}: the checkpoint cannot be written (No space left on device)"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["000001.checkpoint"]


def test_half_written_files_are_removed(tmp_path: Path) -> None:
    (tmp_path / "000002.part").write_bytes(b"half")
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(snapshot(10), 1)
    checkpoints.clean()
    assert [path.name for path in tmp_path.iterdir()] == ["000001.checkpoint"]


def test_numbers_survive_json_exactly() -> None:
    state = snapshot(10).state
    assert TrainerState.from_data(json.loads(json.dumps(state.to_data()))) == state
    with pytest.raises(TrainingError, match="the trainer's state is not described completely"):
        TrainerState.from_data({"stage": 1})

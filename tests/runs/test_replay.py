"""Replays: frames are the network's bits, runs with and without them are bit-identical, and they survive crashes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin import nn
from opsin.backends.reference import Reference
from opsin.base.errors import UsageError
from opsin.data import Dataset, load
from opsin.ir import Graph
from opsin.model import load as load_model
from opsin.model.record import held_out
from opsin.runs import train
from opsin.runs.autotrain import autotrain
from opsin.runs.checkpoint import Checkpoints
from opsin.runs.replay import REPLAY, ReplayFiles
from opsin.training import Rewound, Stage, Step, Trainer, TrainingPlan, Warning
from opsin.training.replay import chosen_images, epoch_ends, first_variables, frame_steps
from tests.model.networks import reference, small_network
from tests.runs import test_resume
from tests.runs.kills import result
from tests.runs.test_resume import PLAN, Crash, resume_run
from tests.training.test_divergence import Poisoned

pytestmark = pytest.mark.usefixtures("frequent_checkpoints")


def start_run(
    data: Dataset, folder: Path, plan: TrainingPlan = PLAN, engine: Any = reference, replay: bool = True
) -> Trainer:
    return test_resume.start_run(data, folder, plan, engine, **{REPLAY: replay})


def frames(folder: Path) -> dict[int, Any]:
    return {frame.step: frame for frame in ReplayFiles(folder / REPLAY).read()}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / REPLAY).iterdir())}


def test_a_replay_changes_nothing(stripes: Dataset, tmp_path: Path) -> None:
    list(start_run(stripes, tmp_path / "without", replay=False))
    list(start_run(stripes, tmp_path / "with"))
    assert not (tmp_path / "without" / REPLAY).exists()
    assert result(tmp_path / "with") == result(tmp_path / "without")


def test_frames_are_the_weights_of_the_network(stripes: Dataset, tmp_path: Path) -> None:
    """Before the first step, after any step, of the checkpoint, and of the model; with outputs to match."""
    plan = replace(PLAN, ema=0.0, patience=None)
    expected: dict[int, dict[str, Any]] = {}
    training = start_run(stripes, tmp_path / "run", plan)
    expected[0] = dict(training.values)
    for event in training:
        if isinstance(event, Step):
            assert training.runtime is not None
            expected[event.step] = training.runtime.network_values(training.runtime.program.state())
    found = frames(tmp_path / "run")
    assert set(found) == frame_steps(epoch_ends(plan, len(stripes.train)))
    assert {0, 1, 4, 8, 13, 18} <= set(found)
    for step, frame in found.items():
        assert list(frame.weights) == sorted(expected[step])
        assert all(array.tobytes() == expected[step][name].tobytes() for name, array in frame.weights.items())
    snapshot, _, _ = Checkpoints(tmp_path / "run" / "checkpoints").read() or (None, 0, [])
    assert snapshot is not None
    last = found[snapshot.state.steps]
    assert all(array.tobytes() == snapshot.values[name].tobytes() for name, array in last.weights.items())
    model = load_model(tmp_path / "run" / "model.opsin", engine=reference)
    images = held_out(stripes).pixels[np.array(last.images)]
    np.testing.assert_allclose(last.outputs["logits"], model.logits(images), rtol=1e-5)
    assert (found[4].epoch, found[0].epoch, last.epoch, last.split) == (1, 0, 4, "validation")


def test_a_run_that_crashes_has_the_same_frames(stripes: Dataset, tmp_path: Path) -> None:
    list(start_run(stripes, tmp_path / "uninterrupted"))
    for at in (1, 5, 9, 16):
        folder = tmp_path / str(at)
        with pytest.raises(Crash):
            for event in start_run(stripes, folder):
                if isinstance(event, Step) and event.step == at:
                    raise Crash
        (folder / REPLAY / "00000017.safetensors").write_bytes(b"of a step that was never taken")
        list(resume_run(stripes, folder))
        assert content(folder) == content(tmp_path / "uninterrupted")


def test_an_interrupted_run_keeps_its_frames(stripes: Dataset, tmp_path: Path) -> None:
    training = start_run(stripes, tmp_path / "run")
    for event in training:
        if isinstance(event, Step) and event.step == 5:
            training.interruption.requested = True
    assert set(frames(tmp_path / "run")) == {step for step in training.replay.steps if step <= 5}  # type: ignore[union-attr]


def test_frames_after_a_rollback_are_replaced(stripes: Dataset, tmp_path: Path) -> None:
    plan = TrainingPlan(network="small", stages=(Stage(epochs=6, batch=4, learning_rate=0.01),))
    rate = 0.0

    def engine(graph: Graph, batch: int, threads: int | None) -> Reference:
        return Poisoned(graph, batch, {rate}, "conv.weight") if "loss" in graph.outputs else Reference(graph, batch)

    training = start_run(stripes, tmp_path / "run", plan, engine)
    assert training.runtime is not None
    rate = training.runtime.schedule(28)
    for event in training:
        if isinstance(event, Rewound):
            assert max(frames(tmp_path / "run")) <= event.to
    assert all(
        np.isfinite(array).all() for frame in frames(tmp_path / "run").values() for array in frame.weights.values()
    )


def test_training_continues_if_frames_cannot_be_written(stripes: Dataset, tmp_path: Path) -> None:
    training = start_run(stripes, tmp_path / "run")
    (tmp_path / "run" / REPLAY).write_text("not a folder")
    warnings = [event.text for event in training if isinstance(event, Warning) and "replay" in event.text]
    assert len(warnings) == 1
    assert "cannot be written" in warnings[0]
    assert (tmp_path / "run" / "model.opsin").exists()


def test_damaged_frames_are_left_out(stripes: Dataset, tmp_path: Path) -> None:
    list(start_run(stripes, tmp_path / "run"))
    before = set(frames(tmp_path / "run"))
    path = tmp_path / "run" / REPLAY / "00000004.safetensors"
    path.write_bytes(path.read_bytes()[:-20])
    assert set(frames(tmp_path / "run")) == before - {4}


@pytest.mark.parametrize("ends", [[1], [7], list(range(3, 3000, 3)), [10**6], list(range(500, 10_001, 500))])
def test_there_are_few_frames(ends: list[int]) -> None:
    steps = frame_steps(ends)
    assert len(steps) <= 40
    assert {0, 1, ends[-1]} <= steps
    assert max(steps) == ends[-1]
    assert ends[-1] < 3000 or len(steps) > 20


def test_epochs_end_as_the_trainer_says(stripes: Dataset) -> None:
    training = Trainer(PLAN, stripes, network=small_network(2), engine=reference)
    steps = [event.step for event in training if isinstance(event, Step)]
    assert epoch_ends(PLAN, len(stripes.train))[-1] == steps[-1]


def test_images_are_of_as_many_classes_as_possible() -> None:
    digits = load("digits").train
    chosen = chosen_images(digits)
    assert len(set(digits.labels[chosen].tolist())) == len(chosen) == 8
    assert chosen.tolist() == chosen_images(digits).tolist()


def test_large_networks_keep_their_first_layers() -> None:
    network = nn.Sequential(
        ("conv", nn.Conv2d(8, 3)), ("flat", nn.Flatten()), ("wide", nn.Linear(900)), ("head", nn.Linear(2))
    )
    names = first_variables(nn.trace(network, (1, 20, 20)))
    assert names == ["conv.weight", "conv.bias"]


def test_a_replay_needs_a_folder(stripes: Dataset) -> None:
    with pytest.raises(UsageError, match="run='FOLDER'"):
        train(small_network(2), stripes, epochs=1, engine=reference, replay=True)
    with pytest.raises(UsageError, match="run='FOLDER'"):
        autotrain("digits", replay=True)

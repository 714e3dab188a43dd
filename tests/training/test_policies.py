"""The trainer's policies, without a trainer: early stopping, the deadline, divergence and checkpoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin.base.errors import TrainingError
from opsin.tasks.classification import Classification
from opsin.training import Score, Shortened, Stage, StoppedEarly, TrainingPlan, Warning
from opsin.training.checkpointer import Checkpointer
from opsin.training.deadline import Deadline
from opsin.training.divergence_guard import CHECK_INTERVAL, NON_FINITE, Divergence, DivergenceGuard, Verified
from opsin.training.early_stopping import EarlyStopping
from opsin.training.state import Snapshot, TrainerState
from opsin.training.stopwatch import Stopwatch

TASK = Classification(("a", "b"))
PLAN = TrainingPlan(network="small", stages=(Stage(epochs=9),), patience=2)
FINITE, NAN = {"w": np.ones(3, np.float32)}, {"w": np.array([1, np.nan, 1], np.float32)}


class Clock:
    """A clock that shows `now`, in seconds."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def after(*losses: float, correct: int = 5) -> TrainerState:
    """The state after epochs with these losses on the held-out images."""
    state, stopping = TrainerState(), EarlyStopping(PLAN, TASK)
    for loss in losses:
        score = Score.of_classifier(10, correct, loss, None)
        state = state.after_step(1.0, 4, 8).after_epoch("training", 8, score, stopping.is_best(state, score))
    return state


def test_a_stage_stops_after_epochs_without_a_better_result() -> None:
    stopping = EarlyStopping(PLAN, TASK)
    assert stopping.on_epoch(after(0.5)) is None
    assert stopping.on_epoch(after(0.5, 0.4, 0.4)) is None  # no better than the one before
    assert stopping.on_epoch(after(0.5, 0.4, 0.4, 0.6)) == StoppedEarly("training", 4, 2, 2)
    assert EarlyStopping(replace(PLAN, patience=None), TASK).on_epoch(after(0.5, 0.6, 0.6, 0.6)) is None
    assert EarlyStopping(replace(PLAN, stages=(Stage(epochs=4),)), TASK).on_epoch(after(0.5, 0.6, 0.6, 0.6)) is None


def test_a_plan_that_balances_classes_compares_balanced_accuracy() -> None:
    state = after(0.5, correct=9)
    score = Score.of_classifier(10, 8, 0.9, 0.95)
    assert not EarlyStopping(PLAN, TASK).is_best(state, score)
    assert EarlyStopping(replace(PLAN, class_weights=(1.0, 1.0)), TASK).is_best(state, score)


def test_a_deadline_shortens_the_last_stage() -> None:
    clock = Clock()
    deadline = Deadline(PLAN, 60.0, clock)
    state = replace(after(0.5, 0.4), seconds=30.0)
    deadline.on_stage_start(state)
    deadline.on_epoch_start(state)
    clock.now += 10
    assert deadline.on_epoch(state, steps=4) == Shortened("training", 2, 5, 9)  # 30 s are left for epochs of 10 s
    deadline.on_epoch_start(replace(state, step=2))
    clock.now += 10
    assert deadline.on_epoch(state, steps=4) == Shortened("training", 2, 3, 9)  # half an epoch took 10 s
    assert deadline.on_epoch(state.after_decisions(False, 3), steps=4) is None
    assert Deadline(PLAN, None, clock).on_epoch(state, steps=4) is None
    two_stages = replace(PLAN, stages=(Stage(epochs=9), Stage(name="fine-tuning", epochs=2)))
    assert Deadline(two_stages, 0.0, clock).on_epoch(state, steps=4) is None


def test_values_are_checked_at_intervals_and_after_an_epoch() -> None:
    guard, reads = DivergenceGuard(0.7), list[int]()

    def read() -> dict[str, Any]:
        reads.append(1)
        return FINITE

    verdicts = [guard.on_step(float(step), step, 60, read) for step in range(1, 61)]
    assert [step for step, verdict in enumerate(verdicts, start=1) if verdict] == [CHECK_INTERVAL, 60]
    assert len(reads) == 2
    last = verdicts[-1]
    assert isinstance(last, Divergence) and last.text.startswith(
        "the loss rose to 55.5, far above the 0.7 of random gue"
    )


def test_the_mean_loss_is_that_since_the_last_check() -> None:
    guard = DivergenceGuard(0.7)
    for step, loss in enumerate((1.0, 2.0), start=1):
        verdict = guard.on_step(loss, step, 2, lambda: FINITE)
    assert isinstance(verdict, Verified) and verdict.mean_loss == 1.5
    verdict = guard.on_step(3.0, 1, 1, lambda: FINITE)
    assert isinstance(verdict, Verified) and verdict.mean_loss == 3.0


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_is_noticed_at_once(loss: float) -> None:
    assert DivergenceGuard(0.7).on_step(loss, 1, 99, lambda: FINITE) == Divergence(NON_FINITE)


def test_values_that_are_not_finite_are_noticed_at_a_check() -> None:
    guard = DivergenceGuard(0.7)
    assert guard.on_step(0.5, 1, 2, lambda: NAN) is None
    assert guard.on_step(0.5, 2, 2, lambda: NAN) == Divergence(NON_FINITE)


class Disk:
    """A recorder that can be full."""

    model, damaged = Path("model.opsin"), list[Path]()
    full = due = False
    writes = 0

    def save(self, snapshot: Snapshot) -> None:
        if self.full:
            raise TrainingError("the disk is full")
        self.writes += 1

    def resume(self) -> None:
        return None

    def log(self, record: object) -> None:
        pass

    def close(self) -> None:
        pass


def test_checkpoints_are_written_when_due_and_after_an_epoch() -> None:
    disk, snapshot = Disk(), Snapshot(TrainerState(), {}, {})
    checkpointer = Checkpointer(disk)
    assert checkpointer.on_step(snapshot) is None and disk.writes == 0
    assert checkpointer.on_epoch(snapshot) is None and disk.writes == 1
    disk.due = True
    assert checkpointer.on_step(snapshot) is None and disk.writes == 2
    assert Checkpointer(None).on_epoch(snapshot) is None


def test_only_the_first_failure_in_a_row_is_reported() -> None:
    disk, snapshot = Disk(), Snapshot(TrainerState(), {}, {})
    checkpointer, failure = Checkpointer(disk), "the disk is full; training continues without it and tries again later"
    for _ in range(2):
        disk.full = True
        assert [checkpointer.on_epoch(snapshot) for _ in range(3)] == [Warning(failure), None, None]
        disk.full = False
        assert checkpointer.on_epoch(snapshot) is None


def test_laps_add_up_to_the_time_that_passed() -> None:
    clock = Clock()
    stopwatch = Stopwatch(clock)
    clock.now += 2
    assert stopwatch.lap() == 2
    clock.now += 3
    assert (stopwatch.lap(), stopwatch.lap()) == (3, 0)

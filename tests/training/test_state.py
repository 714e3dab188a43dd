"""The trainer's state: a value, and what follows it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from opsin.training import Epoch, Score
from opsin.training.state import TrainerState

START = TrainerState(best_loss=0.7)
SCORE = Score.of_classifier(10, 9, 0.2, None)


def test_a_step_is_counted() -> None:
    state = START.after_step(0.5, 6, 8).after_step(0.25, 7, 8)
    assert state == replace(START, step=2, steps=2, images=16, loss_sum=0.75, correct=13)
    assert TrainerState(best_loss=0.7) == START
    with pytest.raises(FrozenInstanceError):
        START.step = 3  # type: ignore[misc]


def test_an_epoch_begins_the_next_one_and_stays_in_the_history() -> None:
    state = START.after_step(0.5, 6, 8).after_step(0.25, 7, 8).after_seconds(3.0)
    state = state.after_epoch("training", 8, SCORE, better=True)
    assert state.history == (Epoch("training", 1, 2, 0.375, 13 / 16, SCORE, True, 3.0),)
    assert (state.epoch, state.step, state.loss_sum, state.correct, state.steps) == (1, 0, 0.0, 0, 2)
    state = state.after_step(0.5, 8, 8).after_seconds(1.0).after_epoch("training", 8, SCORE, better=False)
    assert state.history[-1] == Epoch("training", 2, 3, 0.5, 1.0, SCORE, False, 1.0)


def test_decisions_hold_until_the_stage_ends() -> None:
    state = replace(START, epoch=2).after_decisions(False, 5)
    assert (state.stopped, state.truncations) == (False, ((2, 5),))
    state = replace(state, epoch=3).after_decisions(True, 4)
    assert (state.stopped, state.truncations) == (True, ((2, 5), (3, 4)))
    state = state.after_stage()
    assert (state.stage, state.epoch, state.stopped, state.truncations) == (1, 0, False, ())


def test_a_rollback_returns_with_lower_learning_rates_and_the_time_that_passed() -> None:
    earlier = replace(START, steps=7, lr_scale=0.5, seconds=2.0)
    assert earlier.after_rollback(0.1, 9.0) == replace(earlier, rewinds=1, lr_scale=0.05, seconds=9.0)

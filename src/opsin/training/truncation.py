"""Stages that get fewer epochs than planned, and the learning rates of their remaining steps.

The remaining steps pass through the rest of the schedule at a higher speed, so training still ends with the smallest
learning rates. A truncation is decided at the end of an epoch and stored in the trainer's state, so a resumed run
repeats it.
"""

from __future__ import annotations

from math import floor
from typing import TypeAlias

Truncation: TypeAlias = tuple[int, int]
"""The number of epochs of a stage that were done, and the number of epochs that it has from then on."""

TOLERANCE = 0.1
"""The share of an epoch by which training may be late: the time of an epoch is not known more exactly."""


def truncated_epochs(planned: int, truncations: tuple[Truncation, ...]) -> int:
    """Return the number of epochs of a stage for which `planned` epochs were planned."""
    return truncations[-1][1] if truncations else planned


def affordable_epochs(done: int, epochs: int, epoch_seconds: float, seconds_left: float) -> int | None:
    """Return the number of epochs that fit into the time, those `done` included, or None if all `epochs` fit."""
    affordable = done + max(0, floor(seconds_left / epoch_seconds + TOLERANCE))
    return affordable if affordable < epochs else None


def schedule_position(step: int, steps: int, epochs: int, truncations: tuple[Truncation, ...]) -> int:
    """Return the step of the schedule that step `step` of the stage takes; both count from 0.

    The schedule was planned for `epochs` epochs of `steps` steps.
    """
    begin, position, speed = 0, 0.0, 1.0
    for done, remaining_epochs in truncations:
        first = done * steps
        if step < first:
            break
        position, begin = position + speed * (first - begin), first
        speed = (epochs * steps - position) / max(1, remaining_epochs * steps - first)
    return min(round(position + speed * (step - begin)), epochs * steps - 1)

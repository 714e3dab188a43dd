"""Being done in time: where the epochs that are left would take too long, there are fewer of them.

The learning rates then pass through the rest of their schedule as much faster, so that training still ends with its
small steps. That is decided at the end of an epoch and remembered as a cut, so that a run that is resumed knows of it.
"""

from __future__ import annotations

from math import floor
from typing import TypeAlias

Cut: TypeAlias = tuple[int, int]
"""After how many epochs of a stage it was decided, and how many the stage has from then on."""

SLACK = 0.1
"""The share of an epoch by which training may be late: measuring is not more exact."""


def epochs_of(planned: int, cuts: tuple[Cut, ...]) -> int:
    """The epochs of a stage of so many `planned` ones."""
    return cuts[-1][1] if cuts else planned


def fewer_epochs(done: int, epochs: int, an_epoch: float, left: float) -> int | None:
    """Of how many epochs a stage has to be, of `epochs`, when `done` are over, one takes `an_epoch` seconds, and there
    are `left` seconds; None: all fit.
    """
    fitting = done + max(0, floor(left / an_epoch + SLACK))
    return fitting if fitting < epochs else None


def planned_step(step: int, steps: int, epochs: int, cuts: tuple[Cut, ...]) -> int:
    """Which step of the schedule, as planned for `epochs` epochs of `steps` steps, comes in step `step` (from 0)."""
    begin, place, speed = 0, 0.0, 1.0
    for done, fewer in cuts:
        first = done * steps
        if step < first:
            break
        place, begin = place + speed * (first - begin), first
        speed = (epochs * steps - place) / max(1, fewer * steps - first)
    return min(round(place + speed * (step - begin)), epochs * steps - 1)

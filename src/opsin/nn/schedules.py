"""Learning-rate schedules: functions from the step's number, counted from 0, to the rate."""

from __future__ import annotations

import math
from collections.abc import Callable

from opsin.base.errors import UsageError
from opsin.ir.checked import checked

Schedule = Callable[[int], float]
"""The learning rate of step 0, 1, 2, …"""


@checked
def constant(rate: float) -> Schedule:
    """Always `rate`."""
    return lambda _: rate


@checked
def step(rate: float, every: int, factor: float = 0.1) -> Schedule:
    """`rate`, multiplied by `factor` after each `every` steps."""
    _positive("every", every)
    return lambda now: rate * factor ** (now // every)


@checked
def cosine(rate: float, steps: int, final: float = 0.0) -> Schedule:
    """From `rate` to `final` in `steps` along half a cosine (Loshchilov & Hutter 2017), then `final`."""
    _positive("steps", steps)
    return lambda now: _between(rate, final, now / steps)


@checked
def one_cycle(rate: float, steps: int, rise: float = 0.3, first: float = 1 / 25, last: float = 1 / 250_000) -> Schedule:
    """Up to `rate` and down again, each along half a cosine (Smith & Topin 2018); the numbers are PyTorch's.

    The rise takes the share `rise` of the `steps`; it begins at `first · rate`, and the fall ends at `last · rate`.
    """
    _positive("steps", steps)
    if not 0 <= rise <= 1:
        raise UsageError(f"the rise of a one-cycle schedule is a share of its steps, from 0 to 1, not {rise}")
    top, end = rise * steps - 1, steps - 1

    def at(now: int) -> float:
        now = min(now, end)
        if now <= top:
            return _between(first * rate, rate, now / top if top else 1.0)
        return _between(rate, last * rate, (now - top) / (end - top))

    return at


@checked
def warm_up(schedule: Schedule, steps: int, first: float = 0.0) -> Schedule:
    """`steps` of a straight climb from `first` times the schedule's first rate, then the schedule from its start."""
    if steps == 0:
        return schedule
    _positive("steps", steps)

    def at(now: int) -> float:
        if now < steps:
            return schedule(0) * (first + (1 - first) * now / steps)
        return schedule(now - steps)

    return at


def _between(start: float, end: float, share: float) -> float:
    """Along half a cosine from `start` (share 0) to `end` (share 1 and beyond)."""
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def _positive(name: str, value: int) -> None:
    if value < 1:
        raise UsageError(f"a schedule's {name} is a number of steps, at least 1, not {value}")

"""Learning-rate schedules: functions from the number of the step, counted from 0, to the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable

from opsin.base.errors import UsageError
from opsin.base.renamed_arguments import renamed_arguments
from opsin.ir.checked import checked

Schedule = Callable[[int], float]
"""The learning rate of step 0, 1, 2, …"""


@checked
def constant(rate: float) -> Schedule:
    """Return a schedule that is always `rate`."""
    return lambda _: rate


@renamed_arguments(every="step_size", factor="gamma")
@checked
def step(rate: float, step_size: int, gamma: float = 0.1) -> Schedule:
    """Return a schedule that begins at `rate` and is multiplied by `gamma` after every `step_size` steps."""
    _need_positive("step_size", step_size)
    return lambda number: rate * gamma ** (number // step_size)


@renamed_arguments(final="final_rate")
@checked
def cosine(rate: float, steps: int, final_rate: float = 0.0) -> Schedule:
    """Return a schedule from `rate` to `final_rate` in `steps` along half a cosine; `final_rate` after that.

    Loshchilov & Hutter, "SGDR: Stochastic gradient descent with warm restarts", 2017.
    """
    _need_positive("steps", steps)
    return lambda number: _half_cosine(rate, final_rate, number / steps)


@renamed_arguments(rise="warmup_fraction", first="initial_factor", last="final_factor")
@checked
def one_cycle(
    rate: float,
    steps: int,
    warmup_fraction: float = 0.3,
    initial_factor: float = 1 / 25,
    final_factor: float = 1 / 250_000,
) -> Schedule:
    """Return a schedule that rises to `rate` and falls again, each along half a cosine. The defaults are PyTorch's.

    It starts at `initial_factor · rate`, reaches `rate` after `warmup_fraction` of the `steps`, and ends at
    `final_factor · rate`. Smith & Topin, "Super-convergence", 2018.
    """
    _need_positive("steps", steps)
    if not 0 <= warmup_fraction <= 1:
        raise UsageError(
            "the warmup_fraction of a one-cycle schedule is a fraction of its steps, from 0 to 1, "
            f"not {warmup_fraction}"
        )
    peak, last = warmup_fraction * steps - 1, steps - 1

    def rate_at(number: int) -> float:
        number = min(number, last)
        if number <= peak:
            return _half_cosine(initial_factor * rate, rate, number / peak if peak else 1.0)
        return _half_cosine(rate, final_factor * rate, (number - peak) / (last - peak))

    return rate_at


@renamed_arguments(first="initial_factor")
@checked
def warm_up(schedule: Schedule, steps: int, initial_factor: float = 0.0) -> Schedule:
    """Return `schedule` preceded by `steps` of linear warm-up from `initial_factor` times its first learning rate."""
    if steps == 0:
        return schedule
    _need_positive("steps", steps)

    def rate_at(number: int) -> float:
        if number < steps:
            return schedule(0) * (initial_factor + (1 - initial_factor) * number / steps)
        return schedule(number - steps)

    return rate_at


def _half_cosine(start: float, end: float, fraction: float) -> float:
    """Return the value between `start` (fraction 0) and `end` (fraction 1 and above)."""
    return end + (start - end) * (1 + math.cos(math.pi * min(fraction, 1.0))) / 2


def _need_positive(name: str, value: int) -> None:
    if value < 1:
        raise UsageError(f"a schedule's {name} is a number of steps, at least 1, not {value}")

"""Schedules against their formulas and PyTorch's schedulers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

from opsin.base.errors import UsageError
from opsin.nn import schedules

try:
    import torch

    torch.set_num_threads(1)
except ImportError:
    torch = None

PAIRS: dict[str, tuple[schedules.Schedule, Callable[[Any, Any], Any], int]] = {
    "constant": (schedules.constant(0.3), lambda t, o: t.ConstantLR(o, factor=1.0), 10),
    "step": (schedules.step(0.3, 4), lambda t, o: t.StepLR(o, 4), 15),
    "step, halving": (schedules.step(0.3, 3, 0.5), lambda t, o: t.StepLR(o, 3, 0.5), 15),
    "cosine": (schedules.cosine(0.3, 12), lambda t, o: t.CosineAnnealingLR(o, 12), 13),
    "cosine to a rest": (schedules.cosine(0.3, 9, 0.01), lambda t, o: t.CosineAnnealingLR(o, 9, 0.01), 10),
    "one cycle": (schedules.one_cycle(0.3, 20), lambda t, o: t.OneCycleLR(o, 0.3, 20), 20),
    "one cycle, short": (schedules.one_cycle(0.3, 7), lambda t, o: t.OneCycleLR(o, 0.3, 7), 7),
    "one cycle, all set": (
        schedules.one_cycle(0.3, 25, 0.4, 0.1, 0.002),
        lambda t, o: t.OneCycleLR(o, 0.3, 25, pct_start=0.4, div_factor=10, final_div_factor=50),
        25,
    ),
    "warm-up": (
        schedules.warm_up(schedules.cosine(0.3, 8), 5, 0.1),
        lambda t, o: t.SequentialLR(o, [t.LinearLR(o, 0.1, total_iters=5), t.CosineAnnealingLR(o, 8)], milestones=[5]),
        13,
    ),
}


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed; it is an optional extra")
@pytest.mark.parametrize("case", PAIRS)
def test_schedules_match_pytorch(case: str) -> None:
    ours, theirs, steps = PAIRS[case]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's own: a deprecated argument inside SequentialLR
        scheduler = theirs(torch.optim.lr_scheduler, optimizer)
        for now in range(steps):
            assert ours(now) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9, abs=1e-15), now
            optimizer.step()
            if now + 1 < steps:
                scheduler.step()


def test_rates_remain_at_their_last_value() -> None:
    assert schedules.cosine(1.0, 10, 0.25)(99) == pytest.approx(0.25)
    for rise in (0.0, 0.3, 1.0):
        cycle = schedules.one_cycle(1.0, 10, rise)
        assert cycle(99) == cycle(9)
    assert schedules.one_cycle(1.0, 10)(99) == pytest.approx(1 / 250_000)


def test_one_cycle_peaks_once() -> None:
    rates = [schedules.one_cycle(2.0, 40, 0.25)(now) for now in range(40)]
    top = rates.index(max(rates))
    assert (top, rates[top]) == (9, pytest.approx(2.0))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_warm_up_rises_from_its_initial_factor() -> None:
    rate = schedules.warm_up(schedules.step(8.0, 2, 0.5), 4)
    assert [rate(now) for now in range(8)] == [0.0, 2.0, 4.0, 6.0, 8.0, 8.0, 4.0, 4.0]
    assert schedules.warm_up(schedules.constant(3.0), 0)(0) == 3.0


def test_invalid_numbers_are_errors() -> None:
    with pytest.raises(UsageError, match="a schedule's step_size is a number of steps, at least 1, not 0"):
        schedules.step(0.1, 0)
    with pytest.raises(UsageError, match="a schedule's steps is a number of steps, at least 1, not -3"):
        schedules.cosine(0.1, -3)
    with pytest.raises(UsageError, match="a schedule's steps is a number of steps, at least 1, not -1"):
        schedules.warm_up(schedules.constant(0.1), -1)
    with pytest.raises(UsageError, match=r"the warmup_fraction of a one-cycle schedule is a fraction .*, not 1\.5"):
        schedules.one_cycle(0.1, 10, 1.5)

"""How Opsin's time grows: with the batch, the side of images, the depth of a network, and with fewer threads."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from opsin import zoo
from opsin.apps.benchmark.cases import INFER, TRAIN, Case, prepare
from opsin.apps.benchmark.measure import LIMITS, Figures, Runner, Say, closing, take_turns
from opsin.apps.benchmark.peers import Competitor, Worker
from opsin.apps.benchmark.spread import Spread

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SIDES = (32, 64, 112, 224, 448)
DEPTHS = (20, 32, 44, 56, 110)
TOLERANCE = 1.1
"""Time may grow by a tenth more than the work and still counts as growing like it: what measuring is good for."""
SHARE = 0.925
"""Of the threads' number, the times as fast that they should be: 1.85 times for two."""
THREADS = "threads"


@dataclass
class Sweep:
    """Cases of which one thing grows."""

    title: str
    axis: str
    values: list[int]
    works: list[float]
    """What time should grow with, at most: images, pixels, layers, or 1 / threads."""
    cases: list[Case]
    seconds: list[list[float]] = field(default_factory=list)
    """A call, round by round, for each case."""

    @property
    def growth(self) -> list[float]:
        """Time a unit of work, as a multiple of the first's."""
        units = [median(seconds) / work for seconds, work in zip(self.seconds, self.works, strict=True)]
        return [unit / units[0] for unit in units]

    @property
    def exponent(self) -> float:
        """Time grows as the work to this power: the slope of a line through both logarithms."""
        times = [median(seconds) for seconds in self.seconds]
        return float(np.polyfit(np.log(self.works), np.log(times), 1)[0])

    @property
    def speedup(self) -> Spread:
        """How many times as fast the last case is as the first, round by round."""
        return Spread.of_ratios(self.seconds[0], self.seconds[-1])

    @property
    def good(self) -> bool:
        """Whether more threads help as they should, or time grows no faster than the work."""
        return self.speedup.median >= SHARE * self.values[-1] if self.axis == THREADS else self.linear

    @property
    def verdict(self) -> str:
        """In words."""
        if self.axis == THREADS:
            times = f"{self.values[-1]} threads are {self.speedup:.2f} times as fast as 1"
            return times if self.good else f"{times}, less than {SHARE * self.values[-1]:.2f}"
        grows = f"time grows as the work to the power {self.exponent:.2f}"
        return f"{grows}, linear or better" if self.good else f"{grows}, and somewhere faster than the work"

    @property
    def linear(self) -> bool:
        """Whether time grows as the work does or more slowly, from any size to the next."""
        units = self.growth
        return all(b <= TOLERANCE * a for a, b in pairwise(units))

    def to_data(self) -> dict[str, Any]:
        return {
            "title": self.title, "axis": self.axis, "values": self.values, "seconds": self.seconds,
            "growth": self.growth, "exponent": self.exponent, "good": self.good, "verdict": self.verdict,
        }  # fmt: skip


def sweeps(threads: int) -> list[Sweep]:
    """The standard ones: a small network for what grows it, one that takes any size for the side of images."""
    small, shape = "resnet20_cifar", (3, 32, 32)
    found = []
    for task, what in ((TRAIN, "training step"), (INFER, "inference")):
        found.append(
            Sweep(
                f"{small}, {what}", "images in the batch", list(BATCHES), [float(b) for b in BATCHES],
                [Case(small, task, batch, shape, threads) for batch in BATCHES],
            )
        )  # fmt: skip
    found.append(
        Sweep(
            "resnet18, inference of 1 image", "rows and columns", list(SIDES), [float(s * s) for s in SIDES],
            [Case("resnet18", INFER, 1, (3, side, side), threads) for side in SIDES],
        )
    )  # fmt: skip
    found.append(
        Sweep(
            "ResNets for 32 × 32, training step of 32", "layers", list(DEPTHS), [float(d - 2) for d in DEPTHS],
            [Case(f"resnet{depth}_cifar", TRAIN, 32, shape, threads) for depth in DEPTHS],
        )
    )  # fmt: skip
    counts = list(range(1, threads + 1))
    shared = ((small, TRAIN, 128), ("lenet5", TRAIN, 64), ("resnet18", TRAIN, 16), ("resnet18", INFER, 1))
    for name, task, batch in shared if threads > 1 else ():
        what = f"{name}, {'training step' if task == TRAIN else 'inference'} of {batch}"
        shape = zoo.find(name).input_shape
        found.append(
            Sweep(what, THREADS, counts, [1 / n for n in counts], [Case(name, task, batch, shape, n) for n in counts])
        )
    return found


def measure_sweep(sweep: Sweep, opsin: Competitor, rounds: int, seconds: float, say: Say) -> None:
    """Fills `seconds`: all sizes take turns, round by round."""
    with tempfile.TemporaryDirectory(prefix="opsin-bench-") as name, closing() as runners:
        for number, case in enumerate(sweep.cases):
            say(f"{case} gets ready")
            folder = Path(name) / str(number)
            folder.mkdir()
            runner = Runner(
                Figures(opsin.title, opsin.peer.title, LIMITS[case.task]), Worker(opsin, case.threads, folder / "log")
            )
            runners.append(runner)
            runner.open(prepare(case, folder).request(case, opsin.mode))
        for number in range(rounds):
            say(f"{sweep.title}: round {number + 1} of {rounds}")
            take_turns(runners, number, seconds)
        sweep.seconds = [runner.figures.seconds for runner in runners]


def rows(sweep: Sweep) -> list[Sequence[str]]:
    """A line a size: milliseconds, and time a unit of work."""
    made: list[Sequence[str]] = []
    for value, seconds, growth in zip(sweep.values, sweep.seconds, sweep.growth, strict=True):
        milliseconds = [1e3 * s for s in seconds]
        spread = f"{median(milliseconds):.3g} ({min(milliseconds):.3g} to {max(milliseconds):.3g})"
        made.append((str(value), spread, f"{growth:.2f}"))
    return made

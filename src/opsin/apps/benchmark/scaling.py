"""How Opsin's time grows with the batch, the image size, the depth of a network, and with fewer threads."""

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
from opsin.apps.benchmark.measure import Figures, Runner, ShowProgress, closing, take_turns
from opsin.apps.benchmark.peers import Competitor, Worker
from opsin.apps.benchmark.precision import FLOAT32, LIMITS
from opsin.apps.benchmark.spread import Spread

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SIDES = (32, 64, 112, 224, 448)
DEPTHS = (20, 32, 44, 56, 110)
TOLERANCE = 1.1
"""Time that grows by up to a tenth more than the work counts as linear, because of the precision of measurements."""
MIN_EFFICIENCY = 0.925
"""The least speed-up by threads, as a share of their number: 1.85 for two."""
THREADS = "threads"


@dataclass
class Sweep:
    """Cases that differ in one size."""

    title: str
    axis: str
    values: list[int]
    works: list[float]
    """The upper bound of the growth of the time: images, pixels, layers, or 1 / threads."""
    cases: list[Case]
    seconds: list[list[float]] = field(default_factory=list)
    """Seconds per call, round by round, for each case."""

    @property
    def growth(self) -> list[float]:
        """Time per unit of work, relative to the first case."""
        units = [median(seconds) / work for seconds, work in zip(self.seconds, self.works, strict=True)]
        return [unit / units[0] for unit in units]

    @property
    def exponent(self) -> float:
        """The power of the work that the time is proportional to: the slope of a line through both logarithms."""
        times = [median(seconds) for seconds in self.seconds]
        return float(np.polyfit(np.log(self.works), np.log(times), 1)[0])

    @property
    def speedup(self) -> Spread:
        """The speed of the last case relative to the first, round by round."""
        return Spread.of_ratios(self.seconds[0], self.seconds[-1])

    @property
    def good(self) -> bool:
        """Whether threads help as they should, or the time grows no faster than the work."""
        return self.speedup.median >= MIN_EFFICIENCY * self.values[-1] if self.axis == THREADS else self.linear

    @property
    def verdict(self) -> str:
        """A sentence about the growth."""
        if self.axis == THREADS:
            speedup = f"{self.values[-1]} threads are {self.speedup:.2f} times as fast as 1"
            return speedup if self.good else f"{speedup}, less than {MIN_EFFICIENCY * self.values[-1]:.2f}"
        growth = f"time is proportional to the work to the power {self.exponent:.2f}"
        return f"{growth}, linear or better" if self.good else f"{growth}, with a step that is worse than linear"

    @property
    def linear(self) -> bool:
        """Whether the time grows no faster than the work, from each size to the next."""
        units = self.growth
        return all(b <= TOLERANCE * a for a, b in pairwise(units))

    def to_data(self) -> dict[str, Any]:
        """Return the sweep as data for JSON."""
        return {
            "title": self.title, "axis": self.axis, "values": self.values, "seconds": self.seconds,
            "growth": self.growth, "exponent": self.exponent, "good": self.good, "verdict": self.verdict,
        }  # fmt: skip


def sweeps(threads: int) -> list[Sweep]:
    """Return the standard sweeps. Larger images are for a network that takes any size, all else for a small one."""
    network, shape = "resnet20_cifar", (3, 32, 32)
    standard = []
    for task, kind in ((TRAIN, "training step"), (INFER, "inference")):
        standard.append(
            Sweep(
                f"{network}, {kind}", "images per batch", list(BATCHES), [float(b) for b in BATCHES],
                [Case(network, task, batch, shape, threads) for batch in BATCHES],
            )
        )  # fmt: skip
    standard.append(
        Sweep(
            "resnet18, inference of 1 image", "height and width", list(SIDES), [float(s * s) for s in SIDES],
            [Case("resnet18", INFER, 1, (3, side, side), threads) for side in SIDES],
        )
    )  # fmt: skip
    standard.append(
        Sweep(
            "ResNets for 32 × 32, training step of 32", "layers", list(DEPTHS), [float(d - 2) for d in DEPTHS],
            [Case(f"resnet{depth}_cifar", TRAIN, 32, shape, threads) for depth in DEPTHS],
        )
    )  # fmt: skip
    counts = list(range(1, threads + 1))
    cases = ((network, TRAIN, 128), ("lenet5", TRAIN, 64), ("resnet18", TRAIN, 16), ("resnet18", INFER, 1))
    for name, task, batch in cases if threads > 1 else ():
        title = f"{name}, {'training step' if task == TRAIN else 'inference'} of {batch}"
        shape = zoo.find(name).input_shape
        standard.append(
            Sweep(title, THREADS, counts, [1 / n for n in counts], [Case(name, task, batch, shape, n) for n in counts])
        )
    return standard


def measure_sweep(sweep: Sweep, opsin: Competitor, rounds: int, seconds: float, show_progress: ShowProgress) -> None:
    """Measure the cases of a sweep in alternation, and set its `seconds`."""
    with tempfile.TemporaryDirectory(prefix="opsin-bench-") as name, closing() as runners:
        for number, case in enumerate(sweep.cases):
            show_progress(f"{case}: starting")
            folder = Path(name) / str(number)
            folder.mkdir()
            runner = Runner(
                Figures(opsin.title, opsin.peer.title, LIMITS[case.task, FLOAT32]),
                Worker(opsin, case.threads, folder / "log"),
            )
            runners.append(runner)
            runner.open(prepare(case, folder).request(case, opsin.mode))
        for number in range(rounds):
            show_progress(f"{sweep.title}: round {number + 1} of {rounds}")
            take_turns(runners, number, seconds)
        sweep.seconds = [runner.figures.seconds for runner in runners]


def rows(sweep: Sweep) -> list[Sequence[str]]:
    """Return a row for each size: milliseconds, and time per unit of work."""
    table: list[Sequence[str]] = []
    for value, seconds, growth in zip(sweep.values, sweep.seconds, sweep.growth, strict=True):
        milliseconds = [1e3 * s for s in seconds]
        milliseconds_text = f"{median(milliseconds):.3g} ({min(milliseconds):.3g} to {max(milliseconds):.3g})"
        table.append((str(value), milliseconds_text, f"{growth:.2f}"))
    return table

"""Measure a case: compare the results of all competitors, and time them in alternation."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.apps.benchmark.cases import Case, prepare
from opsin.apps.benchmark.peers import OPEN_LIMIT, OPSIN, TURN_LIMIT, Competitor, PeerError, Worker
from opsin.apps.benchmark.precision import FLOAT32, LIMITS, MODES
from opsin.apps.benchmark.spread import Spread
from opsin.backends.native.machine_peak import Peak, Triad

MAX_SLOWDOWN = 2.0
"""A mode that takes more than this multiple of the best time in its precision is dropped after its first turn."""
PAUSE = 0.05
"""Seconds before a turn, in which the threads of the previous turn go to sleep."""

ShowProgress = Callable[[str], None]


@dataclass
class Figures:
    """The results of one competitor in one case. `seconds` are per call, round by round."""

    title: str
    library: str
    limit: float
    """The largest `difference` of results that agree."""
    version: str = ""
    opened: float = 0.0
    """Seconds to build or compile the network and compute the first results."""
    difference: float | None = None
    """The difference from Opsin's results; see `difference`."""
    seconds: list[float] = field(default_factory=list)
    memory: float | None = None
    """Peak bytes of the process."""
    idle: float = 0.0
    """CPU seconds used between turns, per second waited. It should be near 0, or others were disturbed."""
    dropped: bool = False
    """Whether it was too slow for more than one turn."""
    problem: str | None = None
    """Why there are no results."""
    precision: str = FLOAT32

    @property
    def agrees(self) -> bool:
        """Whether the results are those of Opsin."""
        return self.difference is not None and self.difference <= self.limit


@dataclass
class Result:
    """The results of a case: Opsin's in each precision, float32 first, then the peers', and the limits of the machine
    in the same rounds."""

    case: Case
    macs: int
    figures: list[Figures]
    peaks: list[float]
    """Peak FLOP/s by FMA instructions alone, round by round."""
    bandwidths: list[float]
    """Memory bandwidth in bytes per second, round by round."""

    @property
    def opsin(self) -> Figures:
        """The results of Opsin in float32."""
        return self.figures[0]

    def opsin_in(self, precisions: Collection[str]) -> Figures:
        """Return the results of Opsin in the fastest of the precisions."""
        figures = [f for f in self.figures if f.library == OPSIN.title and f.precision in precisions and f.seconds]
        return min(figures, key=lambda f: median(f.seconds), default=self.opsin)

    @property
    def best(self) -> Figures | None:
        """The fastest peer in float32 whose results agree."""
        return self.best_of((FLOAT32,))

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions that were measured."""
        return tuple(precision for precision in MODES if any(f.precision == precision for f in self.figures))

    def best_of(self, precisions: Collection[str]) -> Figures | None:
        """Return the fastest peer in one of the precisions whose results agree."""
        peers = [f for f in self.figures if f.library != OPSIN.title]
        candidates = [f for f in peers if f.seconds and f.agrees and not f.dropped]
        return min((f for f in candidates if f.precision in precisions), key=lambda f: median(f.seconds), default=None)

    @property
    def ratios(self) -> Spread | None:
        """Opsin's speed relative to that of the best peer in float32, round by round."""
        return self.ratios_to(self.best, self.opsin)

    def ratios_to(self, peer: Figures | None, own: Figures) -> Spread | None:
        """Return Opsin's speed, of figures `own`, relative to a peer's, round by round."""
        return Spread.of_ratios(peer.seconds, own.seconds) if peer and own.seconds else None

    @property
    def share_of_peak(self) -> float | None:
        """Opsin's share of the peak in float32."""
        return self.share_of(self.opsin)

    def share_of(self, figures: Figures) -> float | None:
        """Return the share of the peak by FMA, with two operations for each MAC of direct convolution.

        It can be more than 1 with Winograd's algorithm, which multiplies less, and in bfloat16.
        """
        if not figures.seconds:
            return None
        return median(2 * self.macs / s / p for s, p in zip(figures.seconds, self.peaks, strict=True))


@dataclass
class Runner:
    """A competitor with its process."""

    figures: Figures
    worker: Worker
    last_answer: float = field(default_factory=time.perf_counter)
    busy: float = 0.0
    waited: float = 0.0

    def open(self, request: dict[str, Any]) -> list[NDArray[Any]]:
        """Build the network and return the first results: all outputs, or the losses of two training steps."""
        answer = self.worker.ask(request, OPEN_LIMIT)
        self.last_answer = time.perf_counter()
        self.figures.version, self.figures.opened = answer["version"], answer["seconds"]
        self.figures.memory = answer["memory"]
        with np.load(answer["results"]) as arrays:
            return list(arrays.values())

    def turn(self, seconds: float) -> float:
        """Take a turn of about `seconds`, and return the seconds per call."""
        self.waited += time.perf_counter() - self.last_answer
        answer = self.worker.ask({"do": "time", "seconds": seconds}, seconds + TURN_LIMIT)
        self.last_answer = time.perf_counter()
        self.busy += answer["idle"]
        self.figures.memory = answer["memory"]
        self.figures.idle = self.busy / max(self.waited, 1e-9)
        return float(answer["seconds"] / answer["calls"])


def measure(
    case: Case, competitors: Sequence[Competitor], rounds: int, seconds: float, show_progress: ShowProgress
) -> Result:
    """Run every competitor on the same weights and images, compare the results, and time them in alternation.

    The first competitor is Opsin in float32. Raise `PeerError` if it fails. In each round every competitor has one turn
    of about `seconds`, in random order, while the others sleep. Competitors that fail, whose results differ, or that
    are far slower in their first turn, are dropped; their figures say why.
    """
    with tempfile.TemporaryDirectory(prefix="opsin-bench-") as name, closing() as runners:
        folder = Path(name)
        inputs = prepare(case, folder)
        figures: list[Figures] = []
        expected_results: list[NDArray[Any]] | None = None
        for competitor in competitors:
            show_progress(f"{case}: starting {competitor.title}")
            limit = LIMITS[case.task, competitor.precision]
            figures.append(Figures(competitor.title, competitor.peer.title, limit, precision=competitor.precision))
            runner = Runner(figures[-1], Worker(competitor, case.threads, folder / f"{len(figures)}.log"))
            runners.append(runner)
            try:
                results = runner.open(inputs.request(case, competitor.mode))
                expected_results = results if expected_results is None else expected_results
                figures[-1].difference = max_difference(expected_results, results)
                figures[-1].seconds = [runner.turn(seconds / 2)]
            except PeerError as error:
                if not runners[1:]:
                    raise
                figures[-1].problem = str(error)
                runners.remove(runner)
                runner.worker.close()
            _drop_slow(runners)
        peaks, bandwidths = _measure_rounds(case, runners, rounds, seconds, show_progress)
    return Result(case, inputs.macs, figures, peaks, bandwidths)


def max_difference(expected: Sequence[NDArray[Any]], actual: Sequence[NDArray[Any]]) -> float:
    """Return the largest `difference` of two lists of results; infinity if their lengths differ."""
    if len(expected) != len(actual):
        return float("inf")
    return max(difference(*pair) for pair in zip(expected, actual, strict=True))


def difference(expected: NDArray[Any], actual: NDArray[Any]) -> float:
    """Return the largest difference relative to the range of the expected values; infinity if the shapes differ.

    The values are those of an output, or the losses before and after a training step. The range of the losses is their
    change in the step, so a wrong gradient shows even if it changes the loss by little. A single number, which has no
    range, is compared with its magnitude.
    """
    if expected.shape != actual.shape:
        return float("inf")
    scale = np.ptp(expected) if expected.size > 1 else np.max(np.abs(expected))
    relative = float(np.max(np.abs(expected - actual)) / scale)
    return relative if np.isfinite(relative) else float("inf")


def _drop_slow(runners: list[Runner]) -> None:
    """End the modes of peers that are far slower than the best or have other results, to free their memory."""
    peers = [runner for runner in runners if runner.figures.library != OPSIN.title]
    times = [(r.figures.precision, r.figures.seconds[-1]) for r in peers if r.figures.agrees]
    for runner in peers:
        best = min((seconds for precision, seconds in times if precision == runner.figures.precision), default=inf)
        if not runner.figures.agrees or runner.figures.seconds[-1] > MAX_SLOWDOWN * best:
            runner.figures.dropped = True
            runners.remove(runner)
            runner.worker.close()


def _measure_rounds(
    case: Case, runners: Sequence[Runner], rounds: int, seconds: float, show_progress: ShowProgress
) -> tuple[list[float], list[float]]:
    """Time the remaining runners. Return the limits of the machine round by round: FLOP/s and bytes per second."""
    peak, stream = Peak(case.threads), Triad(case.threads)
    peaks: list[float] = []
    bandwidths: list[float] = []
    for runner in runners:
        runner.figures.seconds = []
    for number in range(rounds):
        show_progress(f"{case}: round {number + 1} of {rounds}")
        take_turns(runners, number, seconds)
        time.sleep(PAUSE)
        peaks.append(peak.flops / _best_of(peak))
        bandwidths.append(stream.bytes / _best_of(stream))
    return peaks, bandwidths


def take_turns(runners: Sequence[Runner], number: int, seconds: float) -> None:
    """Give every runner a turn, in an order that depends on the round, to distribute disturbances evenly."""
    for runner in random.Random(number).sample(list(runners), len(runners)):
        time.sleep(PAUSE)
        runner.figures.seconds.append(runner.turn(seconds))


def _best_of(call: Callable[[], None], calls: int = 4) -> float:
    """Return the seconds of the fastest of a few calls."""
    times = []
    for _ in range(calls):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times)


@contextmanager
def closing() -> Iterator[list[Runner]]:
    """Yield a list of runners whose processes end with the block."""
    runners: list[Runner] = []
    try:
        yield runners
    finally:
        for runner in runners:
            runner.worker.close()

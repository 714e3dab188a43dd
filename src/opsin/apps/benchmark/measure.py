"""One case, everybody in turns: whether they compute the same, and how long they take."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.apps.benchmark.cases import INFER, TRAIN, Case, prepare
from opsin.apps.benchmark.peers import OPEN_LIMIT, TURN_LIMIT, Competitor, PeerError, Worker
from opsin.apps.benchmark.spread import Spread
from opsin.backends.native.machine_peak import Peak, Stream

LIMITS = {TRAIN: 5e-2, INFER: 1e-3}
"""Of differences: of losses as a share of what a step changes them by, of logits as a share of their range. Modes of
one and the same library differ by 2 % in losses where a deep network begins with many normalisations."""
BEHIND = 2.0
"""A peer's mode that needs so many times as long as the best is tried once, and gets no more turns."""
PAUSE = 0.05
"""Seconds before a turn, in which the threads of the turn before go to sleep."""

Say = Callable[[str], None]


@dataclass
class Figures:
    """What one contender gave in one case; `seconds` a call, round by round."""

    title: str
    library: str
    limit: float
    """Of `difference`, for results that agree."""
    version: str = ""
    opened: float = 0.0
    """Seconds to build or compile the network, and for the first results."""
    difference: float | None = None
    """From Opsin's results."""
    seconds: list[float] = field(default_factory=list)
    memory: float | None = None
    """The most bytes that the process has had."""
    idle: float = 0.0
    """CPU seconds used between turns, a second waited; near 0, or the others were disturbed."""
    dropped: bool = False
    """Too far behind for more than a trial."""
    problem: str | None = None
    """Why there are no figures."""

    @property
    def agrees(self) -> bool:
        return self.difference is not None and self.difference <= self.limit


@dataclass
class Result:
    """A case's figures: Opsin's first, then the peers'; the machine's own limits from the same rounds."""

    case: Case
    macs: int
    figures: list[Figures]
    peaks: list[float]
    """FLOP/s that multiply-adds alone reach, round by round."""
    bandwidths: list[float]
    """Bytes a second from and to memory, round by round."""

    @property
    def opsin(self) -> Figures:
        return self.figures[0]

    @property
    def best(self) -> Figures | None:
        """The fastest peer whose results are right."""
        able = [f for f in self.figures[1:] if f.seconds and f.agrees and not f.dropped]
        return min(able, key=lambda f: median(f.seconds), default=None)

    @property
    def ratios(self) -> Spread | None:
        """How many times Opsin's speed is the best peer's, round by round."""
        if not self.best or not self.opsin.seconds:
            return None
        return Spread.of_ratios(self.best.seconds, self.opsin.seconds)

    @property
    def share_of_peak(self) -> float | None:
        """Of Opsin: two operations for each multiply-add of direct convolution, against multiply-adds alone."""
        if not self.opsin.seconds:
            return None
        return median(2 * self.macs / s / p for s, p in zip(self.opsin.seconds, self.peaks, strict=True))


@dataclass
class Runner:
    """A contender at work."""

    figures: Figures
    worker: Worker
    since: float = field(default_factory=time.perf_counter)
    busy: float = 0.0
    waited: float = 0.0

    def open(self, request: dict[str, Any]) -> NDArray[Any]:
        """The first results: logits, or the losses of two training steps."""
        answer = self.worker.ask(request, OPEN_LIMIT)
        self.since = time.perf_counter()
        self.figures.version, self.figures.opened = answer["version"], answer["seconds"]
        self.figures.memory = answer["memory"]
        with np.load(answer["results"]) as arrays:
            return np.asarray(arrays["losses" if "losses" in arrays else "logits"])

    def turn(self, seconds: float) -> float:
        """Seconds a call, in a turn of about so many seconds."""
        self.waited += time.perf_counter() - self.since
        answer = self.worker.ask({"do": "time", "seconds": seconds}, seconds + TURN_LIMIT)
        self.since = time.perf_counter()
        self.busy += answer["idle"]
        self.figures.memory = answer["memory"]
        self.figures.idle = self.busy / max(self.waited, 1e-9)
        return float(answer["seconds"] / answer["calls"])


def measure(case: Case, contenders: Sequence[Competitor], rounds: int, seconds: float, say: Say) -> Result:
    """Opens every contender on the same weights and images, compares what they compute, and lets them take turns.

    The first contender is Opsin, whose failure is raised (`PeerError`). In each round everybody has one turn of about
    `seconds`, in an order of its own, while the others sleep. Those that fail, compute something else, or are far
    behind at a first trial are out; their figures say why.
    """
    with tempfile.TemporaryDirectory(prefix="opsin-bench-") as name, closing() as runners:
        folder = Path(name)
        material = prepare(case, folder)
        found: list[Figures] = []
        expected: NDArray[Any] | None = None
        for contender in contenders:
            say(f"{case}: {contender.title} gets ready")
            found.append(Figures(contender.title, contender.peer.title, LIMITS[case.task]))
            runner = Runner(found[-1], Worker(contender, case.threads, folder / f"{len(found)}.log"))
            runners.append(runner)
            try:
                results = runner.open(material.request(case, contender.mode))
                expected = results if expected is None else expected
                found[-1].difference = difference(expected, results)
                found[-1].seconds = [runner.turn(seconds / 2)]
            except PeerError as error:
                if not runners[1:]:
                    raise
                found[-1].problem = str(error)
                runners.remove(runner)
                runner.worker.close()
            _drop_slow(runners)
        peaks, bandwidths = _rounds(case, runners, rounds, seconds, say)
    return Result(case, material.macs, found, peaks, bandwidths)


def difference(expected: NDArray[Any], found: NDArray[Any]) -> float:
    """The largest, as a share of the range of what is expected; infinite where shapes differ.

    What is expected are logits, N × classes, or the losses before and after a training step. Their range is what the
    step changes, so that a wrong gradient shows even where it moves the loss by little.
    """
    if expected.shape != found.shape:
        return float("inf")
    largest = float(np.max(np.abs(expected - found)) / np.ptp(expected))
    return largest if np.isfinite(largest) else float("inf")


def _drop_slow(runners: list[Runner]) -> None:
    """Ends the peers' modes that are far behind the best peer's, or wrong, so that their memory is free again."""
    peers = runners[1:]
    best = min((r.figures.seconds[-1] for r in peers if r.figures.agrees), default=float("inf"))
    for runner in peers:
        if not runner.figures.agrees or runner.figures.seconds[-1] > BEHIND * best:
            runner.figures.dropped = True
            runners.remove(runner)
            runner.worker.close()


def _rounds(
    case: Case, runners: Sequence[Runner], rounds: int, seconds: float, say: Say
) -> tuple[list[float], list[float]]:
    """Turns for all that are left, and for the machine's own limits: FLOP/s and bytes a second, round by round."""
    peak, stream = Peak(case.threads), Stream(case.threads)
    peaks: list[float] = []
    bandwidths: list[float] = []
    for runner in runners:
        runner.figures.seconds = []
    for number in range(rounds):
        say(f"{case}: round {number + 1} of {rounds}")
        take_turns(runners, number, seconds)
        time.sleep(PAUSE)
        peaks.append(peak.flops / _best_of(peak))
        bandwidths.append(stream.bytes / _best_of(stream))
    return peaks, bandwidths


def take_turns(runners: Sequence[Runner], number: int, seconds: float) -> None:
    """Round `number`: a turn for everybody, in an order of its own, so that what slows the machine slows all alike."""
    for runner in random.Random(number).sample(list(runners), len(runners)):
        time.sleep(PAUSE)
        runner.figures.seconds.append(runner.turn(seconds))


def _best_of(call: Callable[[], None], calls: int = 4) -> float:
    """Seconds of the fastest of a few calls."""
    times = []
    for _ in range(calls):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times)


@contextmanager
def closing() -> Iterator[list[Runner]]:
    """A list of runners whose processes end with the block, however it ends."""
    runners: list[Runner] = []
    try:
        yield runners
    finally:
        for runner in runners:
            runner.worker.close()

"""Which way of each convolution is the fastest on this machine: by timing them, in turns.

The model of `compiler.lower.ways` is a guess from shapes. Here each way of a problem is compiled as a program of one
operation, in turns with the model's; another is taken only where it gives the same numbers but for rounding, and is
faster by a margin, twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from opsin.backends.base import sizes
from opsin.backends.native.codegen import host
from opsin.backends.native.program import Native, compile
from opsin.backends.native.tuning_cache import TuningRecord, load, save
from opsin.base.concurrency import lazy
from opsin.base.processors import processors
from opsin.compiler.execution_plan import ExecutionPlan, make_plan
from opsin.compiler.lower.conv_algorithms import ConvAlgorithm, ConvProblem, candidates, fixed, has_ways
from opsin.compiler.simplify import simplify
from opsin.ir import FLOAT, Graph, apply, initial_state, input_tensor, variable
from opsin.ops import OPS

GAIN = 0.08
"""The share of the model's time by which another way has to be faster, in a first comparison and in a second."""
HOPELESS = 1.4
"""A way that takes so many times as long as the model's in its first runs is compared no further."""
SECONDS, TURNS = 0.15, 5
"""A comparison takes about so long, and at least so many turns of each way."""
CACHES = 2**26
"""Bytes that are read between two runs: more than a processor's caches keep of what was there before."""
TOLERANCE = 0.02
"""The largest difference from the model's results, as a share of the largest of them, that rounding explains."""
LARGEST = 2**30
"""Bytes that each of the two programs of a comparison may take."""
RUNS, RATE = 20, 5e10
"""What is expected of a problem before any was timed: so many runs, at so many multiply-adds a second."""


@dataclass(frozen=True)
class TuningResult:
    """A problem that is `count` times in a graph: the ways by the model and by timing, and their seconds.

    `fresh`: it was timed just now, not before.
    """

    problem: ConvProblem
    count: int
    model: ConvAlgorithm
    way: ConvAlgorithm
    before: float
    after: float
    fresh: bool = True

    @property
    def saved(self) -> float:
        """Seconds that the graph should take less."""
        return self.count * (self.before - self.after)


@dataclass(frozen=True)
class TuningSummary:
    """What came of a graph's problems; those `skipped` did not fit into the time, or into the memory."""

    trials: tuple[TuningResult, ...]
    skipped: tuple[ConvProblem, ...]
    seconds: float

    @property
    def choices(self) -> dict[str, str]:
        """The ways that are taken, by problem."""
        return {str(trial.problem): str(trial.way) for trial in self.trials}

    @property
    def others(self) -> tuple[TuningResult, ...]:
        """Those for which another way than the model's is taken."""
        return tuple(trial for trial in self.trials if trial.way != trial.model)

    def reverted(self) -> TuningSummary:
        """The same, with the model's way wherever another one was chosen just now."""
        trials = tuple(replace(t, way=t.model, after=t.before) if t.fresh else t for t in self.trials)
        return replace(self, trials=trials)

    def save(self, threads: int | None = None) -> None:
        """Has `compile` on this machine take the same ways from now on."""
        count = threads or processors()
        found = [
            TuningRecord(str(t.problem), str(t.model), str(t.way), t.before, t.after, count)
            for t in self.trials
            if t.fresh
        ]
        if found:
            save(found, host().target)


def problems(graph: Graph, batch: int) -> dict[ConvProblem, int]:
    """The different convolutions of a graph that can be computed in several ways, and how often each is in it.

    Those that multiply most, all together, come first.
    """
    bound = simplify(graph, batch)
    always = fixed(bound)
    found = Counter(ConvProblem.of(node, always) for node in bound.nodes if has_ways(node))
    several = {problem: count for problem, count in found.items() if len(candidates(problem)) > 1}
    return dict(sorted(several.items(), key=lambda item: -item[0].macs * item[1]))


def tune(
    graph: Graph,
    batch: int,
    threads: int | None = None,
    seconds: float = 60.0,
    on_problem: Callable[[int, int, ConvProblem], None] | None = None,
) -> TuningSummary:
    """Times the ways of a graph's convolutions on `threads` threads, within about so many `seconds`.

    What was timed before is not timed again. `on_problem` is told the number (from 1) of the problem that comes next,
    how many there are, and which it is. Nothing is remembered by that alone.
    """
    begin, longest = perf_counter(), 0.0
    count, known = threads or processors(), load(host().target)
    wanted, others = problems(graph, batch), np.ones(CACHES // 4 if seconds > 0 else 0, np.float32)
    trials: list[TuningResult] = []
    skipped: list[ConvProblem] = []
    for number, (problem, copies) in enumerate(wanted.items(), start=1):
        before = _known(problem, copies, known.get(str(problem)))
        start = perf_counter()
        if before:
            trials.append(before)
            continue
        contest = _Benchmark(problem, count, others)
        if start - begin + max(longest, RUNS * problem.macs / RATE) >= seconds or not contest.fits(
            candidates(problem)[0]
        ):
            skipped.append(problem)
            continue
        if on_problem:
            on_problem(number, len(wanted), problem)
        trials.append(_trial(contest, copies))
        longest = max(longest, perf_counter() - start)
    return TuningSummary(tuple(trials), tuple(skipped), perf_counter() - begin)


def compare_steps(
    graph: Graph, batch: int, threads: int | None, choices: Mapping[str, str], turns: int = 5
) -> tuple[float, float]:
    """Seconds of a run of the whole graph with the model's ways, and with `choices`, the fastest of some turns."""
    programs = [compile(graph, batch, threads, choices=each) for each in ({}, choices)]
    for program in programs:
        program.load_state(initial_state(program.graph, seed=0))
        program.run(**noise(program.graph))
    times = [[program.again() for program in programs] for _ in range(turns)]
    before, after = map(min, zip(*times, strict=True))
    return before, after


def noise(graph: Graph) -> dict[str, NDArray[np.float32] | NDArray[np.int32]]:
    """An input of each of a bound graph's: labels are 0, everything else is around it."""
    random = np.random.default_rng(0)
    found: dict[str, NDArray[np.float32] | NDArray[np.int32]] = {}
    for tensor in graph.inputs:
        shape = sizes(tensor.type)
        real = tensor.dtype == FLOAT
        found[tensor.node.attrs["name"]] = (
            random.normal(0, 1e-3, shape).astype(np.float32) if real else np.zeros(shape, np.int32)
        )
    return found


def _known(problem: ConvProblem, count: int, timed: TuningRecord | None) -> TuningResult | None:
    """What was found before, if it is of use."""
    if timed is None or timed.way not in candidates(problem):
        return None
    model = candidates(problem)[0]
    return TuningResult(problem, count, model, ConvAlgorithm(timed.way), timed.before, timed.after, fresh=False)


def _trial(contest: _Benchmark, count: int) -> TuningResult:
    """The model's way against each of the others, and once more against the fastest of them."""
    problem = contest.problem
    model, *rest = candidates(problem)
    usual = contest.program(model)
    best, before, after = model, usual.seconds(), 0.0
    faster: _Runner | None = None
    for way in filter(contest.fits, rest):
        other = contest.program(way)
        if not contest.is_promising(usual, other):
            continue
        mine, its = contest.compare(usual, other)
        before = min(before, mine)
        if its <= (1 - GAIN) * mine and (faster is None or its < after):
            best, after, faster = way, its, other
    if faster:
        mine, its = contest.compare(usual, faster)
        if its <= (1 - GAIN) * mine:
            return TuningResult(problem, count, model, best, mine, its)
    return TuningResult(problem, count, model, model, before, before)


class _Runner:
    """A program of one operation, and its result."""

    def __init__(self, program: Native, contest: _Benchmark) -> None:
        self.program, self.contest = program, contest
        program.load_state(contest.state)
        self.result = program.run(**contest.inputs)["result"]

    def seconds(self) -> float:
        """Of a run that finds nothing in a cache, as in a network, where all other layers run in between.

        Alone, an operation's weights never change; where the network's do, preparing them counts.
        """
        self.contest.others.sum()
        return self.program.again(prepare=not self.contest.problem.prepared)


class _Benchmark:
    """The ways of one problem, on the same numbers; `others` stand for what other layers read and write."""

    def __init__(self, problem: ConvProblem, threads: int, others: NDArray[np.float32]) -> None:
        self.problem, self.threads, self.target = problem, threads, host().target
        self.others = others
        self.graph = operation(problem)
        self._plans: dict[ConvAlgorithm, ExecutionPlan] = {}

    @lazy
    def inputs(self) -> dict[str, NDArray[np.float32]]:
        random = np.random.default_rng(0)
        return {t.node.attrs["name"]: _uniform(random, sizes(t.type)) for t in self.graph.inputs}

    @lazy
    def state(self) -> dict[str, NDArray[np.float32]]:
        random = np.random.default_rng(1)
        return {name: _uniform(random, sizes(t.type)) for name, t in self.graph.variables.items()}

    def plan(self, way: ConvAlgorithm) -> ExecutionPlan:
        if way not in self._plans:
            asked = {str(problem): str(way) for problem in problems(self.graph, self.problem.images)}
            self._plans[way] = make_plan(self.graph, self.problem.images, self.target, choices=asked)
        return self._plans[way]

    def fits(self, way: ConvAlgorithm) -> bool:
        """Whether a program for that takes little memory enough."""
        return self.plan(way).bytes_with(self.threads) <= LARGEST

    def program(self, way: ConvAlgorithm) -> _Runner:
        return _Runner(Native(self.plan(way), self.threads, self.target), self)

    def is_promising(self, usual: _Runner, other: _Runner) -> bool:
        """Whether another way gives the same results, and is not far slower."""
        scale = float(np.abs(usual.result).max())
        same = float(np.abs(other.result - usual.result).max()) <= TOLERANCE * scale
        mine, its = (min(runner.seconds() for _ in range(2)) for runner in (usual, other))
        return same and its <= HOPELESS * mine

    def compare(self, usual: _Runner, other: _Runner) -> tuple[float, float]:
        """Seconds of both, the fastest of some turns."""
        begin, times = perf_counter(), list[tuple[float, float]]()
        while len(times) < TURNS or perf_counter() - begin < SECONDS:
            times.append((usual.seconds(), other.seconds()))
        mine, its = map(min, zip(*times, strict=True))
        return mine, its


def operation(problem: ConvProblem) -> Graph:
    """A graph of nothing but `problem`, whose output is "result"."""
    images, weights = problem.images, (problem.filters, problem.channels // problem.groups, *problem.kernel)
    x = input_tensor("x", (images, problem.channels, *problem.size))
    g = input_tensor("g", (images, problem.filters, *problem.out))
    w = variable("w", weights)
    operands = {"conv2d": (x, w), "conv_transpose2d": (g, w), "conv2d_weight": (x, g)}[problem.operation]
    own = {"conv2d": {}, "conv_transpose2d": {"size": problem.size}, "conv2d_weight": {"kernel": problem.kernel}}
    node = apply(OPS[problem.operation], operands, problem.moves | own[problem.operation])
    return Graph(tuple(t for t in operands if t is not w), {"result": node.output})


def _uniform(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Numbers from -½ to ½."""
    return random.random(shape, np.float32) - np.float32(0.5)

"""Tuning: the fastest algorithm of each convolution on this machine, measured in turns.

The heuristic of `compiler.lower.conv_algorithms` predicts it from shapes. Here each algorithm of a problem is compiled
as a program of one operation and timed in turns with the heuristic's. Another one is taken only if its results agree
except for rounding, and if it is faster by a margin, twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.backends.base import sizes
from opsin.backends.native.codegen import host
from opsin.backends.native.program import Native, compile
from opsin.backends.native.tuning_cache import TuningRecord, load, save
from opsin.base.concurrency import lazy
from opsin.base.processors import processors
from opsin.compiler.clips import simplify_on_images
from opsin.compiler.execution_plan import ExecutionPlan, make_plan
from opsin.compiler.lower.conv_algorithms import (
    ConvAlgorithm,
    ConvProblem,
    candidates,
    fixed_tensors,
    has_algorithms,
)
from opsin.compiler.precision import Precision, narrow_tensors
from opsin.ir import FLOAT, Graph, apply, initial_state, input_tensor, variable
from opsin.kernels.ir import Target
from opsin.ops import OPS

MIN_GAIN = 0.08
"""Share of the heuristic's time by which another algorithm has to be faster, in a first comparison and in a second."""
MAX_SLOWDOWN = 1.4
"""An algorithm that takes this multiple of the heuristic's time in its first runs is not compared any further."""
MIN_TURNS = 5
"""The runs of each program that a comparison has at least."""
TOLERANCE = 0.02
"""Largest difference from the heuristic's results, as a share of the largest of them, that rounding explains."""
EXPECTED_RUNS = 20
"""The runs of a problem that are expected before any was timed."""


@dataclass(frozen=True)
class TuningLimits:
    """What tuning may take, and what it expects of a machine."""

    program_bytes: int = 2**30
    """Bytes that each of the two programs of a comparison may take."""
    comparison_seconds: float = 0.15
    """The time that a comparison takes."""
    flush_bytes: int = 2**26
    """Bytes that are read between two runs to replace the contents of all caches."""
    macs_per_second: float = 5e10
    """The expected speed before any problem was timed, in multiply-accumulate operations a second."""


DEFAULT_LIMITS = TuningLimits()
MakeProgram: TypeAlias = Callable[[ExecutionPlan, int, Target], Native]


@dataclass(frozen=True)
class TuningResult:
    """A problem that occurs `count` times in a graph: the heuristic's algorithm, the fastest one, and their seconds.

    `fresh` says that it was timed now, and not loaded.
    """

    problem: ConvProblem
    count: int
    heuristic: ConvAlgorithm
    algorithm: ConvAlgorithm
    before: float
    after: float
    fresh: bool = True

    @property
    def saved(self) -> float:
        """Seconds that the graph should take less."""
        return self.count * (self.before - self.after)


@dataclass(frozen=True)
class TuningSummary:
    """The results of a graph's problems; those `skipped` did not fit into the time, or into the memory."""

    trials: tuple[TuningResult, ...]
    skipped: tuple[ConvProblem, ...]
    seconds: float

    @property
    def conv_algorithms(self) -> dict[str, str]:
        """The algorithm of each problem, as `compile` takes them."""
        return {str(trial.problem): str(trial.algorithm) for trial in self.trials}

    @property
    def overrides(self) -> tuple[TuningResult, ...]:
        """The results with an algorithm other than the heuristic's."""
        return tuple(trial for trial in self.trials if trial.algorithm != trial.heuristic)

    def reverted(self) -> TuningSummary:
        """Return the summary with the heuristic's algorithm wherever another one was chosen now."""
        trials = tuple(replace(t, algorithm=t.heuristic, after=t.before) if t.fresh else t for t in self.trials)
        return replace(self, trials=trials)

    def save(self, threads: int | None = None) -> None:
        """Save the fresh results, which `compile` uses on this machine from now on."""
        count = threads or processors()
        records = [
            TuningRecord(str(t.problem), str(t.heuristic), str(t.algorithm), t.before, t.after, count)
            for t in self.trials
            if t.fresh
        ]
        if records:
            save(records, host().target)


def problems(graph: Graph, batch: int, precision: Precision = Precision.FLOAT32) -> dict[ConvProblem, int]:
    """Return the different convolutions of a graph that have several algorithms, and how often each occurs.

    Those with the most multiply-accumulate operations in total come first.
    """
    bound_graph = simplify_on_images(graph, batch)
    constants = fixed_tensors(bound_graph)
    narrow, target = narrow_tensors(bound_graph, batch, precision), host().target
    counts = Counter(
        ConvProblem.of(node, constants, narrow, target) for node in bound_graph.nodes if has_algorithms(node)
    )
    tunable = {problem: count for problem, count in counts.items() if len(candidates(problem)) > 1}
    return dict(sorted(tunable.items(), key=lambda item: -item[0].macs * item[1]))


def tune(
    graph: Graph,
    batch: int,
    threads: int | None = None,
    seconds: float = 60.0,
    on_problem: Callable[[int, int, ConvProblem], None] | None = None,
    clock: Callable[[], float] = perf_counter,
    limits: TuningLimits = DEFAULT_LIMITS,
    make_program: MakeProgram = Native,
    precision: Precision = Precision.FLOAT32,
) -> TuningSummary:
    """Time the algorithms of a graph's convolutions in `precision` on `threads` threads, within about `seconds`.

    Problems with a saved record are not timed again. `on_problem` is called with the number (from 1) of the next
    problem, how many there are, and the problem. `clock` returns the current time in seconds; `make_program` returns
    what is run and timed. The results are not saved by that alone.
    """
    begin, max_seconds = clock(), 0.0
    count, records = threads or processors(), load(host().target)
    counts = problems(graph, batch, precision)
    flush = np.ones(limits.flush_bytes // 4 if seconds > 0 else 0, np.float32)
    trials: list[TuningResult] = []
    skipped_problems: list[ConvProblem] = []
    for number, (problem, copies) in enumerate(counts.items(), start=1):
        saved_result = _saved_result(problem, copies, records.get(str(problem)))
        if saved_result:
            trials.append(saved_result)
            continue
        start = clock()
        benchmark = _Benchmark(problem, count, flush, clock, limits, make_program)
        estimate = max(max_seconds, EXPECTED_RUNS * problem.macs / limits.macs_per_second)
        if start - begin + estimate >= seconds or not benchmark.fits(candidates(problem)[0]):
            skipped_problems.append(problem)
            continue
        if on_problem:
            on_problem(number, len(counts), problem)
        trials.append(_trial(benchmark, copies))
        max_seconds = max(max_seconds, clock() - start)
    return TuningSummary(tuple(trials), tuple(skipped_problems), clock() - begin)


def compare_steps(
    graph: Graph,
    batch: int,
    threads: int | None,
    conv_algorithms: Mapping[str, str],
    turns: int = 5,
    precision: Precision = Precision.FLOAT32,
) -> tuple[float, float]:
    """Return the seconds of a run of the whole graph by the heuristic and with `conv_algorithms`, each the minimum."""
    programs = [
        compile(graph, batch, threads, conv_algorithms=names, precision=precision) for names in ({}, conv_algorithms)
    ]
    for program in programs:
        program.load_state(initial_state(program.graph, seed=0))
        program.run(**noise(program.graph))
    times = [[program.rerun() for program in programs] for _ in range(turns)]
    before, after = map(min, zip(*times, strict=True))
    return before, after


def noise(graph: Graph) -> dict[str, NDArray[np.float32] | NDArray[np.int32]]:
    """Return arrays for the inputs of a bound graph: labels are 0, everything else is close to 0."""
    random = np.random.default_rng(0)
    arrays: dict[str, NDArray[np.float32] | NDArray[np.int32]] = {}
    for tensor in graph.inputs:
        shape = sizes(tensor.type)
        is_float = tensor.dtype == FLOAT
        arrays[tensor.node.attrs["name"]] = (
            random.normal(0, 1e-3, shape).astype(np.float32) if is_float else np.zeros(shape, np.int32)
        )
    return arrays


def _saved_result(problem: ConvProblem, count: int, record: TuningRecord | None) -> TuningResult | None:
    """Return the result of a saved record if its algorithm still solves the problem."""
    if record is None or record.algorithm not in candidates(problem):
        return None
    heuristic, algorithm = candidates(problem)[0], ConvAlgorithm(record.algorithm)
    return TuningResult(problem, count, heuristic, algorithm, record.before, record.after, fresh=False)


def _trial(benchmark: _Benchmark, count: int) -> TuningResult:
    """Compare the heuristic's algorithm with each of the others, and once more with the fastest of them."""
    problem = benchmark.problem
    heuristic, *others = candidates(problem)
    default = benchmark.program(heuristic)
    fastest_algorithm, before, after = heuristic, default.seconds(), 0.0
    fastest_runner: _Runner | None = None
    for algorithm in filter(benchmark.fits, others):
        other = benchmark.program(algorithm)
        if not benchmark.is_promising(default, other):
            continue
        default_seconds, other_seconds = benchmark.compare(default, other)
        before = min(before, default_seconds)
        if other_seconds <= (1 - MIN_GAIN) * default_seconds and (fastest_runner is None or other_seconds < after):
            fastest_algorithm, after, fastest_runner = algorithm, other_seconds, other
    if fastest_runner:
        default_seconds, other_seconds = benchmark.compare(default, fastest_runner)
        if other_seconds <= (1 - MIN_GAIN) * default_seconds:
            return TuningResult(problem, count, heuristic, fastest_algorithm, default_seconds, other_seconds)
    return TuningResult(problem, count, heuristic, heuristic, before, before)


class _Runner:
    """A program of one operation, and its result."""

    def __init__(self, program: Native, benchmark: _Benchmark) -> None:
        self.program, self.benchmark = program, benchmark
        program.load_state(benchmark.state)
        self.result = program.run(**benchmark.inputs)["result"]

    def seconds(self) -> float:
        """Return the time of a run with cold caches, as in a network, where all other layers run in between.

        Alone, an operation's weights never change; if the network's do, the work to prepare them counts.
        """
        self.benchmark.flush.sum()
        return self.program.rerun(include_setup=not self.benchmark.problem.prepared)


class _Benchmark:
    """The algorithms of one problem, on the same inputs; reading `flush` empties the caches."""

    def __init__(
        self,
        problem: ConvProblem,
        threads: int,
        flush: NDArray[np.float32],
        clock: Callable[[], float],
        limits: TuningLimits,
        make_program: MakeProgram,
    ) -> None:
        self.problem, self.threads, self.target = problem, threads, host().target
        self.flush, self.clock, self.limits, self.make_program = flush, clock, limits, make_program
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

    def plan(self, algorithm: ConvAlgorithm) -> ExecutionPlan:
        if algorithm not in self._plans:
            images, precision = self.problem.images, Precision.BF16 if self.problem.pairs else Precision.FLOAT32
            names = {str(problem): str(algorithm) for problem in problems(self.graph, images, precision)}
            self._plans[algorithm] = make_plan(
                self.graph, images, self.target, conv_algorithms=names, precision=precision
            )
        return self._plans[algorithm]

    def fits(self, algorithm: ConvAlgorithm) -> bool:
        """Whether a program with this algorithm stays within the memory limit."""
        return self.plan(algorithm).bytes_with(self.threads) <= self.limits.program_bytes

    def program(self, algorithm: ConvAlgorithm) -> _Runner:
        return _Runner(self.make_program(self.plan(algorithm), self.threads, self.target), self)

    def is_promising(self, default: _Runner, other: _Runner) -> bool:
        """Whether another algorithm gives the same results, and is not far slower."""
        scale = float(np.abs(default.result).max())
        is_close = float(np.abs(other.result - default.result).max()) <= TOLERANCE * scale
        default_seconds, other_seconds = (min(runner.seconds() for _ in range(2)) for runner in (default, other))
        return is_close and other_seconds <= MAX_SLOWDOWN * default_seconds

    def compare(self, default: _Runner, other: _Runner) -> tuple[float, float]:
        """Return the seconds of both, the minimum of some turns."""
        begin, times = self.clock(), list[tuple[float, float]]()
        while len(times) < MIN_TURNS or self.clock() - begin < self.limits.comparison_seconds:
            times.append((default.seconds(), other.seconds()))
        default_seconds, other_seconds = map(min, zip(*times, strict=True))
        return default_seconds, other_seconds


def operation(problem: ConvProblem) -> Graph:
    """Return a graph of nothing but `problem`, with the output "result".

    Inputs of a graph are float32. If the problem is about bfloat16, they are therefore multiplied by 2 first.
    """
    images, weights = problem.images, (problem.filters, problem.channels // problem.groups, *problem.kernel)
    x = input_tensor("x", (images, problem.channels, *problem.size))
    g = input_tensor("g", (images, problem.filters, *problem.out))
    w = variable("w", weights)
    operands = {"conv2d": (x, w), "conv_transpose2d": (g, w), "conv2d_weight": (x, g)}[problem.operation]
    sizes_attr = {"conv2d": {}, "conv_transpose2d": {"size": problem.size}, "conv2d_weight": {"kernel": problem.kernel}}
    images_in_memory = [t if t is w or not problem.pairs else ops.multiply(t, 2.0) for t in operands]
    node = apply(OPS[problem.operation], images_in_memory, problem.attrs | sizes_attr[problem.operation])
    return Graph(tuple(t for t in operands if t is not w), {"result": node.output})


def _uniform(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return numbers from -½ to ½."""
    return random.random(shape, np.float32) - np.float32(0.5)

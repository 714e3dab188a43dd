"""Tuning: which algorithm wins, what has to agree, what there is time for, and what compiling makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin import nn
from opsin.backends.native import Native, compile, tuning_cache
from opsin.backends.native.codegen import host
from opsin.backends.native.tuning_cache import load
from opsin.backends.tuning import (
    EXPECTED_RUNS,
    MIN_TURNS,
    TuningLimits,
    TuningResult,
    TuningSummary,
    compare_steps,
    operation,
    problems,
    tune,
)
from opsin.compiler.execution_plan import ExecutionPlan, make_plan
from opsin.compiler.lower.conv_algorithms import ConvAlgorithm, candidates
from opsin.ir import Graph
from opsin.kernels.ir import Target
from tests.support import Array

TARGET = host().target
UNLIMITED = 1e9
"""Seconds that no tuning takes."""


def kernels(program: Native) -> set[str]:
    return {type(call.spec).__name__ for call in program.plan.calls}


class Machine:
    """A machine on which runs of programs take pretended times; only they move its clock.

    A run takes a second, or the least of the `seconds` that are given for its program's kernels.
    """

    def __init__(self, **seconds: float) -> None:
        self.now = 100.0
        self.seconds_by_kernel = seconds

    def clock(self) -> float:
        return self.now

    def seconds(self, program: Native) -> float:
        return min((s for name, s in self.seconds_by_kernel.items() if name in kernels(program)), default=1.0)

    def changed(self, program: Native, outputs: dict[str, Array]) -> dict[str, Array]:
        """Return what this machine computes if the right results are `outputs`."""
        return outputs

    def program(self, plan: ExecutionPlan, threads: int, target: Target) -> Native:
        return PretendedProgram(self, plan, threads, target)

    def tune(
        self, graph: Graph, seconds: float = UNLIMITED, on_problem: Callable[..., None] | None = None, **limits: Any
    ) -> TuningSummary:
        bounds = TuningLimits(flush_bytes=1024, **limits)
        return tune(graph, 4, 1, seconds, on_problem, self.clock, bounds, self.program)


class PretendedProgram(Native):
    """A program that computes results, and says how long that takes on a `Machine`."""

    def __init__(self, machine: Machine, plan: ExecutionPlan, threads: int, target: Target) -> None:
        super().__init__(plan, threads, target)
        self.machine = machine

    def run(self, **inputs: Any) -> dict[str, Array]:
        return self.machine.changed(self, super().run(**inputs))

    def rerun(self, include_setup: bool = False) -> float:
        taken = self.machine.seconds(self)
        self.machine.now += taken
        return taken


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning_cache, "cache_folder", lambda: tmp_path)


@pytest.fixture(scope="module")
def graph() -> Graph:
    convolutions = [nn.Conv2d(16, 3, padding=1) for _ in range(3)]
    network = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(2))
    return nn.training_graph(network, (4, 8, 8), nn.optimizers.SGD())


def test_problems_are_counted_once_the_largest_first(graph: Graph) -> None:
    counts = problems(graph, 4)
    assert [(p.direction, p.channels, count) for p, count in counts.items()][:3] == [
        ("forward", 16, 2), ("input gradient", 16, 2), ("weight gradient", 16, 2),
    ]  # fmt: skip
    assert {(p.direction, p.channels) for p in counts} == {
        (direction, channels) for direction in ("forward", "input gradient", "weight gradient") for channels in (16, 4)
    } - {("input gradient", 4)}
    assert all(problem.images == 4 and len(candidates(problem)) > 1 for problem in counts)
    assert next(iter(counts)).macs == 4 * 64 * 16 * 16 * 9


def test_the_fastest_algorithm_is_chosen(graph: Graph) -> None:
    summary = Machine(Conv2d=0.25, Conv2dWeight=0.5, ConvPacked=0.5).tune(graph)
    wide = [trial for trial in summary.trials if trial.problem.channels == 16]
    assert {(t.problem.direction, t.algorithm, t.before, t.after) for t in wide} == {
        ("forward", ConvAlgorithm.DIRECT, 1.0, 0.25), ("input gradient", ConvAlgorithm.DIRECT, 1.0, 0.25),
        ("weight gradient", ConvAlgorithm.DIRECT, 1.0, 0.5),
    }  # fmt: skip
    assert summary.overrides == tuple(wide)
    assert sum(trial.saved for trial in summary.trials) == 2 * (0.75 + 0.75 + 0.5)
    assert not summary.skipped


def test_a_small_gain_is_ignored(graph: Graph) -> None:
    assert not Machine(Conv2d=0.94, Conv2dWeight=0.94).tune(graph).overrides
    assert len(Machine(Conv2d=0.91, Conv2dWeight=0.91).tune(graph).overrides) == 3


def test_a_gain_that_does_not_repeat_is_ignored(graph: Graph) -> None:
    """The direct algorithm is twice as fast in its first runs and in the first comparison, and not in the second."""
    runs: dict[int, int] = {}

    class Fickle(Machine):
        def seconds(self, program: Native) -> float:
            if not kernels(program) & {"Conv2d", "Conv2dWeight"}:
                return 1.0
            runs[id(program)] = runs.get(id(program), 0) + 1
            return 0.5 if runs[id(program)] <= 2 + MIN_TURNS else 0.99

    summary = Fickle().tune(graph)
    assert not [trial for trial in summary.overrides if trial.problem.channels == 16]
    assert max(runs.values()) > 2 + MIN_TURNS


def test_an_algorithm_with_other_results_is_not_chosen(graph: Graph) -> None:
    class Inexact(Machine):
        def changed(self, program: Native, outputs: dict[str, Array]) -> dict[str, Array]:
            if not kernels(program) & {"Conv2d", "Conv2dWeight"}:
                return outputs
            return {name: value + np.float32(0.05) * np.abs(value).max() for name, value in outputs.items()}

    summary = Inexact(Conv2d=0.5, Conv2dWeight=0.5, ConvPacked=0.7, ConvWeightTaps=0.7).tune(graph)
    assert {t.algorithm for t in summary.trials if t.problem.channels == 16} == {ConvAlgorithm.IMPLICIT_GEMM}


def test_programs_that_need_too_much_memory_are_not_timed(graph: Graph) -> None:
    timed: list[int] = []

    class Observed(Machine):
        def seconds(self, program: Native) -> float:
            timed.append(program.plan.bytes_with(1))
            return 1.0

    assert list(Observed().tune(graph, program_bytes=1000).skipped) == list(problems(graph, 4)) and not timed
    sizes: dict[bool, list[int]] = {True: [], False: []}
    for problem in problems(graph, 4):
        for number, algorithm in enumerate(candidates(problem)):
            names = {str(asked): str(algorithm) for asked in problems(operation(problem), 4)}
            plan = make_plan(operation(problem), 4, TARGET, conv_algorithms=names)
            sizes[number == 0].append(plan.bytes_with(1))
    limit = max(sizes[True])
    assert max(sizes[False]) > limit  # or this test says nothing
    assert not Observed().tune(graph, program_bytes=limit).skipped
    assert max(timed) <= limit


def test_the_time_limit_is_kept(graph: Graph) -> None:
    machine, starts = Machine(), list[float]()

    def on_problem(number: int, total: int, _: Any) -> None:
        assert (number, total) == (len(starts) + 1, len(problems(graph, 4)))
        starts.append(machine.now)

    nothing = machine.tune(graph, 0.0, on_problem)
    assert (nothing.trials, nothing.seconds, starts) == ((), 0.0, [])
    assert list(nothing.skipped) == list(problems(graph, 4)) and not load(TARGET)
    some = machine.tune(graph, 160.0, on_problem, macs_per_second=1e12)
    ends = [*starts[1:], machine.now]
    durations = [end - start for start, end in zip(starts, ends, strict=True)]
    assert starts[0] == 100.0 and some.seconds == machine.now - 100.0 == sum(durations)
    assert all(start - 100.0 + max(durations[:n]) < 160.0 for n, start in enumerate(starts) if n)
    assert some.seconds + max(durations) >= 160.0  # No other problem would have fitted.
    assert [trial.problem for trial in some.trials] == list(problems(graph, 4))[: len(starts)]
    assert 1 < len(some.trials) == len(nothing.skipped) - len(some.skipped)


def test_a_problem_that_would_take_too_long_is_skipped(graph: Graph) -> None:
    small, large = (min(problems(graph, 4), key=lambda p: sign * p.macs).macs for sign in (1, -1))
    summary = Machine().tune(graph, 1e4, macs_per_second=EXPECTED_RUNS * (small + large) / 2e4)
    assert {p.macs for p in summary.skipped} == {large} and {t.problem.macs for t in summary.trials} == {small}


def test_saved_problems_are_not_timed_again(graph: Graph) -> None:
    machine = Machine(Conv2d=0.5)
    summary = machine.tune(graph)
    assert not load(TARGET)
    summary.save(1)
    before = machine.now
    again = machine.tune(graph, 0.0)
    assert machine.now == before
    assert again.trials == tuple(replace(trial, fresh=False) for trial in summary.trials) and not again.skipped
    assert again.conv_algorithms == summary.conv_algorithms and again.reverted() == again
    assert all(trial.algorithm is trial.heuristic for trial in summary.reverted().trials)
    size = len(load(TARGET))
    again.save(1)
    assert len(load(TARGET)) == size


def test_programs_use_tuned_algorithms(graph: Graph) -> None:
    def names(**options: Any) -> set[str]:
        return {type(call.spec).__name__ for call in compile(graph, 4, 1, **options).plan.calls if call.macs}

    default = names()
    assert any(name.startswith("Winograd") for name in default)
    trials = (
        TuningResult(p, count, candidates(p)[0], ConvAlgorithm.DIRECT, 2.0, 1.0)
        for p, count in problems(graph, 4).items()
    )
    TuningSummary(tuple(trials), (), 0.0).save(1)
    assert names() == {"Conv2d", "Conv2dWeight", "MatMul"}
    assert names(conv_algorithms={}) == default
    packed = {str(p): str(ConvAlgorithm.IMPLICIT_GEMM) for p in problems(graph, 4)}
    assert names(winograd=False, conv_algorithms=packed) != names(winograd=False)


def test_this_machine_can_be_tuned(graph: Graph) -> None:
    summary = tune(graph, 4, 2, UNLIMITED, limits=TuningLimits(comparison_seconds=0.0, flush_bytes=1024))
    assert not summary.skipped and all(trial.algorithm in candidates(trial.problem) for trial in summary.trials)
    assert all(0 < trial.after <= trial.before for trial in summary.trials)
    assert min(compare_steps(graph, 4, 2, summary.conv_algorithms, turns=2)) > 0


def test_training_as_shipped_tunes_its_plan(tmp_path: Path) -> None:
    """A process of its own, in which no test has changed how long tuning takes."""
    environment = {**os.environ, "OPSIN_CACHE": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    options = ("--network", "lenet5", "--epochs", "1", "--budget", "5min", "--no-report", "--out", "model.opsin")
    command = [sys.executable, "-m", "opsin", "train", "digits", *options]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "tuning").iterdir()
    records = [line for line in path.read_text().splitlines() if line]
    assert records and all('"heuristic"' in line for line in records)

"""Tuning: which way wins, what has to agree, what there is time for, and what compiling makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin import nn
from opsin.backends import tuning
from opsin.backends.native import compile, tuning_cache
from opsin.backends.native.codegen import host
from opsin.backends.native.tuning_cache import load
from opsin.backends.tuning import TuningResult, TuningSummary, compare_steps, noise, problems, tune
from opsin.compiler.lower.conv_algorithms import ConvAlgorithm, candidates
from opsin.ir import Graph

TARGET = host().target


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning_cache, "cache_folder", lambda: tmp_path)


@pytest.fixture(scope="module")
def graph() -> Graph:
    convolutions = [nn.Conv2d(16, 3, padding=1) for _ in range(3)]
    network = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(2))
    return nn.training_graph(network, (4, 8, 8), nn.optimizers.SGD())


Pretend = Callable[..., None]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Seconds by the kernel that a program has; 1 for all others."""

    def with_times(**seconds: float) -> None:
        def take(runner: Any) -> float:
            names = {type(call.spec).__name__ for call in runner.program.plan.calls}
            return min((time for name, time in seconds.items() if name in names), default=1.0)

        monkeypatch.setattr(tuning._Runner, "seconds", take)
        monkeypatch.setattr(tuning, "COMPARISON_SECONDS", 0.0)

    return with_times


def test_problems_are_counted_once_the_largest_first(graph: Graph) -> None:
    found = problems(graph, 4)
    assert [(p.direction, p.channels, count) for p, count in found.items()][:3] == [
        ("forward", 16, 2), ("input gradient", 16, 2), ("weight gradient", 16, 2),
    ]  # fmt: skip
    assert {(p.direction, p.channels) for p in found} == {
        (direction, channels) for direction in ("forward", "input gradient", "weight gradient") for channels in (16, 4)
    } - {("input gradient", 4)}
    assert all(problem.images == 4 and len(candidates(problem)) > 1 for problem in found)
    assert next(iter(found)).macs == 4 * 64 * 16 * 16 * 9


def test_the_fastest_way_is_taken(graph: Graph, pretend: Pretend) -> None:
    pretend(Conv2d=0.25, Conv2dWeight=0.5, ConvPacked=0.5)
    found = tune(graph, 4, 1)
    wide = [trial for trial in found.trials if trial.problem.channels == 16]
    assert {(t.problem.direction, t.algorithm, t.before, t.after) for t in wide} == {
        ("forward", ConvAlgorithm.DIRECT, 1.0, 0.25), ("input gradient", ConvAlgorithm.DIRECT, 1.0, 0.25),
        ("weight gradient", ConvAlgorithm.DIRECT, 1.0, 0.5),
    }  # fmt: skip
    assert found.overrides == tuple(t for t in found.trials if t.problem.channels == 16)
    assert sum(trial.saved for trial in found.trials) == 2 * (0.75 + 0.75 + 0.5)
    assert not found.skipped


def test_a_small_gain_is_none(graph: Graph, pretend: Pretend) -> None:
    pretend(Conv2d=0.94, Conv2dWeight=0.94)
    assert not tune(graph, 4, 1).overrides
    pretend(Conv2d=0.91, Conv2dWeight=0.91)
    assert len(tune(graph, 4, 1).overrides) == 3


def test_a_gain_that_is_not_there_a_second_time_is_none(
    graph: Graph, pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(Conv2d=0.5)
    results: Iterator[tuple[float, float]] = iter([(1.0, 0.5), (1.0, 0.99)] * 99)
    monkeypatch.setattr(tuning._Benchmark, "compare", lambda *_: next(results))
    monkeypatch.setattr(tuning, "candidates", lambda problem: candidates(problem)[:2])
    assert not tune(graph, 4, 1).overrides


def test_what_gives_other_numbers_is_not_taken(graph: Graph, pretend: Pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(Conv2d=0.5, Conv2dWeight=0.5, ConvPacked=0.7, ConvWeightTaps=0.7)
    original = tuning._Benchmark.program

    def program(contest: Any, way: ConvAlgorithm) -> Any:
        made = original(contest, way)
        if way is ConvAlgorithm.DIRECT:
            made.result = made.result + np.float32(0.05) * np.abs(made.result).max()
        return made

    monkeypatch.setattr(tuning._Benchmark, "program", program)
    found = tune(graph, 4, 1)
    assert {trial.algorithm for trial in found.trials if trial.problem.channels == 16} == {ConvAlgorithm.IMPLICIT_GEMM}


def test_programs_that_need_too_much_memory_are_not_timed(
    graph: Graph, pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(Conv2d=0.5)
    monkeypatch.setattr(tuning, "MAX_PROGRAM_BYTES", 1000)
    assert list(tune(graph, 4, 1).skipped) == list(problems(graph, 4))
    monkeypatch.setattr(tuning, "MAX_PROGRAM_BYTES", 10**9)
    monkeypatch.setattr(tuning._Benchmark, "fits", lambda contest, way: way is candidates(contest.problem)[0])
    found = tune(graph, 4, 1)
    assert not found.skipped and not found.overrides


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The time that tuning sees, in an own list; each trial takes 0.05 seconds of it."""
    now = [100.0]

    def stub(contest: Any, count: int) -> TuningResult:
        now[0] += 0.05
        model = candidates(contest.problem)[0]
        return TuningResult(contest.problem, count, model, model, 1.0, 1.0)

    monkeypatch.setattr(tuning, "_trial", stub)
    monkeypatch.setattr(tuning, "perf_counter", lambda: now[0])
    yield now


def test_the_time_is_kept(graph: Graph, monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> None:
    told: list[tuple[int, int]] = []
    nothing = tune(graph, 4, 1, 0.0, lambda number, total, _: told.append((number, total)))
    assert (nothing.trials, told) == ((), []) and list(nothing.skipped) == list(problems(graph, 4))
    assert not load(TARGET)
    monkeypatch.setattr(tuning, "EXPECTED_MACS_PER_SECOND", 1e12)
    some = tune(graph, 4, 1, 0.16, lambda number, total, _: told.append((number, total)))
    assert clock[0] - 100 == pytest.approx(0.15) == pytest.approx(some.seconds)
    assert len(some.trials) == 3 and len(some.trials) + len(some.skipped) == len(nothing.skipped)
    assert told == [(number, len(nothing.skipped)) for number in range(1, len(some.trials) + 1)]
    assert [trial.problem for trial in some.trials] == list(problems(graph, 4))[: len(some.trials)]


@pytest.mark.usefixtures("clock")
def test_what_would_take_too_long_is_passed_over(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (min(problems(graph, 4), key=lambda p: sign * p.macs).macs for sign in (1, -1))
    monkeypatch.setattr(tuning, "EXPECTED_MACS_PER_SECOND", tuning.EXPECTED_RUNS * (small + large) / 2)
    found = tune(graph, 4, 1, 1.0)
    assert {problem.macs for problem in found.skipped} == {large} and {t.problem.macs for t in found.trials} == {small}


def test_what_was_timed_is_not_timed_again(graph: Graph, pretend: Pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(Conv2d=0.5)
    found = tune(graph, 4, 1)
    assert not load(TARGET)
    found.save(1)
    monkeypatch.setattr(tuning, "_trial", None)
    again = tune(graph, 4, 1, 0.0)
    assert again.trials == tuple(replace(trial, fresh=False) for trial in found.trials) and not again.skipped
    assert again.conv_algorithms == found.conv_algorithms and again.reverted() == again
    assert all(trial.algorithm is trial.heuristic for trial in found.reverted().trials)
    size = len(load(TARGET))
    again.save(1)
    assert len(load(TARGET)) == size


def test_programs_use_what_was_timed(graph: Graph) -> None:
    def names(**options: Any) -> set[str]:
        return {type(call.spec).__name__ for call in compile(graph, 4, 1, **options).plan.calls if call.macs}

    usual = names()
    assert any(name.startswith("Winograd") for name in usual)
    trials = (
        TuningResult(p, count, candidates(p)[0], ConvAlgorithm.DIRECT, 2.0, 1.0)
        for p, count in problems(graph, 4).items()
    )
    TuningSummary(tuple(trials), (), 0.0).save(1)
    assert names() == {"Conv2d", "Conv2dWeight", "MatMul"}
    assert names(conv_algorithms={}) == usual
    assert names(
        winograd=False, conv_algorithms={str(p): str(ConvAlgorithm.IMPLICIT_GEMM) for p in problems(graph, 4)}
    ) != names(winograd=False)


def test_bits_are_the_same_for_every_number_of_threads(graph: Graph) -> None:
    trials = (
        TuningResult(p, count, candidates(p)[0], candidates(p)[-1], 2.0, 1.0) for p, count in problems(graph, 4).items()
    )
    TuningSummary(tuple(trials), (), 0.0).save(2)
    states = []
    for threads in (1, 2, 3):
        program = compile(graph, 4, threads)
        program.load_state(nn.initial_state(program.graph, 0))
        program.run(**noise(program.graph))
        program.rerun()
        states.append(program.state())
    for name, value in states[0].items():
        assert all(value.tobytes() == state[name].tobytes() for state in states[1:])


def test_this_machine_can_be_tuned(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "COMPARISON_SECONDS", 0.0)
    monkeypatch.setattr(tuning, "FLUSHED_BYTES", 1024)
    found = tune(graph, 4, 2, 60.0)
    assert not found.skipped and all(trial.algorithm in candidates(trial.problem) for trial in found.trials)
    assert all(0 < trial.after <= trial.before for trial in found.trials)
    assert min(compare_steps(graph, 4, 2, found.conv_algorithms, turns=2)) > 0

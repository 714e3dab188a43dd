"""Timing call by call: everything is there once, and adds up."""

from __future__ import annotations

from time import perf_counter, sleep

import numpy as np
import pytest

from opsin import nn
from opsin.backends.native import clock
from opsin.backends.native import profile as profiling
from opsin.backends.native.profile import Profile, ProfileRow, bytes_moved, profile, summed
from opsin.backends.native.program import compile
from opsin.compiler.algorithm_names import algorithm
from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.views import Buffer, View
from opsin.kernels.matmul import MatMul
from opsin.kernels.reduce import Combine
from opsin.kernels.winograd import WinogradFilters


@pytest.fixture
def known_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "fma_peak", lambda threads: 1e11)
    monkeypatch.setattr(profiling, "memory_bandwidth", lambda threads: 1e10)


@pytest.mark.usefixtures("known_machine")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_profile_adds_up(threads: int) -> None:
    network = nn.Sequential(nn.Conv2d(8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4))
    graph = nn.training_graph(network, (1, 12, 12), nn.optimizers.SGD())
    program = compile(graph, 8, threads)
    program.load_state(nn.initial_state(graph, seed=0))
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(8, 1, 12, 12)).astype(np.float32), rng.integers(0, 4, 8).astype(np.int32)
    begin = perf_counter()
    found = profile(program, {"inputs": images, "labels": labels, "learning_rate": 0.01}, seconds=0.0, min_runs=4)
    passed = perf_counter() - begin
    assert (found.runs, found.threads, found.peak, found.bandwidth) == (4, threads, 1e11, 1e10)
    assert len(found.lines) == len(program.plan.calls)
    # Arm's counter ticks every 10 to 40 nanoseconds, and may not during a call that multiplies nothing.
    assert all(line.seconds > 0 if line.macs else line.seconds >= 0 for line in found.lines)
    assert found.waiting + sum(line.seconds for line in found.lines) == pytest.approx(found.total)
    assert found.seconds <= found.total < passed
    assert sum(map(found.share, [found.waiting, *(line.seconds for line in found.lines)])) == pytest.approx(1)
    conv, dense = 8 * 8 * 100 * 9, 8 * 800 * 4
    assert sum(line.macs for line in found.lines) == 2 * conv + 3 * dense


@pytest.mark.usefixtures("known_machine")
def test_what_is_prepared_once_is_no_part_of_a_run() -> None:
    graph = nn.trace(nn.Sequential(nn.Conv2d(32, 3), nn.Conv2d(32, 3)), (32, 20, 20))
    program = compile(graph, 4, 1)
    setup = sum(len(group.calls) for group in program.plan.groups[: program.plan.setup])
    assert setup > 0
    found = profile(program, {"inputs": np.ones((4, 32, 20, 20), np.float32)}, seconds=0.0)
    assert len(found.lines) == len(program.plan.calls) - setup


def test_rates_follow_from_what_was_counted() -> None:
    line = ProfileRow("conv", "forward", "direct", "conv2d", (), 0.5, 10**9, 4 * 10**9)
    assert (line.flops, line.bandwidth) == (4e9, 8e9)
    other = ProfileRow("conv", "forward", "pointwise", "relu", ("relu",), 1.5, 0, 10**9)
    both = summed([other, line])
    assert (both.algorithm, both.seconds, both.macs, both.bytes, both.calls) == ("direct", 2.0, 10**9, 5 * 10**9, 2)
    found = Profile((line, other), 2.5, 1, 2, 1e10, 1e10)
    assert (found.waiting, found.total, found.share(0.5)) == (0.5, 2.5, 0.2)
    assert Profile((line, other), 1.9, 1, 2, 1e10, 1e10).total == 2.0  # more than the time from outside: no waiting


def test_bytes_are_those_of_the_elements_that_are_touched() -> None:
    x, w, y = Buffer(600, "f32", "temporary"), Buffer(20, "f32", "variable"), Buffer(600, "f32", "temporary")
    whole, repeated = View(x, (30, 20), (20, 1)), View(w, (30, 20), (0, 1))
    half = View(y, (15, 20), (40, 1))
    call = KernelCall(Combine(), (whole, repeated, half, 7), Partition.ANY, 1, {x: False, w: False}, {y: False})
    assert bytes_moved(call) == 4 * (600 + 20 + 300)
    again = KernelCall(Combine(), (whole, whole), Partition.ANY, 1, {x: False}, {x: False})
    assert bytes_moved(again) == 4 * 2 * 600  # read and written, once each


def test_ticks_are_those_of_the_clock() -> None:
    rate = clock.ticks_per_second()
    assert 1e6 < rate < 1e11
    begin = perf_counter()
    sleep(0.01)
    assert rate * (perf_counter() - begin) > 1e4
    assert clock.ticks_per_second() == rate


def test_kernels_have_names_for_people() -> None:
    assert algorithm(WinogradFilters(16, 16)) == "Winograd: weights"
    assert algorithm(Combine()) == "sum of parts"
    assert "matrix product" in algorithm(MatMul.__new__(MatMul))

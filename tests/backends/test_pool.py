"""Pools of threads: runs do not wait for helpers that have no processor, and helpers that come late do no harm."""

from __future__ import annotations

import threading
from time import perf_counter

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.native import Native, codegen
from opsin.backends.native import pool as pools
from opsin.backends.native.driver import CLAIM_BITS, LINE_WORDS, STATES_WORD
from opsin.backends.native.pool import Pool
from opsin.compiler.execution_plan import make_plan

TARGET = codegen.host().target


class LatePool(Pool):
    """A pool whose helpers get no processor until `ready` is set."""

    def __init__(self, threads: int) -> None:
        self.ready = threading.Event()
        super().__init__(threads, True)

    def _help(self, number: int) -> None:
        self.ready.wait()
        super()._help(number)


def program(threads: int, batch: int = 16) -> Native:
    graph = nn.training_graph(zoo.create("lenet5"), (1, 28, 28), nn.optimizers.SGD())
    native = Native(make_plan(graph, batch, TARGET), threads, TARGET)
    native.load_state(nn.initial_state(graph, seed=1))
    return native


def step(native: Native, seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((native.batch, 1, 28, 28), np.float32)
    outputs = native.run(inputs=images, labels=rng.integers(0, 10, native.batch), learning_rate=np.float32(0.1))
    return outputs["loss"].tobytes() + b"".join(value.tobytes() for value in native.state().values())


def test_a_run_does_not_wait_for_helpers_that_do_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [step(native, seed) for native in [program(1)] for seed in range(3)]
    late_pool = LatePool(4)
    monkeypatch.setitem(pools._pools, 4, late_pool)
    native = program(4)
    assert [step(native, seed) for seed in range(3)] == expected
    late_pool.ready.set()
    end = perf_counter() + 10
    while not late_pool._awake.any() and perf_counter() < end:
        late_pool.wake_all()
    others = program(1)
    assert [step(others, seed) for seed in range(3)] == expected
    native.load_state(nn.initial_state(native.graph, seed=1))
    assert [step(native, seed) for seed in range(3)] == expected


def test_many_short_runs_of_more_threads_than_processors() -> None:
    """Helpers come and go at any point of a run; every run is bit-identical."""
    native, lone = program(6, 12), program(1, 12)
    for seed in range(150):
        assert step(native, seed % 7) == step(lone, seed % 7)


def test_programs_alternate_on_one_pool() -> None:
    """A helper that is still in a run of one program must not touch the next one."""
    natives = [program(3, batch) for batch in (3, 16, 7)]
    lone = [program(1, batch) for batch in (3, 16, 7)]
    for number in range(60):
        k = number % 3
        assert step(natives[k], number) == step(lone[k], number)
        if number % 20 == 19:
            natives[k], lone[k] = program(3, natives[k].batch), program(1, natives[k].batch)


def test_the_memory_of_a_run_is_kept_while_helpers_are_inside() -> None:
    native = program(2)
    step(native)
    pool = pools.pool(2)
    assert len(pool._recent_jobs) <= 2  # The setup and the step of the last program, if the helper is still inside.
    end = perf_counter() + 10
    while pool._recent_jobs and perf_counter() < end:
        step(native)
    assert not pool._recent_jobs


def test_claims_grow_with_every_group() -> None:
    pool = Pool(1, True)
    claim = STATES_WORD + LINE_WORDS
    graph = nn.trace(zoo.create("lenet5"), (1, 28, 28))
    native = Native(make_plan(graph, 4, TARGET), 1, TARGET)
    assert native._step_job is not None
    seen = []
    for _ in range(3):
        pool.run(native._step_job)
        seen.append(int(pool._control[claim]) >> CLAIM_BITS)
    groups = len(native.plan.groups) - native.plan.setup
    assert seen == [groups, 2 * groups, 3 * groups]

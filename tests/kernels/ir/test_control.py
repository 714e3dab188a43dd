"""Loops, branches and registers."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.kernels.ir import I32, INDEX, Builder, Register, ScalarType, Target, Value
from tests.kernels.ir.support import ALL_TARGETS, agree

each_target = pytest.mark.parametrize("target", ALL_TARGETS[:1], ids=lambda row: row.name)
"""Control flow has nothing to do with vectors."""


class Log:
    """Kernels that write numbers one after another."""

    def __init__(self, name: str) -> None:
        self.k = Builder(name)
        self.y = self.k.buffer("y", I32)
        self.next = self.k.register(self.k.constant(0, ScalarType(INDEX)))

    def write(self, number: Value | int) -> None:
        value = self.k.constant(number, ScalarType(INDEX))
        self.k.store(self.y, self.next.get(), self.k.convert("i32", value))
        self.next.set(self.next.get() + 1)

    def run(self, target: Target, *args: int) -> list[int]:
        (actual,) = agree(self.k.kernel(), [np.full(200, -99, np.int32), *args], target)
        written = actual[actual != -99]
        assert (actual[: written.size] == written).all()
        return [int(number) for number in written]


@each_target
@pytest.mark.parametrize(
    ("start", "stop", "step"),
    [(0, 5, 1), (0, 0, 1), (3, 2, 1), (5, -5, 2), (-3, 4, 1), (-9, -2, 3), (0, 10, 4), (0, 12, 4), (7, 8, 100)],
)
@pytest.mark.parametrize("known", [True, False], ids=["constant", "argument"])
def test_loops_iterate_like_range(start: int, stop: int, step: int, known: bool, target: Target) -> None:
    log = Log("loop")
    limits: list[Value | int] = [log.k.index(name) for name in ("start", "stop", "step")]
    with log.k.loop(*([start, stop, step] if known else limits)) as i:
        log.write(i)
        # What is known of the index must hold for negative ones too.
        with log.k.when(i < 0):
            log.write(1000)
    log.write(2000)
    expected = [number for i in range(start, stop, step) for number in ([i, 1000] if i < 0 else [i])]
    assert log.run(target, start, stop, step) == [*expected, 2000]


@each_target
def test_loops_inside_loops(target: Target) -> None:
    log = Log("nest")
    n = log.k.index("n")
    with log.k.loop(0, n) as i:
        with log.k.loop(i, n, 2) as j:
            log.write(i * 10 + j)
        with log.k.loop(0, i - 1) as j:
            log.write(0 - j - 1)
    expected = []
    for row in range(4):
        expected += [row * 10 + column for column in range(row, 4, 2)] + [-column - 1 for column in range(row - 1)]
    assert log.run(target, 4) == expected


@each_target
def test_branches(target: Target) -> None:
    log = Log("branches")
    k, n = log.k, log.k.index("n")
    with k.loop(0, n) as i:
        with k.when(i % 2 < 1) as even:
            log.write(i)
            with k.when(i % 4 < 1):
                log.write(100 + i)
        with k.otherwise(even), k.when(i < 4) as low:
            log.write(200 + i)
        with k.otherwise(even), k.otherwise(low):
            log.write(300 + i)
    assert log.run(target, 7) == [0, 100, 201, 2, 203, 4, 104, 305, 6]


@each_target
def test_a_branch_may_do_nothing(target: Target) -> None:
    log = Log("nothing")
    k, n = log.k, log.k.index("n")
    with k.when(n < 0) as branch:
        pass
    with k.otherwise(branch):
        log.write(1)
    with k.when(n < 0):
        log.write(2)
    assert log.run(target, 3) == [1]


@each_target
def test_registers_hold_what_was_last_set(target: Target) -> None:
    """Through loops and branches; `get` is a value of its moment."""
    log = Log("registers")
    k, n = log.k, log.k.index("n")
    a, b = k.register(n * 0), k.register(n * 0 + 1)
    with k.loop(0, n):
        old = a.get()
        a.set(b.get())
        b.set(old + b.get())
        with k.when(old < 3) as small:
            log.write(old)
        with k.otherwise(small):
            b.set(0)
    log.write(a.get())
    x, y, expected = 0, 1, []
    for _ in range(9):
        before, x, y = x, y, x + y
        if before < 3:
            expected.append(before)
        else:
            y = 0
    assert log.run(target, 9) == [*expected, x]


@pytest.mark.parametrize("target", ALL_TARGETS, ids=lambda row: row.name)
def test_registers_of_vectors_and_truths(target: Target) -> None:
    k = Builder("vectors")
    x, y = k.buffer("x"), k.buffer("y")
    total = k.register(k.broadcast(0.0, target.lanes))
    ever = k.register(k.broadcast(0.0, target.lanes) < 0.0)
    with k.loop(0, 5) as i:
        value = k.load(x, i * target.lanes, target.lanes)
        total.set(total.get() + value)
        ever.set(ever.get() | (value > 1.0))
    k.store(y, 0, k.select(ever.get(), total.get(), -1.0))
    data = np.random.default_rng(0).standard_normal((5, target.lanes)).astype(np.float32)
    _, actual = agree(k.kernel(), [data, np.zeros(target.lanes, np.float32)], target)
    np.testing.assert_allclose(actual, np.where((data > 1).any(0), data.sum(0), -1), rtol=1e-5, atol=1e-6)


@each_target
@pytest.mark.parametrize("seed", range(12))
def test_random_control_flow(seed: int, target: Target) -> None:
    """Loops, branches and registers in each other, as a random program of three registers has them."""
    rng = np.random.default_rng(seed)
    log = Log("random")
    k, n = log.k, log.k.index("n")
    registers = [k.register(n + i) for i in range(3)]

    def any_register() -> Register:
        return registers[int(rng.integers(3))]

    def block(depth: int, indices: list[Value]) -> None:
        for _ in range(int(rng.integers(1, 4))):
            kind = int(rng.integers(5)) if depth < 3 else int(rng.integers(2))
            value = (any_register().get() * int(rng.integers(-3, 4)) + indices[int(rng.integers(len(indices)))]) % 1009
            if kind < 2:
                any_register().set(value)
            elif kind < 4:
                with k.loop(value % 4 - 2, int(rng.integers(-1, 3)), int(rng.integers(1, 3))) as i:
                    block(depth + 1, [*indices, i])
            else:
                with k.when(value % 3 < 1) as branch:
                    block(depth + 1, indices)
                with k.otherwise(branch):
                    block(depth + 1, indices)

    for _ in range(3):
        block(0, [n])
    for register in registers:
        log.write(register.get())
    for n_value in (0, 5, -7):
        assert len(log.run(target, n_value)) == 3

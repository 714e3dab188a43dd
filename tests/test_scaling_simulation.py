"""The simulation of threads: what is claimed, and how long the groups of simple calls take."""

from __future__ import annotations

import pytest

from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.schedule import CallGroup
from opsin.kernels.reduce import Combine
from tests.scripts import script

simulation = script("bench/scaling_simulation.py")


def group_seconds(blocks: int, threads: int, partition: Partition, by_sample: bool) -> float:
    """Return the seconds of a call that takes one second on one thread, of a batch of 8 in chunks of 1."""
    call = KernelCall(Combine(), (), partition, blocks, {}, {})
    group = CallGroup(by_sample, [call])
    step = simulation.Step("one call", 8, 1, [group], {call: 1.0}, {})
    return float(simulation.group_seconds(step, group, threads))


@pytest.mark.parametrize(
    ("blocks", "threads", "expected"),
    [(16, 1, 1), (16, 2, 1 / 2), (16, 16, 1 / 16), (17, 16, 2 / 17), (8, 64, 1 / 8), (1, 4, 1)],
)
def test_a_group_by_blocks_takes_as_long_as_the_most_blocks_of_a_thread(
    blocks: int, threads: int, expected: float
) -> None:
    assert group_seconds(blocks, threads, Partition.ANY, False) == pytest.approx(expected, abs=1e-4)
    assert group_seconds(blocks, threads, Partition.ANY, False) > expected


@pytest.mark.parametrize(("threads", "expected"), [(1, 1), (2, 1 / 2), (3, 3 / 8), (8, 1 / 8), (64, 1 / 8)])
def test_a_group_by_sample_takes_as_long_as_the_most_chunks_of_a_thread(threads: int, expected: float) -> None:
    assert group_seconds(4, threads, Partition.PER_SAMPLE, True) == pytest.approx(expected, abs=1e-4)


def test_idle_threads_take_the_pieces_of_others() -> None:
    calls = [KernelCall(Combine(), (), Partition.ANY, blocks, {}, {}) for blocks in (1, 64)]
    step = simulation.Step("two calls", 8, 1, [CallGroup(False, calls)], {calls[0]: 0.5, calls[1]: 0.5}, {})
    assert simulation.group_seconds(step, step.groups[0], 2) == pytest.approx(0.5, abs=0.05)

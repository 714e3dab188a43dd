"""Groups parted where memory then holds less."""

from __future__ import annotations

from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.schedule import CallGroup
from opsin.compiler.split_groups import live_elements, split_groups
from opsin.compiler.views import Buffer
from opsin.kernels.reduce import Combine


def buffer(size: int) -> Buffer:
    return Buffer(size, "f32", "temporary")


def call(reads: list[Buffer], writes: list[Buffer]) -> KernelCall:
    return KernelCall(Combine(), (), Partition.ANY, 1, dict.fromkeys(reads, False), dict.fromkeys(writes, False))


def test_what_ends_goes_before_what_begins() -> None:
    old, new, small, end = buffer(1000), buffer(1000), buffer(10), buffer(10)
    make, start, finish, use = call([], [old]), call([], [new]), call([old], [small]), call([new, small], [end])
    groups = [CallGroup(False, [make]), CallGroup(False, [start, finish]), CallGroup(False, [use])]
    parted = split_groups(groups)
    assert [group.calls for group in parted] == [[make], [finish], [start], [use]]
    assert max(live_elements(groups)) > 1.9 * max(live_elements(parted))


def test_a_barrier_that_saves_nothing_is_not_made() -> None:
    x, y, z, end = buffer(1000), buffer(1000), buffer(1000), buffer(10)
    make, first, second, use = call([], [x]), call([x], [y]), call([x], [z]), call([y, z], [end])
    groups = [CallGroup(False, [make]), CallGroup(False, [first, second]), CallGroup(False, [use])]
    assert split_groups(groups) is groups
    by_image = [CallGroup(False, [make]), CallGroup(True, [first, second]), CallGroup(False, [use])]
    assert split_groups(by_image) is by_image
    assert split_groups([]) == []

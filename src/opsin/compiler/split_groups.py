"""The group in which memory holds most, parted in two where it then holds less.

Calls that wait for nothing share a group, to save barriers. Where some of them are the last to read something large and
others begin to write something large, as the two gradients of one convolution do with their transformed weights, both
are in memory at once for that. A barrier between them costs a few microseconds.
"""

from __future__ import annotations

from collections import Counter

from opsin.compiler.arena import lifetimes, room
from opsin.compiler.calls import KernelCall
from opsin.compiler.schedule import Group

GAIN = 0.02
"""Of the arena: what parting a group has to save."""


def split_groups(groups: list[Group]) -> list[Group]:
    """`groups` with those parted that need the most memory, as long as that lowers the most."""
    while True:
        live = in_use(groups)
        worst = max(range(len(groups)), key=live.__getitem__, default=0)
        parted = _parted(groups, worst)
        if not parted or max(in_use(parted)[worst : worst + 2]) > (1 - GAIN) * live[worst]:
            return groups
        groups = parted


def in_use(groups: list[Group]) -> list[int]:
    """Elements of temporary memory that each group needs."""
    steps = [0] * (len(groups) + 1)
    for buffer, (first, last) in lifetimes(groups, set()).items():
        steps[first] += room(buffer.size)
        steps[last + 1] -= room(buffer.size)
    live, now = [], 0
    for step in steps[:-1]:
        now += step
        live.append(now)
    return live


def _parted(groups: list[Group], place: int) -> list[Group] | None:
    """`groups` with one made two: the calls that free more than they leave, and the others."""
    if not groups or groups[place].by_image:
        return None
    calls = groups[place].calls
    later = {buffer for group in groups[place + 1 :] for call in group.calls for buffer in (*call.reads, *call.writes)}
    readers = Counter(buffer for call in calls for buffer in call.reads)

    def freed(call: KernelCall) -> int:
        ends = (b.size for b in call.reads if b.role == "temporary" and b not in later and readers[b] == 1)
        return sum(ends) - sum(b.size for b in call.writes if b in later)

    first = [call for call in calls if freed(call) > 0]
    rest = [call for call in calls if freed(call) <= 0]
    if not first or not rest:
        return None
    return [*groups[:place], Group(False, first), Group(False, rest), *groups[place + 1 :]]

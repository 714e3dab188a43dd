"""The group with the most memory in use split in two, if that lowers its memory.

Calls that wait for nothing share a group, to save barriers. Some of them may be the last to read something large while
others begin to write something large, as the two gradients of one convolution do with their transformed weights; then
both are in memory at once. A barrier between them costs a few microseconds.
"""

from __future__ import annotations

from collections import Counter

from opsin.compiler.arena import aligned_size, lifetimes
from opsin.compiler.calls import KernelCall
from opsin.compiler.schedule import CallGroup

MIN_SAVING = 0.02
"""Share of the memory in use that splitting a group has to save."""


def split_groups(groups: list[CallGroup]) -> list[CallGroup]:
    """Return `groups` with the largest ones split, as long as that lowers the maximum of the memory in use."""
    while True:
        live_sizes = live_elements(groups)
        peak_group = max(range(len(groups)), key=live_sizes.__getitem__, default=0)
        split = _split(groups, peak_group)
        if (
            not split
            or max(live_elements(split)[peak_group : peak_group + 2]) > (1 - MIN_SAVING) * live_sizes[peak_group]
        ):
            return groups
        groups = split


def live_elements(groups: list[CallGroup]) -> list[int]:
    """Return the elements of temporary memory that are in use during each group."""
    changes = [0] * (len(groups) + 1)
    for buffer, (first, last) in lifetimes(groups, set()).items():
        changes[first] += aligned_size(buffer.words)
        changes[last + 1] -= aligned_size(buffer.words)
    live_sizes, current = [], 0
    for change in changes[:-1]:
        current += change
        live_sizes.append(current)
    return live_sizes


def _split(groups: list[CallGroup], number: int) -> list[CallGroup] | None:
    """Return `groups` with one split into the calls that free more than they leave, and the others, if it has both."""
    if not groups or groups[number].by_sample:
        return None
    calls = groups[number].calls
    later_buffers = {
        buffer for group in groups[number + 1 :] for call in group.calls for buffer in (*call.reads, *call.writes)
    }
    readers = Counter(buffer for call in calls for buffer in call.reads)

    def freed(call: KernelCall) -> int:
        last_reads = (
            b.words for b in call.reads if b.role == "temporary" and b not in later_buffers and readers[b] == 1
        )
        return sum(last_reads) - sum(b.words for b in call.writes if b in later_buffers)

    first = [call for call in calls if freed(call) > 0]
    rest = [call for call in calls if freed(call) <= 0]
    if not first or not rest:
        return None
    return [*groups[:number], CallGroup(False, first), CallGroup(False, rest), *groups[number + 1 :]]

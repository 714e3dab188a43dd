"""The schedule: calls in groups between two barriers.

A `CallGroup` is a run of calls after which all threads wait for each other. In a group by sample every thread takes its
own samples through all the calls, a chunk at a time, so that each call finds what the one before wrote in the nearest
cache. In any other group the calls do not depend on each other, and each is divided by blocks. Groups depend on shapes
alone, never on the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.views import Buffer


@dataclass
class CallGroup:
    """Calls between two barriers; `by_sample` says how they are divided among threads."""

    by_sample: bool
    calls: list[KernelCall] = field(default_factory=list)


def schedule(calls: list[KernelCall], by_sample: bool) -> list[CallGroup]:
    """Return `calls` (in an order that is correct one by one) in groups, reordered if that saves barriers.

    With `by_sample` False every call is divided by blocks, which suits batches with fewer samples than threads.
    """
    queue = _ReadyQueue(calls)
    groups: list[CallGroup] = []
    while queue.ready:
        by_blocks = [i for i in sorted(queue.ready) if calls[i].partition is Partition.ANY or not by_sample]
        if by_blocks:
            groups.append(CallGroup(False, [calls[i] for i in by_blocks]))
            members = set(by_blocks)
            queue.ready = [i for i in queue.ready if i not in members]
            for i in by_blocks:
                queue.ready.extend(queue.finish(i))
        else:
            groups.append(CallGroup(True, _sample_by_sample(calls, queue)))
    return groups


class _ReadyQueue:
    """The calls that may run, by number: their dependencies have finished."""

    def __init__(self, calls: list[KernelCall]) -> None:
        self.before = dependencies(calls)
        self._missing = [len(before) for before in self.before]
        self._users = users(self.before)
        self.ready = [i for i, missing in enumerate(self._missing) if not missing]

    def finish(self, i: int) -> list[int]:
        """Mark call `i` as run; return the calls that waited only for it."""
        ready_calls = []
        for user in self._users[i]:
            self._missing[user] -= 1
            if not self._missing[user]:
                ready_calls.append(user)
        return ready_calls


def _sample_by_sample(calls: list[KernelCall], queue: _ReadyQueue) -> list[KernelCall]:
    """Return the calls of one group by sample: all that can follow those before them sample by sample, in order."""
    members: list[int] = []
    group_calls: set[int] = set()
    ready_calls = sorted(queue.ready)
    later_calls: list[int] = []
    while ready_calls:
        i = heappop(ready_calls)
        members.append(i)
        group_calls.add(i)
        for user in queue.finish(i):
            is_following = all(follows(calls[user], calls[b]) for b in queue.before[user] & group_calls)
            if calls[user].partition is not Partition.ANY and is_following:
                heappush(ready_calls, user)
            else:
                later_calls.append(user)
    queue.ready = later_calls
    return [calls[i] for i in members]


def follows(call: KernelCall, earlier_call: KernelCall) -> bool:
    """Whether `call` depends on `earlier_call` only through the samples' own parts of buffers."""
    pairs: list[tuple[dict[Buffer, bool], dict[Buffer, bool]]] = [
        (call.reads, earlier_call.writes), (call.writes, earlier_call.reads), (call.writes, earlier_call.writes),
    ]  # fmt: skip
    return all(
        later_accesses[buffer] and earlier_accesses[buffer]
        for later_accesses, earlier_accesses in pairs
        for buffer in later_accesses.keys() & earlier_accesses.keys()
    )


def dependencies(calls: Sequence[KernelCall]) -> list[set[int]]:
    """Return for each call the numbers of those it depends on: they write what it reads, or read what it writes."""
    writers: dict[Buffer, list[int]] = {}
    readers: dict[Buffer, list[int]] = {}
    dependencies: list[set[int]] = []
    for number, call in enumerate(calls):
        before: set[int] = set()
        for buffer in call.reads:
            if buffer in writers:
                before.update(writers[buffer])
        for buffer in call.writes:
            if buffer in writers:
                before.update(writers[buffer])
            if buffer in readers:
                before.update(readers[buffer])
        dependencies.append(before)
        for buffer in call.reads:
            readers.setdefault(buffer, []).append(number)
        for buffer in call.writes:
            writers.setdefault(buffer, []).append(number)
    return dependencies


def users(before: Sequence[set[int]]) -> list[list[int]]:
    """Return for each call the numbers of those that must come after it, in order; `before` are `dependencies`."""
    after: list[list[int]] = [[] for _ in before]
    for number, earlier_call in enumerate(before):
        for dependency in earlier_call:
            after[dependency].append(number)
    return after

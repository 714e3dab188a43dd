"""Which calls run between two meetings of the threads.

A `Group` is a run of calls after which all threads wait for each other. Inside a group of kind
`image` every thread takes its own images through all the calls, a chunk at a time, so that what
one call writes the next finds in the nearest cache; inside a `free` group the calls do not depend
on each other at all, and each is shared out by blocks. Groups depend on shapes alone, never on
the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from opsin.compiler.calls import FREE, KernelCall
from opsin.compiler.views import Buffer


@dataclass
class Group:
    """Calls between two barriers; `by_image` says how they are shared out."""

    by_image: bool
    calls: list[KernelCall] = field(default_factory=list)


def schedule(calls: list[KernelCall], by_image: bool) -> list[Group]:
    """`calls` (in an order that is correct one by one) in groups, reordered where that saves barriers.

    `by_image` set to False shares out every call by blocks: right for batches too small to go round.
    """
    queue = _Queue(calls)
    groups: list[Group] = []
    while queue.ready:
        free = [i for i in sorted(queue.ready) if calls[i].split == FREE or not by_image]
        if free:
            groups.append(Group(False, [calls[i] for i in free]))
            taken = set(free)
            queue.ready = [i for i in queue.ready if i not in taken]
            for i in free:
                queue.ready.extend(queue.finish(i))
        else:
            groups.append(Group(True, _image_by_image(calls, queue)))
    return groups


class _Queue:
    """Which calls may run: those whose dependencies have finished. Calls go by their numbers."""

    def __init__(self, calls: list[KernelCall]) -> None:
        self.before = dependencies(calls)
        self._missing = [len(before) for before in self.before]
        self._users = users(self.before)
        self.ready = [i for i, missing in enumerate(self._missing) if not missing]

    def finish(self, i: int) -> list[int]:
        """Marks call `i` as run; the calls that only waited for it."""
        found = []
        for user in self._users[i]:
            self._missing[user] -= 1
            if not self._missing[user]:
                found.append(user)
        return found


def _image_by_image(calls: list[KernelCall], queue: _Queue) -> list[KernelCall]:
    """The calls of one group by image: every one that can follow those before it image by image, in order."""
    members: list[int] = []
    inside: set[int] = set()
    open_ = sorted(queue.ready)
    later: list[int] = []
    while open_:
        i = heappop(open_)
        members.append(i)
        inside.add(i)
        for user in queue.finish(i):
            trails = all(follows(calls[user], calls[b]) for b in queue.before[user] & inside)
            if calls[user].split != FREE and trails:
                heappush(open_, user)
            else:
                later.append(user)
    queue.ready = later
    return [calls[i] for i in members]


def follows(call: KernelCall, earlier: KernelCall) -> bool:
    """Whether `call` depends on `earlier` only through the images' own parts of buffers."""
    shared: list[tuple[dict[Buffer, bool], dict[Buffer, bool]]] = [
        (call.reads, earlier.writes), (call.writes, earlier.reads), (call.writes, earlier.writes),
    ]  # fmt: skip
    return all(mine[buffer] and theirs[buffer] for mine, theirs in shared for buffer in mine.keys() & theirs.keys())


def dependencies(calls: Sequence[KernelCall]) -> list[set[int]]:
    """For each call, the numbers of those it must come after: they write what it reads, or read what it writes."""
    writers: dict[Buffer, list[int]] = {}
    readers: dict[Buffer, list[int]] = {}
    found = []
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
        found.append(before)
        for buffer in call.reads:
            readers.setdefault(buffer, []).append(number)
        for buffer in call.writes:
            writers.setdefault(buffer, []).append(number)
    return found


def users(before: Sequence[set[int]]) -> list[list[int]]:
    """For each call, the numbers of those that must come after it, in order; `before` are `dependencies`."""
    found: list[list[int]] = [[] for _ in before]
    for number, earlier in enumerate(before):
        for one in earlier:
            found[one].append(number)
    return found

"""Which calls run between two meetings of the threads.

A `Group` is a run of calls after which all threads wait for each other. Inside a group of kind
`image` every thread takes its own pictures through all the calls, a chunk at a time, so that what
one call writes the next finds in the nearest cache; inside a `free` group the calls do not depend
on each other at all, and each is shared out by blocks. Groups depend on shapes alone, never on
the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from opsin.compiler.calls import FREE, Call
from opsin.compiler.views import Buffer


@dataclass
class Group:
    """Calls between two barriers; `by_image` says how they are shared out."""

    by_image: bool
    calls: list[Call] = field(default_factory=list)


def schedule(calls: list[Call], by_image: bool) -> list[Group]:
    """`calls` (in an order that is correct one by one) in groups, reordered where that saves barriers.

    `by_image` set to False shares out every call by blocks: right for batches too small to go round.
    """
    before = _dependencies(calls)
    waiting = list(calls)
    done: set[Call] = set()
    groups: list[Group] = []
    while waiting:
        ready = [call for call in waiting if before[call] <= done]
        free = [call for call in ready if call.split == FREE or not by_image]
        group = Group(not free)
        if free:
            group.calls = free
        else:
            _fill(group, waiting, before, done)
        groups.append(group)
        done.update(group.calls)
        members = set(group.calls)
        waiting = [call for call in waiting if call not in members]
    return groups


def _fill(group: Group, waiting: list[Call], before: dict[Call, set[Call]], done: set[Call]) -> None:
    """Takes every call that can follow those of the group picture by picture, in order."""
    members: set[Call] = set()
    for call in waiting:
        if call.split == FREE or not before[call] <= done | members:
            continue
        if all(_follows(call, earlier) for earlier in before[call] & members):
            group.calls.append(call)
            members.add(call)


def _follows(call: Call, earlier: Call) -> bool:
    """Whether `call` depends on `earlier` only through the pictures' own parts of buffers."""
    shared: list[tuple[dict[Buffer, bool], dict[Buffer, bool]]] = [
        (call.reads, earlier.writes), (call.writes, earlier.reads), (call.writes, earlier.writes),
    ]  # fmt: skip
    return all(mine[buffer] and theirs[buffer] for mine, theirs in shared for buffer in mine.keys() & theirs.keys())


def _dependencies(calls: list[Call]) -> dict[Call, set[Call]]:
    """For each call, the earlier ones it must come after: they write what it reads, or read what it writes."""
    writers: dict[Buffer, list[Call]] = {}
    readers: dict[Buffer, list[Call]] = {}
    before: dict[Call, set[Call]] = {}
    for call in calls:
        needs: set[Call] = set()
        for buffer in call.reads:
            needs.update(writers.get(buffer, ()))
        for buffer in call.writes:
            needs.update(writers.get(buffer, ()))
            needs.update(readers.get(buffer, ()))
        needs.discard(call)
        before[call] = needs
        for buffer in call.reads:
            readers.setdefault(buffer, []).append(call)
        for buffer in call.writes:
            writers.setdefault(buffer, []).append(call)
    return before

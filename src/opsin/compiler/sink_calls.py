"""Calls moved to later groups, if less memory is in use then.

The schedule runs a call as soon as it can, which saves barriers. But weights repacked for the last layer need not be
in memory during the whole forward pass, nor tiles that only the backward pass reads. Here each call moves to the last
group that its first reader allows, if what it writes is more than what it keeps alive. The groups, and with them the
barriers, stay the same or become fewer.
"""

from __future__ import annotations

from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.schedule import CallGroup, dependencies, follows, users
from opsin.compiler.views import Buffer


def sink_calls(groups: list[CallGroup]) -> list[CallGroup]:
    """Return `groups` with calls moved later; groups that become empty are dropped."""
    calls = [call for group in groups for call in group.calls]
    position = {call: number for number, group in enumerate(groups) for call in group.calls}
    after = users(dependencies(calls))
    calls_by_buffer: dict[Buffer, set[KernelCall]] = {}
    for call in calls:
        for buffer in (*call.reads, *call.writes):
            if buffer.role == "temporary":
                calls_by_buffer.setdefault(buffer, set()).add(call)
    for call, numbers in zip(reversed(calls), reversed(after), strict=True):
        if numbers:
            target_group = _latest(call, [calls[number] for number in numbers], position, groups)
            if target_group > position[call] and _saving(call, target_group, position, calls_by_buffer) >= 0:
                position[call] = target_group
    result = [CallGroup(group.by_sample) for group in groups]
    for call in calls:
        result[position[call]].calls.append(call)
    return [group for group in result if group.calls]


def _latest(call: KernelCall, users: list[KernelCall], position: dict[KernelCall, int], groups: list[CallGroup]) -> int:
    """Return the last group in which `call` may run: with its first users if they follow by sample, or before them."""
    last_group = min(position[user] for user in users)
    first_users = [user for user in users if position[user] == last_group]
    by_blocks = call.partition is Partition.ANY
    if not (groups[last_group].by_sample and not by_blocks and all(follows(user, call) for user in first_users)):
        last_group -= 1
    while last_group > position[call] and groups[last_group].by_sample and by_blocks:
        last_group -= 1
    return last_group


def _saving(
    call: KernelCall, target_group: int, position: dict[KernelCall, int], calls_by_buffer: dict[Buffer, set[KernelCall]]
) -> int:
    """Return how much less memory is in use, in words × groups, when `call` runs in group `target_group`."""
    saving = 0
    for buffer in dict.fromkeys((*call.reads, *call.writes)):
        if buffer.role == "temporary":
            other_positions = [position[other] for other in calls_by_buffer[buffer] if other is not call]
            if not other_positions:
                continue
            first, last = min(other_positions), max(other_positions)
            before = max(last, position[call]) - min(first, position[call])
            after = max(last, target_group) - min(first, target_group)
            saving += buffer.words * (before - after)
    return saving

"""Calls moved to later groups, where memory then holds less.

The schedule runs a call as soon as it can, which saves barriers; but weights repacked for the last layer need not
wait in memory for the whole forward pass, nor tiles transformed in the forward pass for the backward one. Here each
call goes to the last group that its first reader allows, where what it writes is more than what it keeps alive.
The groups, and so the barriers, stay the same or become fewer.
"""

from __future__ import annotations

from opsin.compiler.calls import FREE, KernelCall
from opsin.compiler.schedule import Group, dependencies, follows, users
from opsin.compiler.views import Buffer


def sink_calls(groups: list[Group]) -> list[Group]:
    """`groups` with calls moved later; groups that end up empty are dropped."""
    calls = [call for group in groups for call in group.calls]
    place = {call: number for number, group in enumerate(groups) for call in group.calls}
    after = users(dependencies(calls))
    touching: dict[Buffer, set[KernelCall]] = {}
    for call in calls:
        for buffer in (*call.reads, *call.writes):
            if buffer.role == "temporary":
                touching.setdefault(buffer, set()).add(call)
    for call, numbers in zip(reversed(calls), reversed(after), strict=True):
        if numbers:
            goal = _latest(call, [calls[number] for number in numbers], place, groups)
            if goal > place[call] and _gain(call, place[call], goal, place, touching) >= 0:
                place[call] = goal
    moved = [Group(group.by_image) for group in groups]
    for call in calls:
        moved[place[call]].calls.append(call)
    return [group for group in moved if group.calls]


def _latest(call: KernelCall, users: list[KernelCall], place: dict[KernelCall, int], groups: list[Group]) -> int:
    """The last group in which `call` may run: with its first users, where they follow image by image, or before."""
    goal = min(place[user] for user in users)
    together = [user for user in users if place[user] == goal]
    if not (groups[goal].by_image and call.split != FREE and all(follows(user, call) for user in together)):
        goal -= 1
    while goal > place[call] and groups[goal].by_image and call.split == FREE:
        goal -= 1
    return goal


def _gain(
    call: KernelCall, now: int, goal: int, place: dict[KernelCall, int], touching: dict[Buffer, set[KernelCall]]
) -> int:
    """Elements times groups that memory holds less when `call` runs in group `goal` instead of `now`."""
    gain = 0
    for buffer in dict.fromkeys((*call.reads, *call.writes)):
        if buffer.role == "temporary":
            others = [place[other] for other in touching[buffer] if other is not call]
            if not others:
                continue
            first, last = min(others), max(others)
            before = max(last, now) - min(first, now)
            after = max(last, goal) - min(first, goal)
            gain += buffer.size * (before - after)
    return gain

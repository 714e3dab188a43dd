"""How images flow through a network: one after the other, side by side, or in a way that has no name.

The units between two that everything passes through fall into branches, and each branch is again a series: a
series-parallel decomposition (Valdes, Tarjan & Lawler 1982), which shortcuts, inception modules and gates all have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from opsin.viz.units import Unit


@dataclass(frozen=True, eq=False)
class Parallel:
    """What lies between `fork` and `join`: branches side by side. An empty one is a shortcut."""

    fork: Unit
    branches: tuple[Series, ...]
    join: Unit


@dataclass(frozen=True, eq=False)
class IrregularRegion:
    """Units before `join` that read each other in no such order."""

    units: tuple[Unit, ...]
    join: Unit


Item: TypeAlias = "Unit | Parallel | IrregularRegion"
Series: TypeAlias = "tuple[Item, ...]"


def series(units: Sequence[Unit]) -> Series:
    """The whole network as a series; `units` operands first, of which the first is the input, the last the output."""
    first, *inner = units
    if not inner:
        return (first,)
    last = inner.pop()
    if inner and first in last.sources:
        return (first, _meeting(first, inner, last, shortcut=True), last)
    return (first, *_between(first, inner, last), last)


def members(items: Sequence[Item]) -> Iterator[Unit]:
    """Every unit of a series."""
    for item in items:
        if isinstance(item, Unit):
            yield item
        elif isinstance(item, IrregularRegion):
            yield from item.units
        else:
            for branch in item.branches:
                yield from members(branch)


def _between(first: Unit, inner: Sequence[Unit], last: Unit) -> Series:
    """The series of the units `inner`, which read `first` and each other, and are read by `last`.

    Where `last` reads `first` as well, that shortcut is left out.
    """
    found: list[Item] = []
    fork, begin = first, 0
    for gate in (*_gates(first, inner, last), len(inner)):
        join = inner[gate] if gate < len(inner) else last
        if gate > begin:
            shortcut = fork in join.sources and not (fork is first and join is last)
            found.append(_meeting(fork, inner[begin:gate], join, shortcut))
        if gate < len(inner):
            found.append(join)
        fork, begin = join, gate + 1
    return tuple(found)


def _gates(first: Unit, inner: Sequence[Unit], last: Unit) -> Iterator[int]:
    """The places in `inner` of the units that everything between `first` and `last` passes through."""
    place = {first: -1} | {unit: number for number, unit in enumerate(inner)} | {last: len(inner)}
    reach = [-1] * (len(inner) + 1)  # for the unit before each, the last unit that reads it
    for unit, number in place.items():
        for source in unit.sources:
            if source in place and not (source is first and unit is last):
                reach[place[source] + 1] = max(reach[place[source] + 1], number)
    furthest = -1
    for number in range(len(inner)):
        furthest = max(furthest, reach[number])
        if furthest <= number:
            yield number


def _meeting(fork: Unit, inner: Sequence[Unit], join: Unit, shortcut: bool) -> Item:
    """The branches from `fork` to `join`, of units that not everything passes through."""
    parts = _connected(inner)
    if len(parts) == 1 and not shortcut:
        return IrregularRegion(tuple(inner), join)
    branches = tuple(_between(fork, part, join) for part in parts)
    return Parallel(fork, ((), *branches) if shortcut else branches, join)


def _connected(inner: Sequence[Unit]) -> list[list[Unit]]:
    """The parts of `inner` that do not read each other, by their first units, each in the order given."""
    part: dict[Unit, list[Unit]] = {}
    for unit in inner:
        merged = [unit]
        for other in {id(part[s]): part[s] for s in unit.sources if s in part}.values():
            merged = [*other, *merged]
        part |= dict.fromkeys(merged, merged)
    order = {unit: number for number, unit in enumerate(inner)}
    parts = {id(units): sorted(units, key=order.__getitem__) for units in part.values()}
    return sorted(parts.values(), key=lambda units: order[units[0]])

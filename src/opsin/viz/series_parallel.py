"""Series-parallel decomposition of a network (Valdes, Tarjan & Lawler 1982).

Every path from the input to the output passes through the cut points. The units between two cut points fall into
branches, and each branch is again a series. Shortcuts, inception modules and gates are all of this form; anything
else is an irregular region.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from opsin.viz.units import Unit


@dataclass(frozen=True, eq=False)
class Parallel:
    """Branches between `fork` and `join`. An empty branch is a shortcut."""

    fork: Unit
    branches: tuple[Series, ...]
    join: Unit


@dataclass(frozen=True, eq=False)
class IrregularRegion:
    """Units before `join` that are neither a series nor branches."""

    units: tuple[Unit, ...]
    join: Unit


Item: TypeAlias = "Unit | Parallel | IrregularRegion"
Series: TypeAlias = "tuple[Item, ...]"


def decompose(units: Sequence[Unit]) -> Series:
    """Decompose a network; `units` are in topological order, from the input to the output."""
    first, *inner = units
    if not inner:
        return (first,)
    last = inner.pop()
    if inner and first in last.sources:
        return (first, _parallel_section(first, inner, last, shortcut=True), last)
    return (first, *_between(first, inner, last), last)


def members(items: Sequence[Item]) -> Iterator[Unit]:
    """Yield every unit of a series."""
    for item in items:
        if isinstance(item, Unit):
            yield item
        elif isinstance(item, IrregularRegion):
            yield from item.units
        else:
            for branch in item.branches:
                yield from members(branch)


def _between(first: Unit, inner: Sequence[Unit], last: Unit) -> Series:
    """Decompose the units `inner`, which read `first` and each other, and are read by `last`.

    A shortcut from `first` to `last` is left out.
    """
    items: list[Item] = []
    fork, begin = first, 0
    for cut_point in (*_cut_points(first, inner, last), len(inner)):
        join = inner[cut_point] if cut_point < len(inner) else last
        if cut_point > begin:
            shortcut = fork in join.sources and not (fork is first and join is last)
            items.append(_parallel_section(fork, inner[begin:cut_point], join, shortcut))
        if cut_point < len(inner):
            items.append(join)
        fork, begin = join, cut_point + 1
    return tuple(items)


def _cut_points(first: Unit, inner: Sequence[Unit], last: Unit) -> Iterator[int]:
    """Yield the positions in `inner` of the units on every path from `first` to `last`."""
    position = {first: -1} | {unit: number for number, unit in enumerate(inner)} | {last: len(inner)}
    last_reader = [-1] * (len(inner) + 1)  # for the unit before each position, the last unit that reads it
    for unit, number in position.items():
        for source in unit.sources:
            if source in position and not (source is first and unit is last):
                last_reader[position[source] + 1] = max(last_reader[position[source] + 1], number)
    furthest = -1
    for number in range(len(inner)):
        furthest = max(furthest, last_reader[number])
        if furthest <= number:
            yield number


def _parallel_section(fork: Unit, inner: Sequence[Unit], join: Unit, shortcut: bool) -> Item:
    """Return the branches from `fork` to `join`, or an irregular region if `inner` has no branches."""
    components = _connected(inner)
    if len(components) == 1 and not shortcut:
        return IrregularRegion(tuple(inner), join)
    branches = tuple(_between(fork, component, join) for component in components)
    return Parallel(fork, ((), *branches) if shortcut else branches, join)


def _connected(inner: Sequence[Unit]) -> list[list[Unit]]:
    """Return the connected components of `inner`, ordered by their first units."""
    component: dict[Unit, list[Unit]] = {}
    for unit in inner:
        path = [unit]
        for other in {id(component[s]): component[s] for s in unit.sources if s in component}.values():
            path = [*other, *path]
        component |= dict.fromkeys(path, path)
    order = {unit: number for number, unit in enumerate(inner)}
    components = {id(units): sorted(units, key=order.__getitem__) for units in component.values()}
    return sorted(components.values(), key=lambda units: order[units[0]])

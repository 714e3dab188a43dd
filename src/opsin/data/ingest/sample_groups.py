"""Which samples come from one source, such as clips of one film: a split may not divide them.

A network that has seen other clips of a film in training knows its scene, and a test with more of them measures that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import UsageError
from opsin.data.items import Item

OPTION = "groups"
"""The name of the option with a regular expression."""

NUMBERED = re.compile(r"(.+_g\d+)_c\d+\.\w+")
"""Names of clips as in UCF-101 (Soomro, Zamir & Shah 2012): v_Archery_g08_c01.avi is the first clip of film 8."""


def sample_groups(
    items: Sequence[Item], options: Mapping[str, Any], required: bool = True
) -> tuple[list[str], dict[str, Any]]:
    """Return the group of each item, "" for none, and the other options.

    The option "groups" is a regular expression, whose first group in a name is that of the sample. Without it, groups
    are those of a table, or those of numbered names. Raise `UsageError` if it is none, or if it is `required` and no
    name matches.
    """
    others = {name: value for name, value in options.items() if name != OPTION}
    if OPTION in options:
        return _by_expression(items, str(options[OPTION]), required), others
    listed = [item.group for item in items]
    matches = [NUMBERED.search(item.name) for item in items]
    if any(listed) or not all(matches):
        return listed, others
    return [match[1] for match in matches if match], others


def _by_expression(items: Sequence[Item], text: str, required: bool) -> list[str]:
    try:
        expression = re.compile(text)
    except re.error as error:
        raise UsageError(f"the option groups is no regular expression: {error}") from None
    if not expression.groups:
        raise UsageError(f"the option groups needs parentheses around the name of the group, as in (.*)_, not {text}")
    matches = [expression.search(item.name) for item in items]
    if items and required and not any(matches):
        raise UsageError(f"the option groups, {text}, matches no name, such as {items[0].name}")
    return [(match[1] or "") if match else "" for match in matches]


def sources_note(names: Sequence[str], many: str) -> str:
    """Return the end of a sentence about splits, if samples have the names of groups; else ""."""
    count = len({*names} - {""})
    return f"; {many} of one source stay together ({count:,} sources)" if count else ""


def joined(numbers: NDArray[np.intp], names: Sequence[str] = ()) -> NDArray[np.intp]:
    """Return groups, a number for each of N samples, that join those of `numbers` and those of the same name.

    Samples with the name "", or without names, are joined by their numbers alone. A group has the number of its first
    sample.
    """
    names = names or [""] * len(numbers)
    parents = list(range(len(names)))

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    first: dict[Any, int] = {}
    for place, (number, name) in enumerate(zip(numbers.tolist(), names, strict=True)):
        for key in ((number,), name) if name else ((number,),):
            one, other = root(first.setdefault(key, place)), root(place)
            parents[max(one, other)] = min(one, other)
    return np.array([root(place) for place in range(len(names))], np.intp)

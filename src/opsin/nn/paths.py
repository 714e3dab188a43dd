"""Paths of layers, such as `layer1.0.conv1`, and their nesting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from opsin.base.errors import UsageError
from opsin.ir.arguments import texts

DIGITS = "0123456789"


def lineage(path: str) -> list[str]:
    """Return the paths of the enclosing layers, outermost first, and the path itself; nothing for the network."""
    names = path.split(".")
    return [".".join(names[: count + 1]) for count in range(len(names))] if path else []


def inside(paths: Iterable[str], layers: Sequence[str]) -> set[str]:
    """Return those of `paths` that are among `layers` or inside them.

    Raise `UsageError` if a layer is not one of `paths`.
    """
    candidates = list(paths)
    for layer in texts("the layers' paths", layers):
        if layer not in candidates:
            hint = "".join(f"; did you mean '{name}'?" for name in get_close_matches(layer, candidates, 1))
            raise UsageError(f"the network has no layer '{layer}'{hint}")
    selection = set(layers)
    return {path for path in candidates if not selection.isdisjoint(lineage(path))}


def parent(path: str) -> str:
    """Return the path of the enclosing layer."""
    return path.rpartition(".")[0]


def last_name(path: str) -> str:
    """Return the name of a layer in the enclosing one."""
    return path.rpartition(".")[2]


def common(paths: Iterable[str]) -> str:
    """Return the innermost layer that contains all `paths`, or is one of them."""
    names: Iterator[list[str]] = (path.split(".") for path in paths)
    prefix = next(names, [])
    for other in names:
        prefix = prefix[: _common_length(prefix, other)]
    return ".".join(prefix)


def span(paths: Sequence[str]) -> str:
    """Return one name for consecutively numbered paths: `layer3.1–35` for layer3.1, layer3.2, …, layer3.35."""
    first, last = paths[0], paths[-1]
    if first == last:
        return first
    begin = first[: _common_length(first, last)].rstrip(DIGITS)
    ends = [name[len(begin) :] for name in (first, last)]
    suffix_length = _common_length(ends[0][::-1], ends[1][::-1])
    end = ends[0][len(ends[0]) - suffix_length :].lstrip(DIGITS)
    return begin + "–".join(name[: len(name) - len(end)] for name in ends) + end


def _common_length(a: Sequence[Any], b: Sequence[Any]) -> int:
    """Return the length of the common prefix."""
    return next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))

"""The networks of the zoo by name."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from opsin.errors import UsageError
from opsin.nn import Layer

Constructor = Callable[[int], Layer]
"""From the number of classes to a network."""

_constructors: dict[str, Constructor] = {}


def register(constructor: Constructor) -> Constructor:
    """Makes a network known under its constructor's name."""
    _constructors[constructor.__name__] = constructor
    return constructor


def names() -> list[str]:
    """The names of all networks, sorted."""
    return sorted(_constructors)


def create(name: str, classes: int = 10) -> Layer:
    """The network called `name`, untrained. Raises `UsageError`, with names that come close, where it is unknown."""
    if name not in _constructors:
        close = get_close_matches(name.lower(), names(), n=3, cutoff=0.5)
        advice = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(names())}"
        raise UsageError(f"there is no network called '{name}'; {advice}")
    if classes < 2:
        raise UsageError(f"a network tells at least two classes apart, not {classes}")
    return _constructors[name](classes)

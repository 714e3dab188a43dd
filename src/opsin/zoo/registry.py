"""The networks of the zoo by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from opsin.base.errors import UsageError
from opsin.ir.arguments import MAX_SIZE, flag, text, whole
from opsin.nn import ImageShape, Layer
from opsin.zoo.weights import find_weights

Constructor = Callable[[int], Layer]
"""From the number of classes to a network."""

_entries: dict[str, Entry] = {}


@dataclass(frozen=True)
class Entry:
    """A network of the zoo. Calling it creates a new one."""

    name: str
    constructor: Constructor
    input_shape: ImageShape
    """The images that the network was designed for; many networks take other sizes, too."""
    classes: int
    """The number of classes that it was designed for."""

    def __call__(self, classes: int | None = None, *, pretrained: bool = False) -> Layer:
        """Create the network for `classes` classes; with `pretrained`, it starts from published weights.

        Raise `UsageError` if there are fewer than two classes, or no such weights.
        """
        count = self.classes if classes is None else whole("the number of classes", classes, maximum=MAX_SIZE)
        if count < 2:
            raise UsageError(f"a network needs at least two classes, not {count}")
        network = self.constructor(count)
        if flag("pretrained", pretrained):
            find_weights(self.name)
            network.pretrained = self.name
        return network


def register(
    name: str, constructor: Constructor, input_shape: ImageShape = (3, 224, 224), classes: int = 1000
) -> Entry:
    """Register a network. The defaults are those of the ImageNet challenge (Russakovsky et al. 2015)."""
    entry = _entries[name] = Entry(name, constructor, input_shape, classes)
    return entry


def names() -> list[str]:
    """Return the names of all networks, sorted."""
    return sorted(_entries)


def find(name: str) -> Entry:
    """Return the network called `name`. Raise `UsageError`, with similar names, if it is unknown."""
    if text("the name of a network", name) not in _entries:
        close = get_close_matches(name.lower(), names(), n=3, cutoff=0.5)
        advice = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(names())}"
        raise UsageError(f"there is no network called '{name}'; {advice}")
    return _entries[name]


def create(name: str, classes: int | None = None) -> Layer:
    """Create the network called `name`, by default for the number of classes that it was designed for."""
    return find(name)(classes)

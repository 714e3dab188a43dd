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
    """A network of the zoo: calling it makes a new one."""

    name: str
    constructor: Constructor
    input_shape: ImageShape
    """The images that the network was made for; many take others, too."""
    classes: int
    """How many classes it was made to tell apart."""

    def __call__(self, classes: int | None = None, *, pretrained: bool = False) -> Layer:
        """The network for so many classes; `pretrained` networks begin with weights that others published.

        Raises `UsageError` where the number of classes is no choice, or there are no such weights.
        """
        count = self.classes if classes is None else whole("the number of classes", classes, maximum=MAX_SIZE)
        if count < 2:
            raise UsageError(f"a network tells at least two classes apart, not {count}")
        network = self.constructor(count)
        if flag("pretrained", pretrained):
            find_weights(self.name)
            network.pretrained = self.name
        return network


def register(
    name: str, constructor: Constructor, input_shape: ImageShape = (3, 224, 224), classes: int = 1000
) -> Entry:
    """Makes a network known; the defaults are those of ImageNet's challenge (Russakovsky et al. 2015)."""
    entry = _entries[name] = Entry(name, constructor, input_shape, classes)
    return entry


def names() -> list[str]:
    """The names of all networks, sorted."""
    return sorted(_entries)


def find(name: str) -> Entry:
    """The network called `name`. Raises `UsageError`, with names that come close, where it is unknown."""
    if text("the name of a network", name) not in _entries:
        close = get_close_matches(name.lower(), names(), n=3, cutoff=0.5)
        advice = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(names())}"
        raise UsageError(f"there is no network called '{name}'; {advice}")
    return _entries[name]


def create(name: str, classes: int | None = None) -> Layer:
    """A new network called `name`, for as many classes as it was made for unless `classes` says otherwise."""
    return find(name)(classes)

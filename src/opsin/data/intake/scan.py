"""From a source's list to pixels and facts: what is remembered, a look at the rest's headers, and the reading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.data.intake import facts as memory
from opsin.data.intake.decoding import Decoding, short_digest
from opsin.data.intake.facts import UNKNOWN, Facts
from opsin.data.intake.reading import Reading, note_digest, note_header, set_aside
from opsin.data.items import Source
from opsin.data.parallel import Progress, each
from opsin.data.pictures import read_header
from opsin.data.pixels import Pixels
from opsin.data.store import Shelf, touch

MAX_SIDE = 64
"""Where no size is asked for, larger pictures and pictures of different sizes become squares of this side at most."""


@dataclass(frozen=True)
class Scan:
    """What a scan found: `pixels` of the items numbered `good`, in their order."""

    facts: Facts
    good: NDArray[np.intp]
    pixels: Pixels
    cached: int
    """How many pictures were not read, as everything about them was known."""


def scan(
    source: Source, key: str, decoding: Decoding | None, collapse: bool, cache_size: int, on_progress: Progress | None
) -> Scan:
    """Reads what is not known yet, once.

    `key` names the source in the cache. Without a `decoding` the pictures decide; their headers are then read first.
    With `collapse`, pictures that are all colourless have one channel.
    """
    name = short_digest(key)
    path = memory.place(name)
    stamps = [source.stamp(index) for index in range(len(source.items))] if cache_size else []
    facts = memory.recall(path, source, stamps) if cache_size else Facts.unknown(len(source.items))
    if decoding is None:
        _survey(source, facts, on_progress)
        decoding = Decoding(common_shape(facts))
    shelf = Shelf(decoding.key, name) if cache_size else None
    reading = Reading(source, facts, decoding, shelf, collapse)
    pending = reading.pending()
    cached = len(facts.good) - len(pending)
    pixels = reading.run(pending, cache_size, on_progress)
    if cache_size and len(pending) and reading.worth_keeping():
        memory.remember(path, facts, source, stamps)
    elif cache_size:
        touch(path)
    return Scan(facts, facts.good, pixels, cached)


def _survey(source: Source, facts: Facts, on_progress: Progress | None) -> None:
    """The header of every file that is not known."""

    def take(index: int) -> None:
        name = source.items[index].name
        with set_aside(facts, index, name):
            data = source.read(index)
            note_digest(facts, index, data)
            note_header(facts, index, read_header(data, name))

    each(take, np.flatnonzero(facts.state == UNKNOWN).tolist(), on_progress)


def common_shape(facts: Facts) -> tuple[int, int, int]:
    """Channels, height and width that suit all pictures."""
    good = facts.good
    if not len(good):
        return 1, 1, 1  # the shape of no picture
    channels = 1 if facts.grey[good].all() else 3
    sizes = facts.sizes[good]
    if (sizes == sizes[0]).all() and sizes[0].max() <= MAX_SIDE:
        return channels, int(sizes[0, 0]), int(sizes[0, 1])
    side = min(MAX_SIDE, int(np.median(sizes.min(axis=1))))
    return channels, side, side

"""From a source's list to pixels and facts: what is remembered, a look at the rest's headers, and the reading."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from opsin.data.decode import Range, may_be_deep, read_header, read_values
from opsin.data.ingest import file_index as memory
from opsin.data.ingest.decode import DecodePass, note_digest, note_header, set_aside
from opsin.data.ingest.decoding import Decoding, short_digest
from opsin.data.ingest.file_index import UNKNOWN, FileIndex
from opsin.data.items import Source
from opsin.data.parallel import Progress, each
from opsin.data.pixels import Pixels
from opsin.data.store import Shelf, touch

MAX_SIDE = 64
"""Where no size is asked for, larger images and images of different sizes become squares of this side at most."""


@dataclass(frozen=True)
class Scan:
    """What a scan found: `pixels` of the items numbered `good`, in their order."""

    facts: FileIndex
    good: NDArray[np.intp]
    pixels: Pixels
    cached: int
    """How many images were not read, as everything about them was known."""
    pixel_range: Range | None = None
    """What became black and white in images of more than eight bits; None where there are none."""


def scan(
    source: Source,
    key: str,
    decoding: Decoding | None,
    collapse: bool,
    cache_size: int,
    on_progress: Progress | None,
    pixel_range: Range | None = None,
) -> Scan:
    """Reads what is not known yet, once.

    `key` names the source in the cache. Without a `decoding` the images decide; their headers are then read first.
    With `collapse`, images that are all colourless have one channel. `pixel_range` is that of images of more than
    eight bits; without it, all of them decide together.
    """
    name = short_digest(key if pixel_range is None else f"{key}\0{pixel_range}")
    path = memory.place(name)
    stamps = [source.stamp(index) for index in range(len(source.items))] if cache_size else []
    facts = memory.recall(path, source, stamps) if cache_size else FileIndex.unknown(len(source.items))
    if decoding is None:
        _survey(source, facts, on_progress)
        decoding = Decoding(common_shape(facts))
    decoding = replace(decoding, pixel_range=pixel_range)
    shelf = Shelf(decoding.key, name) if cache_size else None
    reading = DecodePass(source, facts, decoding, shelf, collapse)
    pending = reading.pending()
    cached = len(facts.good) - len(pending)
    pixels = reading.run(pending, cache_size, on_progress)
    if cache_size and len(pending) and reading.worth_keeping():
        memory.remember(path, facts, source, stamps)
    elif cache_size:
        touch(path)
    return Scan(facts, facts.good, pixels, cached, reading.decoding.pixel_range if len(facts.deep) else None)


def _survey(source: Source, facts: FileIndex, on_progress: Progress | None) -> None:
    """The header of every file that is not known."""

    def take(index: int) -> None:
        name = source.items[index].name
        with set_aside(facts, index, name):
            data = source.read(index)
            note_digest(facts, index, data)
            deep = may_be_deep(data)
            header, values = read_values(data, name) if deep else (read_header(data, name), None)
            note_header(facts, index, header, values)

    each(take, np.flatnonzero(facts.state == UNKNOWN).tolist(), on_progress)


def common_shape(facts: FileIndex) -> tuple[int, int, int]:
    """Channels, height and width that suit all images."""
    good = facts.good
    if not len(good):
        return 1, 1, 1  # the shape of no image
    channels = 1 if facts.grey[good].all() else 3
    sizes = facts.sizes[good]
    if (sizes == sizes[0]).all() and sizes[0].max() <= MAX_SIDE:
        return channels, int(sizes[0, 0]), int(sizes[0, 1])
    side = min(MAX_SIDE, int(np.median(sizes.min(axis=1))))
    return channels, side, side

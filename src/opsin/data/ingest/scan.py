"""From a source's list to pixels and facts: what is remembered, a look at the rest's headers, and the reading."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from opsin.data.decode import PixelRange, may_have_high_depth, read_header, read_value_range
from opsin.data.ingest import file_index as index_files
from opsin.data.ingest.decode import DecodePass, record_digest, record_header, record_problems
from opsin.data.ingest.decode_settings import DecodeSettings, short_digest
from opsin.data.ingest.file_index import UNKNOWN, FileIndex
from opsin.data.items import Source
from opsin.data.parallel import Progress, for_each
from opsin.data.pixels import Pixels
from opsin.data.store import DecodedCache, touch

MAX_SIDE = 64
"""Where no size is asked for, larger images and images of different sizes become squares of this side at most."""


@dataclass(frozen=True)
class Scan:
    """What a scan found: `pixels` of the items numbered `usable`, in their order."""

    file_index: FileIndex
    usable: NDArray[np.intp]
    pixels: Pixels
    cached: int
    """How many images were not read, as everything about them was known."""
    pixel_range: PixelRange | None = None
    """What became black and white in images of more than eight bits; None where there are none."""


def scan(
    source: Source,
    key: str,
    settings: DecodeSettings | None,
    collapse: bool,
    cache_size: int,
    on_progress: Progress | None,
    pixel_range: PixelRange | None = None,
) -> Scan:
    """Reads what is not known yet, once.

    `key` names the source in the cache. Without a `settings` the images decide; their headers are then read first.
    With `collapse`, images that are all colourless have one channel. `pixel_range` is that of images of more than
    eight bits; without it, all of them decide together.
    """
    name = short_digest(key if pixel_range is None else f"{key}\0{pixel_range}")
    path = index_files.index_path(name)
    stamps = [source.stamp(index) for index in range(len(source.items))] if cache_size else []
    file_index = index_files.load_index(path, source, stamps) if cache_size else FileIndex.unknown(len(source.items))
    if settings is None:
        _read_headers(source, file_index, on_progress)
        settings = DecodeSettings(common_shape(file_index))
    settings = replace(settings, pixel_range=pixel_range)
    cache = DecodedCache(settings.key, name) if cache_size else None
    reading = DecodePass(source, file_index, settings, cache, collapse)
    pending = reading.pending()
    cached = len(file_index.usable) - len(pending)
    pixels = reading.run(pending, cache_size, on_progress)
    if cache_size and len(pending) and reading.worth_caching():
        index_files.save_index(path, file_index, source, stamps)
    elif cache_size:
        touch(path)
    return Scan(
        file_index,
        file_index.usable,
        pixels,
        cached,
        reading.settings.pixel_range if len(file_index.high_depth) else None,
    )


def _read_headers(source: Source, file_index: FileIndex, on_progress: Progress | None) -> None:
    """The header of every file that is not known."""

    def take(index: int) -> None:
        name = source.items[index].name
        with record_problems(file_index, index, name):
            data = source.read(index)
            record_digest(file_index, index, data)
            deep = may_have_high_depth(data)
            header, values = read_value_range(data, name) if deep else (read_header(data, name), None)
            record_header(file_index, index, header, values)

    for_each(take, np.flatnonzero(file_index.state == UNKNOWN).tolist(), on_progress)


def common_shape(file_index: FileIndex) -> tuple[int, int, int]:
    """Channels, height and width that suit all images."""
    usable = file_index.usable
    if not len(usable):
        return 1, 1, 1  # the shape of no image
    channels = 1 if file_index.grey_header[usable].all() else 3
    sizes = file_index.sizes[usable]
    if (sizes == sizes[0]).all() and sizes[0].max() <= MAX_SIDE:
        return channels, int(sizes[0, 0]), int(sizes[0, 1])
    side = min(MAX_SIDE, int(np.median(sizes.min(axis=1))))
    return channels, side, side

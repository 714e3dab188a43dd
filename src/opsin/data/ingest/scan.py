"""Read the images of a source: load the file index, read missing headers, then decode what is not cached."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from opsin.data.decode import Framing, PixelRange, may_have_high_depth, read_header, read_value_range
from opsin.data.ingest.decode import DecodePass, record_digest, record_header, record_problems
from opsin.data.ingest.decode_settings import DecodeSettings, short_digest
from opsin.data.ingest.file_index import UNKNOWN, FileIndex, index_path, load_index, save_index
from opsin.data.items import Source
from opsin.data.parallel import Progress, for_each
from opsin.data.pixels import Pixels
from opsin.data.store import DecodedCache, touch

MAX_DEFAULT_SIDE = 64
"""Default size limit: larger images and images of different sizes become squares of at most this side."""

MAX_ANNOTATED_SIDE = 320
"""The same for annotated images, in which places matter."""


@dataclass(frozen=True)
class Scan:
    """The result of a scan: `pixels` are those of the `usable` items, in this order."""

    file_index: FileIndex
    usable: NDArray[np.intp]
    pixels: Pixels
    cached: int
    """The number of images that were not read, because everything about them was cached."""
    pixel_range: PixelRange | None = None
    """The values that became black and white in images with more than eight bits; None if there are none."""


def scan(
    source: Source,
    key: str,
    settings: DecodeSettings | Framing | None,
    collapse: bool,
    cache_size: int,
    on_progress: Progress | None,
    pixel_range: PixelRange | None = None,
) -> Scan:
    """Read every image once, unless it is cached.

    `key` identifies the source in the cache. Without `settings`, or with a way of framing alone, the headers of all
    images are read first, to find a common shape. With `collapse`, images get one channel if all of them are grey.
    `pixel_range` applies to images with more than eight bits; by default it is inferred from all of them.
    """
    name = short_digest(key if pixel_range is None else f"{key}\0{pixel_range}")
    path = index_path(name)
    stamps = [source.stamp(index) for index in range(len(source.items))] if cache_size else []
    file_index = load_index(path, source, stamps) if cache_size else FileIndex.unknown(len(source.items))
    if not isinstance(settings, DecodeSettings):
        _read_headers(source, file_index, on_progress)
        shape = common_shape(file_index) if settings is None else common_shape(file_index, MAX_ANNOTATED_SIDE, 32)
        settings = DecodeSettings(shape, settings)
    settings = replace(settings, pixel_range=pixel_range)
    cache = DecodedCache(settings.key, name) if cache_size else None
    decode_pass = DecodePass(source, file_index, settings, cache, collapse)
    pending = decode_pass.pending()
    cached = len(file_index.usable) - len(pending)
    pixels = decode_pass.run(pending, cache_size, on_progress)
    if cache_size and len(pending) and decode_pass.worth_caching():
        save_index(path, file_index, source, stamps)
    elif cache_size:
        touch(path)
    return Scan(
        file_index,
        file_index.usable,
        pixels,
        cached,
        decode_pass.settings.pixel_range if len(file_index.high_depth) else None,
    )


def _read_headers(source: Source, file_index: FileIndex, on_progress: Progress | None) -> None:
    """Read the headers of the files that are not in the index."""

    def read(index: int) -> None:
        name = source.items[index].name
        with record_problems(file_index, index, name):
            data = source.read(index)
            record_digest(file_index, index, data)
            high_depth = may_have_high_depth(data)
            header, values = read_value_range(data, name) if high_depth else (read_header(data, name), None)
            record_header(file_index, index, header, values)

    for_each(read, np.flatnonzero(file_index.state == UNKNOWN).tolist(), on_progress)


def common_shape(file_index: FileIndex, limit: int = MAX_DEFAULT_SIDE, multiple: int = 1) -> tuple[int, int, int]:
    """Return channels, height and width that suit all images: at most `limit`, if possible a multiple of `multiple`."""
    usable = file_index.usable
    if not len(usable):
        return 1, 1, 1  # there is no image
    channels = 1 if file_index.grey_header[usable].all() else 3
    sizes = file_index.sizes[usable]
    if (sizes == sizes[0]).all() and sizes[0].max() <= limit and multiple == 1:
        return channels, int(sizes[0, 0]), int(sizes[0, 1])
    side = min(limit, int(np.median(sizes.min(axis=1))))
    side = side // multiple * multiple or side
    return channels, side, side

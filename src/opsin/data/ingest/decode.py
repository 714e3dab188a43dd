"""Every image's pixels, from the cache or decoded, kept in memory or on disk; what cannot be read is set aside."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import prod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.data.decode import ImageHeader, PixelRange, may_have_high_depth, read_header, read_value_range
from opsin.data.ingest.decode_settings import DecodeSettings, OnDemandImages
from opsin.data.ingest.file_index import DECODED, FAILED, HEADER_READ, UNKNOWN, FileIndex
from opsin.data.ingest.thumbnail_hash import thumbnail_hash
from opsin.data.items import DAMAGED, UNREADABLE, FileProblem, ItemError, Source
from opsin.data.parallel import Progress, for_each
from opsin.data.pixels import Pixels
from opsin.data.store import DIGEST_BYTES, DecodedCache, StoredImages, StoreFile, StoreWriter, free_space, touch

MIN_CACHED_BYTES = 2**20
"""Bytes of pixels below which reading them anew takes no time worth speaking of."""

MAX_MEMORY_BYTES = 2**28
"""Bytes of pixels up to which they are simply kept in memory."""


class DecodePass:
    """One pass over the items; with `collapse`, images that are all colourless end up with one channel.

    Without a `cache` nothing is kept on disk.
    """

    def __init__(
        self,
        source: Source,
        file_index: FileIndex,
        settings: DecodeSettings,
        cache: DecodedCache | None,
        collapse: bool,
    ) -> None:
        self.source, self.file_index, self.settings, self.cache, self.collapse = (
            source,
            file_index,
            settings,
            cache,
            collapse,
        )
        self.sink: Sink | None = None
        self._deferred: list[int] = []
        self._update_settings()

    def _update_settings(self) -> None:
        """Fixes the range of deep images, once those of all are known, and looks for what is on the shelf."""
        file_index = self.file_index
        if self.settings.pixel_range is None and not (file_index.state == UNKNOWN).any():
            self.settings = replace(self.settings, pixel_range=file_index.pixel_range())
        rows = file_index.digests
        if len(file_index.high_depth) and self.settings.pixel_range:
            rows = rows.copy()
            for index in file_index.high_depth.tolist():
                rows[index] = self.settings.store_key(rows[index])
        self.rows = rows
        self.cache_rows = self.cache.find(rows) if self.cache else np.full(len(file_index), -1, np.intp)

    def _process_all(self, indices: NDArray[np.intp], on_progress: Progress | None) -> None:
        """Takes the items; deep ones last, where their range follows from all of them."""
        for_each(self._process, indices.tolist(), on_progress)
        if self._deferred:
            self._update_settings()
            waiting, self._deferred = sorted(self._deferred), []
            for_each(self._process, waiting, on_progress)

    def pending(self) -> NDArray[np.intp]:
        """The items about which something is still to be learnt."""
        file_index = self.file_index
        done = (file_index.state == DECODED) & (self.cache_rows >= 0)
        if self.settings.shape[0] == 3:
            done &= file_index.grey_pixels >= 0
        return np.flatnonzero((file_index.state != FAILED) & ~done)

    def worth_caching(self) -> bool:
        """Whether there is enough for the next run to gain something."""
        return len(self.file_index.usable) * self.settings.stride >= MIN_CACHED_BYTES

    def run(self, pending: NDArray[np.intp], cache_size: int, on_progress: Progress | None = None) -> Pixels:
        """The pixels of all good items; `pending` are those that have to be read."""
        file_index = self.file_index
        small = len(file_index.usable) * self.settings.stride <= MAX_MEMORY_BYTES
        if self.cache and not len(pending):
            stored = self.cache.view(self.cache_rows[file_index.usable], self._shape())
            if stored:
                touch(self.cache.path)
                return stored
        if small:
            return self._in_memory(cache_size, on_progress)
        with self._cache_writer(cache_size) as writer:
            self._process_all(file_index.usable if writer else pending, on_progress)
            file = self._finish(writer)
        if file:
            return StoredImages(file, file_index.usable, self._shape())
        return OnDemandImages(self.source, file_index.usable, self.settings, self._shape()[0])

    def _shape(self) -> tuple[int, int, int]:
        """Channels, height and width of all images, once they are known."""
        channels, height, width = self.settings.shape
        good = self.file_index.usable
        grey = self.collapse and len(good) > 0 and bool((self.file_index.grey_pixels[good] == 1).all())
        return 1 if grey else channels, height, width

    def _in_memory(self, cache_size: int, on_progress: Progress | None) -> NDArray[np.uint8]:
        """An array, of which a copy goes to the shelf."""
        self.sink = memory = ArraySink(np.empty((len(self.file_index), *self.settings.shape), np.uint8))
        self._process_all(self.file_index.usable, on_progress)
        good = self.file_index.usable
        with self._cache_writer(cache_size) as writer:
            for index in good.tolist() if writer else ():
                self._store(index, memory.pixels[index])
            self._finish(writer)
        channels = self._shape()[0]
        return np.ascontiguousarray(
            (memory.pixels if len(good) == len(self.file_index) else memory.pixels[good])[:, :channels]
        )

    # -- one image ----------------------------------------------------------------------------

    def _process(self, index: int) -> None:
        """Learns what is to be known of an item, and keeps its pixels."""
        file_index, name = self.file_index, self.source.items[index].name
        with record_problems(file_index, index, name):
            pixels = self._load(index, name)
            if pixels is None:
                self._deferred.append(index)
                return
            if file_index.state[index] != DECODED or file_index.grey_pixels[index] < 0 or file_index.depths[index]:
                file_index.thumbnail_hashes[index], colourless = thumbnail_hash(pixels)
                file_index.grey_pixels[index] = colourless if len(pixels) == 3 else -1
                file_index.state[index] = DECODED
            self._store(index, pixels)

    def _load(self, index: int, name: str) -> NDArray[np.uint8] | None:
        """The item's pixels, from the shelf or decoded; digest and header are noted on the way.

        None for a deep image whose range is not known yet; its values then are.
        """
        file_index, settled = self.file_index, self.settings.pixel_range is not None
        if file_index.depths[index] and not settled:
            return None
        kept = self._cached_pixels(int(self.cache_rows[index])) if file_index.state[index] != UNKNOWN else None
        if kept is not None:
            return kept
        data = self.source.read(index)
        if file_index.state[index] == UNKNOWN:
            record_digest(file_index, index, data)
            kept = (
                self._cached_pixels(int(self.cache.find(file_index.digests[index : index + 1])[0]))
                if self.cache
                else None
            )
            if kept is not None:
                record_header(file_index, index, read_header(data, name))
                return kept
        if not settled and may_have_high_depth(data):
            header, values = read_value_range(data, name)
            if header.depth:
                record_header(file_index, index, header, values)
                return None
        read = self.settings.read(data, name)
        record_header(file_index, index, read.header, read.values)
        return read.pixels

    def _cached_pixels(self, place: int) -> NDArray[np.uint8] | None:
        """The pixels at a place of the shelf, if they are there."""
        if self.cache is None or place < 0:
            return None
        pixels = np.empty(self.settings.shape, np.uint8)
        try:
            self.cache.read(place, pixels)
        except OSError:
            return None
        return pixels

    # -- keeping --------------------------------------------------------------------------------

    @contextmanager
    def _cache_writer(self, cache_size: int) -> Iterator[StoreWriter | None]:
        """A new file for the shelf, if there is room for it; nothing is left of it where something goes wrong."""
        writer = self._writer(cache_size) if self.cache and cache_size and self.worth_caching() else None
        self.sink = writer
        try:
            yield writer
        except BaseException:
            if writer:
                writer.abandon()
            raise

    def _writer(self, cache_size: int) -> StoreWriter | None:
        count, stride = len(self.file_index), self.settings.stride
        needed = count * (stride + DIGEST_BYTES)
        assert self.cache is not None
        try:
            if free_space(needed, cache_size):
                return StoreWriter(self.cache.path, count, stride)
        except OSError as error:
            warn_not_cached(f"{error.strerror or error}; set OPSIN_CACHE to a folder with room")
        else:
            warn_not_cached(f"they take {needed / 1e9:.2g} GB; allow them more, or make room on the disk")
        return None

    def _store(self, index: int, pixels: NDArray[np.uint8]) -> None:
        sink = self.sink
        try:
            if sink:
                deep = self.file_index.depths[index] > 0
                digest = self.file_index.digests[index]
                sink.put(index, self.settings.store_key(digest) if deep else digest, pixels)
        except (OSError, ValueError) as error:  # ValueError: another thread has closed the file
            self._disable_cache(error)

    def _finish(self, writer: StoreWriter | None) -> StoreFile | None:
        """The file that `writer` wrote; None where the disk refused."""
        try:
            return writer.finish() if writer and self.sink else None
        except (OSError, ValueError) as error:
            self._disable_cache(error)
            return None

    def _disable_cache(self, error: Exception) -> None:
        """The disk is full, or worse: goes on without it."""
        writer, self.sink = self.sink, None
        if isinstance(writer, StoreWriter):
            writer.abandon()
            warn_not_cached(f"{getattr(error, 'strerror', None) or error}; set OPSIN_CACHE to a folder with room")


@dataclass
class ArraySink:
    """Keeps pixels in an array."""

    pixels: NDArray[np.uint8]

    def put(self, row: int, digest: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
        self.pixels[row] = pixels


Sink: TypeAlias = ArraySink | StoreWriter


def fits_in_memory(pixels: Pixels) -> bool:
    """Whether these images are simply kept in memory."""
    return prod(pixels.shape) <= MAX_MEMORY_BYTES


def record_digest(file_index: FileIndex, index: int, data: bytes) -> None:
    file_index.digests[index] = np.frombuffer(blake2b(data, digest_size=DIGEST_BYTES).digest(), np.uint8)


def record_header(file_index: FileIndex, index: int, header: ImageHeader, values: PixelRange | None = None) -> None:
    file_index.record_values(index, header.depth, values)
    file_index.remarks.pop(index, None)
    if header.remark:
        file_index.remarks[index] = header.remark
    file_index.sizes[index] = header.height, header.width
    file_index.grey_header[index] = header.grey
    if file_index.state[index] == UNKNOWN:
        file_index.state[index] = HEADER_READ


@contextmanager
def record_problems(file_index: FileIndex, index: int, name: str) -> Iterator[None]:
    """What fails inside is the item's problem, and nobody else's."""
    try:
        yield
    except ItemError as error:
        file_index.fail(index, error.problem)
    except DataError as error:
        file_index.fail(index, FileProblem(name, str(error).removeprefix(name).strip(": "), DAMAGED))
    except OSError as error:
        file_index.fail(index, FileProblem(name, error.strerror or str(error), UNREADABLE))


def warn_not_cached(reason: str) -> None:
    warnings.warn(f"decoded images are not kept for the next run: {reason}", RuntimeWarning, stacklevel=2)

"""Get the pixels of all images from the cache or the files, in memory or on disk; unusable files are recorded."""

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
from opsin.data.pixels import ImageView, Pixels, take
from opsin.data.store import DIGEST_BYTES, DecodedCache, StoredImages, StoreFile, StoreWriter, free_space, touch

MIN_CACHED_BYTES = 2**20
"""Fewer bytes of pixels are not cached, since decoding them again takes no noticeable time."""

MAX_MEMORY_BYTES = 2**28
"""Bytes of pixels that are held in memory; more are read from disk."""


class DecodePass:
    """One pass over the items of a source.

    With `collapse`, images get a single channel if all of them are grey. Without a `cache`, nothing is written to disk.
    """

    def __init__(
        self, source: Source, file_index: FileIndex, settings: DecodeSettings, cache: DecodedCache | None,
        collapse: bool,
    ) -> None:  # fmt: skip
        self.source = source
        self.file_index = file_index
        self.settings = settings
        self.cache = cache
        self.collapse = collapse
        self.sink: Sink | None = None
        self._deferred: list[int] = []
        self._update_settings()

    def _update_settings(self) -> None:
        """Set the pixel range if the values of all images are known, and look images up in the cache."""
        file_index = self.file_index
        if self.settings.pixel_range is None and not (file_index.state == UNKNOWN).any():
            self.settings = replace(self.settings, pixel_range=file_index.pixel_range())
        keys = file_index.digests
        if len(file_index.high_depth) and self.settings.pixel_range:
            keys = keys.copy()
            for index in file_index.high_depth.tolist():
                keys[index] = self.settings.store_key(keys[index])
        self.positions = self.cache.find(keys) if self.cache else np.full(len(file_index), -1, np.intp)

    def _process_all(self, indices: NDArray[np.intp], on_progress: Progress | None) -> None:
        """Process the items; images with more than eight bits come last if their range depends on all of them."""
        for_each(self._process, indices.tolist(), on_progress)
        if self._deferred:
            self._update_settings()
            deferred, self._deferred = sorted(self._deferred), []
            for_each(self._process, deferred, on_progress)

    def pending(self) -> NDArray[np.intp]:
        """Return the indices of the items that are not completely known."""
        file_index = self.file_index
        is_decoded = (file_index.state == DECODED) & (self.positions >= 0)
        if self.settings.shape[0] == 3:
            is_decoded &= file_index.grey_pixels >= 0
        return np.flatnonzero((file_index.state != FAILED) & ~is_decoded)

    def worth_caching(self) -> bool:
        """Return whether there is so much data that a cache makes the next run faster."""
        return len(self.file_index.usable) * self.settings.stride >= MIN_CACHED_BYTES

    def run(self, pending: NDArray[np.intp], cache_size: int, on_progress: Progress | None = None) -> Pixels:
        """Return the pixels of all usable items, after reading those that are `pending`."""
        file_index = self.file_index
        fits = len(file_index.usable) * self.settings.stride <= MAX_MEMORY_BYTES
        if self.cache and not len(pending):
            view = self.cache.view(self.positions[file_index.usable], self._shape())
            if view:
                touch(self.cache.path)
                return view
        if fits:
            return self._in_memory(cache_size, on_progress)
        with self._cache_writer(cache_size) as writer:
            self._process_all(file_index.usable if writer else pending, on_progress)
            file = self._finish(writer)
        if file:
            return StoredImages(file, file_index.usable, self._shape())
        return OnDemandImages(self.source, file_index.usable, self.settings, self._shape()[0])

    def _shape(self) -> tuple[int, int, int]:
        """Return channels, height and width of the images, after all of them have been read."""
        channels, height, width = self.settings.shape
        usable = self.file_index.usable
        grey = self.collapse and len(usable) > 0 and bool((self.file_index.grey_pixels[usable] == 1).all())
        return 1 if grey else channels, height, width

    def _in_memory(self, cache_size: int, on_progress: Progress | None) -> NDArray[np.uint8]:
        """Return the pixels as an array, and write a copy to the cache."""
        self.sink = memory = ArraySink(np.empty((len(self.file_index), *self.settings.shape), np.uint8))
        self._process_all(self.file_index.usable, on_progress)
        usable = self.file_index.usable
        with self._cache_writer(cache_size) as writer:
            for index in usable.tolist() if writer else ():
                self._store(index, memory.pixels[index])
            self._finish(writer)
        pixels = memory.pixels if len(usable) == len(self.file_index) else memory.pixels[usable]
        return np.ascontiguousarray(pixels[:, : self._shape()[0]])

    # -- one image ----------------------------------------------------------------------------

    def _process(self, index: int) -> None:
        """Complete the index entry of an item and store its pixels."""
        file_index, name = self.file_index, self.source.items[index].name
        with record_problems(file_index, index, name):
            pixels = self._load(index, name)
            if pixels is None:
                self._deferred.append(index)
                return
            if file_index.state[index] != DECODED or file_index.grey_pixels[index] < 0 or file_index.depths[index]:
                file_index.thumbnail_hashes[index], grey = thumbnail_hash(pixels)
                file_index.grey_pixels[index] = grey if len(pixels) == 3 else -1
                file_index.state[index] = DECODED
            self._store(index, pixels)

    def _load(self, index: int, name: str) -> NDArray[np.uint8] | None:
        """Return the pixels of an item from the cache or its file, and record digest and header.

        Return None for an image with more than eight bits if the range is not known yet; its values are recorded.
        """
        file_index, range_known = self.file_index, self.settings.pixel_range is not None
        if file_index.depths[index] and not range_known:
            return None
        if file_index.state[index] != UNKNOWN:
            pixels = self._cached_pixels(int(self.positions[index]))
            if pixels is not None:
                return pixels
        data = self.source.read(index)
        if file_index.state[index] == UNKNOWN:
            record_digest(file_index, index, data)
            pixels = self._cached_pixels(self._position(index))
            if pixels is not None:
                record_header(file_index, index, read_header(data, name))
                return pixels
        if not range_known and may_have_high_depth(data):
            header, values = read_value_range(data, name)
            if header.depth:
                record_header(file_index, index, header, values)
                return None
        image = self.settings.read(data, name)
        record_header(file_index, index, image.header, image.values)
        return image.pixels

    def _position(self, index: int) -> int:
        """Return the position of an image in the cache by the digest of its file, -1 if it is not there."""
        return int(self.cache.find(self.file_index.digests[index : index + 1])[0]) if self.cache else -1

    def _cached_pixels(self, position: int) -> NDArray[np.uint8] | None:
        """Return the pixels at a position of the cache, or None if they are not there."""
        if self.cache is None or position < 0:
            return None
        pixels = np.empty(self.settings.shape, np.uint8)
        try:
            self.cache.read(position, pixels)
        except OSError:
            return None
        return pixels

    # -- caching --------------------------------------------------------------------------------

    @contextmanager
    def _cache_writer(self, cache_size: int) -> Iterator[StoreWriter | None]:
        """Yield a new file of the cache, or None if there is no space for it; remove it after an error."""
        writer = self._new_store(cache_size) if self.cache and cache_size and self.worth_caching() else None
        self.sink = writer
        try:
            yield writer
        except BaseException:
            if writer:
                writer.abandon()
            raise

    def _new_store(self, cache_size: int) -> StoreWriter | None:
        count, stride = len(self.file_index), self.settings.stride
        store_size = count * (stride + DIGEST_BYTES)
        assert self.cache is not None
        try:
            if free_space(store_size, cache_size):
                return StoreWriter(self.cache.path, count, stride)
        except OSError as error:
            warn_not_cached(f"{error.strerror or error}; set OPSIN_CACHE to a folder with free space")
        else:
            warn_not_cached(f"they take {store_size / 1e9:.2g} GB; increase the cache size, or free space on the disk")
        return None

    def _store(self, index: int, pixels: NDArray[np.uint8]) -> None:
        sink = self.sink
        try:
            if sink:
                high_depth = self.file_index.depths[index] > 0
                digest = self.file_index.digests[index]
                sink.put(index, self.settings.store_key(digest) if high_depth else digest, pixels)
        except (OSError, ValueError) as error:  # ValueError: another thread has closed the file
            self._disable_cache(error)

    def _finish(self, writer: StoreWriter | None) -> StoreFile | None:
        """Return the completed file of `writer`, or None if the disk refuses."""
        try:
            return writer.finish() if writer and self.sink else None
        except (OSError, ValueError) as error:
            self._disable_cache(error)
            return None

    def _disable_cache(self, error: Exception) -> None:
        """Continue without a cache file after an error such as a full disk."""
        writer, self.sink = self.sink, None
        if isinstance(writer, StoreWriter):
            writer.abandon()
            warn_not_cached(f"{getattr(error, 'strerror', None) or error}; set OPSIN_CACHE to a folder with free space")


@dataclass
class ArraySink:
    """Stores pixels in an array."""

    pixels: NDArray[np.uint8]

    def put(self, row: int, digest: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
        self.pixels[row] = pixels


Sink: TypeAlias = ArraySink | StoreWriter


def fits_in_memory(pixels: Pixels) -> bool:
    """Return whether images are held in memory rather than read from disk."""
    return prod(pixels.shape) <= MAX_MEMORY_BYTES


def select(pixels: Pixels, rows: NDArray[np.intp]) -> Pixels:
    """Return some of the images: in memory if all images fit there, otherwise as a view; `compact` views stay views."""
    part = take(pixels, rows)
    return part[:] if isinstance(part, ImageView) and not part.compact and fits_in_memory(pixels) else part


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
    """Record an error in the block as the problem of the item, and suppress it."""
    try:
        yield
    except ItemError as error:
        file_index.fail(index, error.problem)
    except DataError as error:
        file_index.fail(index, FileProblem(name, str(error).removeprefix(name).strip(": "), DAMAGED))
    except OSError as error:
        file_index.fail(index, FileProblem(name, error.strerror or str(error), UNREADABLE))


def warn_not_cached(reason: str) -> None:
    warnings.warn(f"decoded images are not cached for the next run: {reason}", RuntimeWarning, stacklevel=2)

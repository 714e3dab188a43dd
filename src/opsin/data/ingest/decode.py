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
from opsin.data.decode import Header, Range, may_be_deep, read_header, read_values
from opsin.data.ingest.decoding import Decoded, Decoding
from opsin.data.ingest.file_index import FAILED, READ, SEEN, UNKNOWN, FileIndex
from opsin.data.ingest.thumbnail_hash import look
from opsin.data.items import DAMAGED, UNREADABLE, FileProblem, ItemError, Source
from opsin.data.parallel import Progress, each
from opsin.data.pixels import Pixels
from opsin.data.store import DIGEST, Shelf, StoredImages, StoreFile, StoreWriter, make_room, touch

WORTH_KEEPING = 2**20
"""Bytes of pixels below which reading them anew takes no time worth speaking of."""

IN_MEMORY = 2**28
"""Bytes of pixels up to which they are simply kept in memory."""


class DecodePass:
    """One pass over the items; with `collapse`, images that are all colourless end up with one channel.

    Without a `shelf` nothing is kept on disk.
    """

    def __init__(
        self, source: Source, facts: FileIndex, decoding: Decoding, shelf: Shelf | None, collapse: bool
    ) -> None:
        self.source, self.facts, self.decoding, self.shelf, self.collapse = source, facts, decoding, shelf, collapse
        self.sink: Sink | None = None
        self._waiting: list[int] = []
        self._settle()

    def _settle(self) -> None:
        """Fixes the range of deep images, once those of all are known, and looks for what is on the shelf."""
        facts = self.facts
        if self.decoding.pixel_range is None and not (facts.state == UNKNOWN).any():
            self.decoding = replace(self.decoding, pixel_range=facts.pixel_range())
        rows = facts.digests
        if len(facts.deep) and self.decoding.pixel_range:
            rows = rows.copy()
            for index in facts.deep.tolist():
                rows[index] = self.decoding.row(rows[index])
        self.rows = rows
        self.places = self.shelf.find(rows) if self.shelf else np.full(len(facts), -1, np.intp)

    def _each(self, indices: NDArray[np.intp], on_progress: Progress | None) -> None:
        """Takes the items; deep ones last, where their range follows from all of them."""
        each(self._take, indices.tolist(), on_progress)
        if self._waiting:
            self._settle()
            waiting, self._waiting = sorted(self._waiting), []
            each(self._take, waiting, on_progress)

    def pending(self) -> NDArray[np.intp]:
        """The items about which something is still to be learnt."""
        facts = self.facts
        done = (facts.state == SEEN) & (self.places >= 0)
        if self.decoding.shape[0] == 3:
            done &= facts.colourless >= 0
        return np.flatnonzero((facts.state != FAILED) & ~done)

    def worth_keeping(self) -> bool:
        """Whether there is enough for the next run to gain something."""
        return len(self.facts.good) * self.decoding.stride >= WORTH_KEEPING

    def run(self, pending: NDArray[np.intp], cache_size: int, on_progress: Progress | None = None) -> Pixels:
        """The pixels of all good items; `pending` are those that have to be read."""
        facts = self.facts
        small = len(facts.good) * self.decoding.stride <= IN_MEMORY
        if self.shelf and not len(pending):
            stored = self.shelf.view(self.places[facts.good], self._shape())
            if stored:
                touch(self.shelf.path)
                return stored
        if small:
            return self._in_memory(cache_size, on_progress)
        with self._writing(cache_size) as writer:
            self._each(facts.good if writer else pending, on_progress)
            file = self._finished(writer)
        if file:
            return StoredImages(file, facts.good, self._shape())
        return Decoded(self.source, facts.good, self.decoding, self._shape()[0])

    def _shape(self) -> tuple[int, int, int]:
        """Channels, height and width of all images, once they are known."""
        channels, height, width = self.decoding.shape
        good = self.facts.good
        grey = self.collapse and len(good) > 0 and bool((self.facts.colourless[good] == 1).all())
        return 1 if grey else channels, height, width

    def _in_memory(self, cache_size: int, on_progress: Progress | None) -> NDArray[np.uint8]:
        """An array, of which a copy goes to the shelf."""
        self.sink = memory = ArraySink(np.empty((len(self.facts), *self.decoding.shape), np.uint8))
        self._each(self.facts.good, on_progress)
        good = self.facts.good
        with self._writing(cache_size) as writer:
            for index in good.tolist() if writer else ():
                self._keep(index, memory.pixels[index])
            self._finished(writer)
        channels = self._shape()[0]
        return np.ascontiguousarray(
            (memory.pixels if len(good) == len(self.facts) else memory.pixels[good])[:, :channels]
        )

    # -- one image ----------------------------------------------------------------------------

    def _take(self, index: int) -> None:
        """Learns what is to be known of an item, and keeps its pixels."""
        facts, name = self.facts, self.source.items[index].name
        with set_aside(facts, index, name):
            pixels = self._pixels(index, name)
            if pixels is None:
                self._waiting.append(index)
                return
            if facts.state[index] != SEEN or facts.colourless[index] < 0 or facts.depths[index]:
                facts.looks[index], colourless = look(pixels)
                facts.colourless[index] = colourless if len(pixels) == 3 else -1
                facts.state[index] = SEEN
            self._keep(index, pixels)

    def _pixels(self, index: int, name: str) -> NDArray[np.uint8] | None:
        """The item's pixels, from the shelf or decoded; digest and header are noted on the way.

        None for a deep image whose range is not known yet; its values then are.
        """
        facts, settled = self.facts, self.decoding.pixel_range is not None
        if facts.depths[index] and not settled:
            return None
        kept = self._kept(int(self.places[index])) if facts.state[index] != UNKNOWN else None
        if kept is not None:
            return kept
        data = self.source.read(index)
        if facts.state[index] == UNKNOWN:
            note_digest(facts, index, data)
            kept = self._kept(int(self.shelf.find(facts.digests[index : index + 1])[0])) if self.shelf else None
            if kept is not None:
                note_header(facts, index, read_header(data, name))
                return kept
        if not settled and may_be_deep(data):
            header, values = read_values(data, name)
            if header.depth:
                note_header(facts, index, header, values)
                return None
        read = self.decoding.read(data, name)
        note_header(facts, index, read.header, read.values)
        return read.pixels

    def _kept(self, place: int) -> NDArray[np.uint8] | None:
        """The pixels at a place of the shelf, if they are there."""
        if self.shelf is None or place < 0:
            return None
        pixels = np.empty(self.decoding.shape, np.uint8)
        try:
            self.shelf.read(place, pixels)
        except OSError:
            return None
        return pixels

    # -- keeping --------------------------------------------------------------------------------

    @contextmanager
    def _writing(self, cache_size: int) -> Iterator[StoreWriter | None]:
        """A new file for the shelf, if there is room for it; nothing is left of it where something goes wrong."""
        writer = self._writer(cache_size) if self.shelf and cache_size and self.worth_keeping() else None
        self.sink = writer
        try:
            yield writer
        except BaseException:
            if writer:
                writer.abandon()
            raise

    def _writer(self, cache_size: int) -> StoreWriter | None:
        count, stride = len(self.facts), self.decoding.stride
        needed = count * (stride + DIGEST)
        assert self.shelf is not None
        try:
            if make_room(needed, cache_size):
                return StoreWriter(self.shelf.path, count, stride)
        except OSError as error:
            warn(f"{error.strerror or error}; set OPSIN_CACHE to a folder with room")
        else:
            warn(f"they take {needed / 1e9:.2g} GB; allow them more, or make room on the disk")
        return None

    def _keep(self, index: int, pixels: NDArray[np.uint8]) -> None:
        sink = self.sink
        try:
            if sink:
                deep = self.facts.depths[index] > 0
                digest = self.facts.digests[index]
                sink.put(index, self.decoding.row(digest) if deep else digest, pixels)
        except (OSError, ValueError) as error:  # ValueError: another thread has closed the file
            self._give_up(error)

    def _finished(self, writer: StoreWriter | None) -> StoreFile | None:
        """The file that `writer` wrote; None where the disk refused."""
        try:
            return writer.finish() if writer and self.sink else None
        except (OSError, ValueError) as error:
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        """The disk is full, or worse: goes on without it."""
        writer, self.sink = self.sink, None
        if isinstance(writer, StoreWriter):
            writer.abandon()
            warn(f"{getattr(error, 'strerror', None) or error}; set OPSIN_CACHE to a folder with room")


@dataclass
class ArraySink:
    """Keeps pixels in an array."""

    pixels: NDArray[np.uint8]

    def put(self, row: int, digest: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
        self.pixels[row] = pixels


Sink: TypeAlias = ArraySink | StoreWriter


def fits(pixels: Pixels) -> bool:
    """Whether these images are simply kept in memory."""
    return prod(pixels.shape) <= IN_MEMORY


def note_digest(facts: FileIndex, index: int, data: bytes) -> None:
    facts.digests[index] = np.frombuffer(blake2b(data, digest_size=DIGEST).digest(), np.uint8)


def note_header(facts: FileIndex, index: int, header: Header, values: Range | None = None) -> None:
    facts.note_values(index, header.depth, values)
    facts.remarks.pop(index, None)
    if header.remark:
        facts.remarks[index] = header.remark
    facts.sizes[index] = header.height, header.width
    facts.grey[index] = header.grey
    if facts.state[index] == UNKNOWN:
        facts.state[index] = READ


@contextmanager
def set_aside(facts: FileIndex, index: int, name: str) -> Iterator[None]:
    """What fails inside is the item's problem, and nobody else's."""
    try:
        yield
    except ItemError as error:
        facts.fail(index, error.problem)
    except DataError as error:
        facts.fail(index, FileProblem(name, str(error).removeprefix(name).strip(": "), DAMAGED))
    except OSError as error:
        facts.fail(index, FileProblem(name, error.strerror or str(error), UNREADABLE))


def warn(reason: str) -> None:
    warnings.warn(f"decoded images are not kept for the next run: {reason}", RuntimeWarning, stacklevel=2)

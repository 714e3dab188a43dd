"""One pass over all files, on every core: each one's digest, header, look and pixels; what cannot be read is set aside."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from threading import Event

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from opsin.data.intake import facts as known
from opsin.data.intake.facts import FAILED, LOOK_HEIGHT, LOOK_WIDTH, READ, SEEN, UNKNOWN, Facts
from opsin.data.items import DAMAGED, UNREADABLE, ItemError, Problem, Source
from opsin.data.pictures import Crop, read_header, read_picture
from opsin.data.pixels import Pixels, View
from opsin.data.store import DIGEST, Shelf, StoreWriter, make_room, touch
from opsin.errors import DataError

Progress = Callable[[int, int], None]
"""Is told how many files of how many have been read."""

IN_MEMORY = 2**28
"""Bytes of pixels up to which they are simply kept in memory."""

MAX_SIDE = 64
"""Where no size is asked for, larger pictures and pictures of different sizes become squares of this side at most."""

VERSION = 1
"""Of the way in which pictures are decoded; another one decodes everything anew."""

TICK = 0.1
"""Seconds between two reports of progress."""


@dataclass(frozen=True)
class Decoding:
    """What pictures become: `shape` is channels, height and width."""

    shape: tuple[int, int, int]
    crop: Crop | None = None

    @property
    def stride(self) -> int:
        """Bytes of a picture."""
        return int(np.prod(self.shape))

    @property
    def key(self) -> str:
        """Differs where the pixels could."""
        return "x".join(map(str, self.shape)) + "-" + short_digest(f"{self} {VERSION} {PIL.__version__}")[:12]

    def read(self, data: bytes, name: str) -> NDArray[np.uint8]:
        return read_picture(data, name, self.shape, self.crop)


class Decoded(View):
    """Pictures that are decoded anew each time, where neither memory nor disk has room for them."""

    def __init__(self, source: Source, items: NDArray[np.intp], decoding: Decoding, channels: int) -> None:
        super().__init__(len(items), (channels, *decoding.shape[1:]))
        self.source, self.items, self.decoding = source, items, decoding

    def read(self, numbers: NDArray[np.intp]) -> NDArray[np.uint8]:
        pixels = np.empty((len(numbers), *self.shape[1:]), np.uint8)

        def fill(place: int) -> None:
            index = int(self.items[numbers[place]])
            name = self.source.items[index].name
            pixels[place] = self.decoding.read(self.source.read(index), name)[: self.shape[1]]

        each(fill, range(len(numbers)))
        return pixels

    def take(self, numbers: NDArray[np.intp]) -> View:
        return Decoded(self.source, self.items[numbers], self.decoding, self.shape[1])


@dataclass(frozen=True)
class Scan:
    """What a scan found: `pixels` of the items numbered `good`, in their order."""

    facts: Facts
    good: NDArray[np.intp]
    pixels: Pixels
    cached: int
    """How many pictures were not read, as everything about them was known."""


def scan(
    source: Source,
    key: str,
    decoding: Decoding | None,
    *,
    collapse: bool,
    cache_size: int,
    on_progress: Progress | None = None,
) -> Scan:
    """Reads what is not known yet. `key` names the source in the cache; without a `decoding` the pictures decide.

    With `collapse`, pictures that are all colourless have one channel.
    """
    memory = known.place(short_digest(f"{key} {VERSION} {PIL.__version__}"))
    facts, stamps = known.recall(memory, source) if cache_size else (Facts.unknown(len(source.items)), [])
    if decoding is None:
        survey(source, facts, on_progress)
        decoding = Decoding(common_shape(facts))
    shelf = Shelf(decoding.key, short_digest(key)) if cache_size else None
    reading = Reading(source, facts, decoding, shelf)
    pending = reading.pending()
    cached = len(facts.good) - len(pending)
    pixels = reading.run(pending, cache_size, on_progress)
    if cache_size:
        if len(pending):
            known.remember(memory, facts, source, stamps)
        else:
            touch(memory)
    good = facts.good
    channels = 1 if collapse and len(good) and (facts.colourless[good] == 1).all() else decoding.shape[0]
    return Scan(facts, good, _narrow(pixels, channels), cached)


def survey(source: Source, facts: Facts, on_progress: Progress | None) -> None:
    """The header of every file that is not known."""

    def look_at(index: int) -> None:
        with set_aside(facts, index, source.items[index].name):
            learn(facts, index, source.read(index), source.items[index].name)

    each(look_at, np.flatnonzero(facts.state == UNKNOWN).tolist(), on_progress)


def learn(facts: Facts, index: int, data: bytes, name: str) -> None:
    """Notes the digest and the header of a file."""
    header = read_header(data, name)
    facts.digests[index] = np.frombuffer(blake2b(data, digest_size=DIGEST).digest(), np.uint8)
    facts.sizes[index] = header.height, header.width
    facts.grey[index] = header.grey
    facts.state[index] = READ


@contextmanager
def set_aside(facts: Facts, index: int, name: str) -> Iterator[None]:
    """What fails inside is the item's problem, and nobody else's."""
    try:
        yield
    except ItemError as error:
        facts.fail(index, error.problem)
    except DataError as error:
        facts.fail(index, Problem(name, str(error).removeprefix(name).strip(": "), DAMAGED))
    except OSError as error:
        facts.fail(index, Problem(name, error.strerror or str(error), UNREADABLE))


def common_shape(facts: Facts) -> tuple[int, int, int]:
    """Channels, height and width that suit all pictures."""
    good = facts.good
    if not len(good):
        return 1, 1, 1  # of no picture
    channels = 1 if facts.grey[good].all() else 3
    sizes = facts.sizes[good]
    if (sizes == sizes[0]).all() and sizes[0].max() <= MAX_SIDE:
        return channels, int(sizes[0, 0]), int(sizes[0, 1])
    side = min(MAX_SIDE, int(np.median(sizes.min(axis=1))))
    return channels, side, side


class Reading:
    """Every picture's pixels, from the shelf or decoded, and what is seen in them."""

    def __init__(self, source: Source, facts: Facts, decoding: Decoding, shelf: Shelf | None) -> None:
        self.source, self.facts, self.decoding, self.shelf = source, facts, decoding, shelf
        self.places = shelf.find(facts.digests) if shelf else np.full(len(facts), -1, np.intp)
        self.sink: Sink | None = None

    def pending(self) -> NDArray[np.intp]:
        """The items about which something is still to be learnt."""
        facts = self.facts
        done = (facts.state == SEEN) & (self.places >= 0)
        if self.decoding.shape[0] == 3:
            done &= facts.colourless >= 0
        return np.flatnonzero((facts.state != FAILED) & ~done)

    def run(self, pending: NDArray[np.intp], cache_size: int, on_progress: Progress | None) -> Pixels:
        """The pixels of all good items; `pending` are those that have to be read."""
        facts, stride = self.facts, self.decoding.stride
        small = len(facts.good) * stride <= IN_MEMORY
        if self.shelf and not len(pending):
            stored = self.shelf.view(self.places[facts.good], self.decoding.shape)
            if stored:
                touch(self.shelf.path)
                return stored[:] if small else stored
        if small:
            return self._in_memory(cache_size, on_progress)
        self.sink = writer = self._writer(cache_size)
        each(self._take, (facts.good if writer else pending).tolist(), on_progress)
        return self._finished(writer) or Decoded(self.source, facts.good, self.decoding, self.decoding.shape[0])

    def _in_memory(self, cache_size: int, on_progress: Progress | None) -> NDArray[np.uint8]:
        """An array, of which a copy goes to the shelf."""
        facts = self.facts
        self.sink = memory = Memory(np.empty((len(facts), *self.decoding.shape), np.uint8))
        each(self._take, facts.good.tolist(), on_progress)
        good = facts.good
        self.sink = writer = self._writer(cache_size) if len(good) else None
        if writer:
            for index in good.tolist():
                self._keep(index, memory.pixels[index])
            self._finished(writer)
        return memory.pixels if len(good) == len(facts) else memory.pixels[good]

    def _writer(self, cache_size: int) -> StoreWriter | None:
        """A new file for the shelf, if there is room for it."""
        if not self.shelf:
            return None
        count, stride = len(self.facts), self.decoding.stride
        needed = count * (stride + DIGEST)
        try:
            if make_room(needed, cache_size):
                return StoreWriter(self.shelf.path, count, stride)
            reason = f"they need {needed / 1e9:.2g} GB; allow more, or make room on the disk"
        except OSError as error:
            reason = f"{error.strerror or error}; set OPSIN_CACHE to a folder with room"
        _warn(reason)
        return None

    def _finished(self, writer: StoreWriter | None) -> Pixels | None:
        """What the writer wrote, as a view of the good items; None where the disk refused."""
        if writer is None or self.sink is None:
            return None
        try:
            file = writer.finish()
        except OSError as error:
            self._give_up(writer, error)
            return None
        return Stored(file, self.facts.good, self.decoding.shape)

    def _take(self, index: int) -> None:
        """Learns what is to be known of an item, and keeps its pixels."""
        name = self.source.items[index].name
        with set_aside(self.facts, index, name):
            pixels = self._pixels(index, name)
            if self.facts.state[index] != SEEN or self.facts.colourless[index] < 0:
                self.facts.looks[index], self.facts.colourless[index] = look(pixels)
                self.facts.state[index] = SEEN
            self._keep(index, pixels)

    def _pixels(self, index: int, name: str) -> NDArray[np.uint8]:
        if self.facts.state[index] != UNKNOWN and (kept := self._kept(int(self.places[index]))) is not None:
            return kept
        data = self.source.read(index)
        if self.facts.state[index] == UNKNOWN:
            learn(self.facts, index, data, name)
            if self.shelf:
                place = int(self.shelf.find(self.facts.digests[index : index + 1])[0])
                if (kept := self._kept(place)) is not None:
                    return kept
        return self.decoding.read(data, name)

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

    def _keep(self, index: int, pixels: NDArray[np.uint8]) -> None:
        sink = self.sink
        try:
            if sink:
                sink.put(index, self.facts.digests[index], pixels)
        except OSError as error:
            self._give_up(sink, error)

    def _give_up(self, writer: Sink | None, error: OSError) -> None:
        """The disk is full, or worse: goes on without it."""
        if self.sink and isinstance(writer, StoreWriter):
            self.sink = None
            writer.abandon()
            _warn(f"{error.strerror or error}; set OPSIN_CACHE to a folder with room")


@dataclass
class Memory:
    """Keeps pixels in an array."""

    pixels: NDArray[np.uint8]

    def put(self, row: int, digest: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
        self.pixels[row] = pixels


Sink = Memory | StoreWriter


def look(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bool]:
    """A picture's look (see `LOOK`), and whether its channels are all the same; of uint8 C×H×W."""
    channels, height, width = pixels.shape
    planes = Image.frombuffer("L", (width, channels * height), pixels, "raw", "L", 0, 1)
    small = np.asarray(planes.resize((LOOK_WIDTH, channels * LOOK_HEIGHT), Image.Resampling.BOX))
    thumbnails = np.broadcast_to(small.reshape(channels, LOOK_HEIGHT, LOOK_WIDTH), (3, LOOK_HEIGHT, LOOK_WIDTH))
    grey = np.tensordot(GREY, thumbnails, 1)
    means = thumbnails.mean(axis=(1, 2))
    colourless = bool((thumbnails == thumbnails[0]).all()) and bool((pixels == pixels[:1]).all())
    return np.rint(np.concatenate([grey.reshape(-1), means])).astype(np.uint8), colourless


def _narrow(pixels: Pixels, channels: int) -> Pixels:
    """The first channels of all pictures."""
    if pixels.shape[1] == channels:
        return pixels
    return pixels.narrow(channels) if isinstance(pixels, View) else np.ascontiguousarray(pixels[:, :channels])


def each(work: Callable[[int], None], indices: Sequence[int], on_progress: Progress | None = None) -> None:
    """`work` for every index, on every core (decoding leaves Python's lock); Ctrl-C ends it after a picture each."""
    queue, stop, done = iter(indices), Event(), count()
    lock = Lock()

    def worker() -> None:
        while not stop.is_set():
            with lock:
                index = next(queue, None)
            if index is None:
                return
            work(index)
            next(done)

    workers = min(cores(), len(indices))
    if workers == 0:
        return
    with ThreadPoolExecutor(workers, "opsin-intake") as pool:
        futures = [pool.submit(worker) for _ in range(workers)]
        try:
            while wait(futures, TICK, FIRST_EXCEPTION).not_done and not any(f.done() and f.exception() for f in futures):
                if on_progress:
                    on_progress(_value(done), len(indices))
        finally:
            stop.set()
        for future in futures:
            future.result()
    if on_progress:
        on_progress(len(indices), len(indices))

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
    source: Source, key: str, decoding: Decoding | None, cache_size: int, on_progress: Progress | None = None
) -> Scan:
    """Reads what is not known yet. `key` names the source in the cache; without a `decoding` the pictures decide."""
    memory = known.place(short_digest(f"{key} {VERSION} {PIL.__version__}"))
    facts, stamps = known.recall(memory, source) if cache_size else (Facts.unknown(len(source.items)), [])
    asked = decoding is not None
    if decoding is None:
        _survey(source, facts, on_progress)
        decoding = Decoding(common_shape(facts))
    pass_ = _Pass(source, facts, decoding, Shelf(decoding.key, short_digest(key)))
    pending = pass_.pending()
    cached = len(facts.good) - len(pending)
    pixels = pass_.run(pending, cache_size, on_progress)
    if cache_size:
        known.remember(memory, facts, source, stamps) if len(pending) else touch(memory)
    good = facts.good
    channels = _channels(facts, decoding) if not asked or decoding.crop is None else decoding.shape[0]
    return Scan(facts, good, pass_.result(pixels, good, channels), cached)

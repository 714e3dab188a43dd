"""The same account for data that comes as arrays: duplicates by pixels, missing parts held out, a receipt."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from opsin.data.dataset import Dataset, Pictures
from opsin.data.intake import alike
from opsin.data.intake.account import Likeness, assign, counts_of
from opsin.data.intake.divide import numbered_ranks
from opsin.data.intake.duplicates import SMALLEST
from opsin.data.intake.looks import LOOK, looks
from opsin.data.intake.receipt import Receipt, Sizes
from opsin.data.items import TEST, TRAIN, UNDIVIDED, VALIDATION
from opsin.data.pixels import chunks
from opsin.data.store import DIGEST
from opsin.errors import DataError


def complete(data: Dataset, seed: int, begin: float) -> Dataset:
    """The dataset with all three parts and a receipt; `begin` is when reading it began.

    A test part of the data's own stays as it is; one that was only held out is chosen anew, so that pictures that are
    alike stay together.
    """
    everything = data.everything()
    sides = [(TRAIN if data.own_split else UNDIVIDED, data.train), (TEST if data.own_split else UNDIVIDED, data.test)]
    if data.validation is not None:
        sides.insert(1, (VALIDATION, data.validation))
    given = [part for part, pictures in sides for _ in range(len(pictures))]
    names = [f"{part or 'picture'} {n}" for part, pictures in sides for n in range(len(pictures))]
    if everything.names is not None:
        names = list(everything.names)
    likeness = _likeness(everything)
    rank = numbered_ranks(len(everything), seed)
    parts, division = assign(given, everything.labels, likeness.groups, rank)
    labels = [everything.classes[label] for label in everything.labels]
    named = replace(everything, names=tuple(names))
    train, validation, test = (named.take(np.flatnonzero(parts == part)) for part in (TRAIN, VALIDATION, TEST))
    if not len(test):
        raise DataError(f"{data.name} has one picture of each class; at least two are needed, one to measure with")
    size = data.shape[1:]
    total = np.bincount(everything.labels, minlength=len(data.classes))
    receipt = Receipt(
        data.name, counts_of(parts, everything.labels, data.classes), division, data.shape, Sizes(size, size, size, 1),
        (), likeness.found(names, labels, parts.tolist()), likeness.compared, (),
        tuple(name for name, count in zip(data.classes, total, strict=True) if count == 1), perf_counter() - begin,
        notes=tuple(alike.notes(data.classes)),
        pixel_range=data.pixel_range, deep={data.depth: len(everything)} if data.depth else {},
    )  # fmt: skip
    held = validation if len(validation) else None
    return Dataset(data.name, train, test, data.own_split, held, receipt, pixel_range=data.pixel_range)


def _likeness(pictures: Pictures) -> Likeness:
    """Which pictures are equal, and which look alike where they are large enough for that to mean anything."""
    count, (_, height, width) = len(pictures), pictures.shape
    digests: list[bytes] = []
    looked: list[NDArray[np.uint8]] = []
    for chunk in chunks(pictures.pixels):
        digests += [blake2b(picture.tobytes(), digest_size=DIGEST).digest() for picture in chunk]
        if min(height, width) >= SMALLEST:
            looked.append(looks(chunk))
    table = np.frombuffer(b"".join(digests), np.uint8).reshape(count, DIGEST)
    sizes = np.tile(np.array([[height, width]], np.int32), (count, 1))
    return Likeness.of(table, np.concatenate(looked) if looked else np.zeros((count, LOOK), np.uint8), sizes)

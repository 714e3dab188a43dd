"""The same account for data that comes as arrays: duplicates by pixels, missing parts held out, a receipt."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.data.dataset import Dataset, LabeledImages
from opsin.data.ingest import class_names
from opsin.data.ingest.division import DuplicateGroups, assign, counts_of
from opsin.data.ingest.duplicates import MIN_SIDE
from opsin.data.ingest.receipt import Receipt, Sizes
from opsin.data.ingest.split import numbered_ranks
from opsin.data.ingest.thumbnail_hash import HASH_BYTES, thumbnail_hashes
from opsin.data.items import TEST, TRAIN, UNSPLIT, VALIDATION
from opsin.data.pixels import chunks
from opsin.data.store import DIGEST_BYTES


def complete(data: Dataset, seed: int, begin: float) -> Dataset:
    """The dataset with all three parts and a receipt; `begin` is when reading it began.

    A test part of the data's own stays as it is; one that was only held out is chosen anew, so that images that are
    alike stay together.
    """
    everything = data.everything()
    sides = [(TRAIN if data.own_split else UNSPLIT, data.train), (TEST if data.own_split else UNSPLIT, data.test)]
    if data.validation is not None:
        sides.insert(1, (VALIDATION, data.validation))
    given = [part for part, images in sides for _ in range(len(images))]
    names = [f"{part or 'image'} {n}" for part, images in sides for n in range(len(images))]
    if everything.names is not None:
        names = list(everything.names)
    likeness = _likeness(everything)
    rank = numbered_ranks(len(everything), seed)
    parts, division = assign(given, everything.labels, likeness.groups, rank)
    labels = [everything.classes[label] for label in everything.labels]
    named = replace(everything, names=tuple(names))
    train, validation, test = (named.take(np.flatnonzero(parts == part)) for part in (TRAIN, VALIDATION, TEST))
    if not len(test):
        raise DataError(f"{data.name} has one image of each class; at least two are needed, one to measure with")
    size = data.shape[1:]
    total = np.bincount(everything.labels, minlength=len(data.classes))
    receipt = Receipt(
        data.name, counts_of(parts, everything.labels, data.classes), division, data.shape, Sizes(size, size, size, 1),
        (), likeness.found(names, labels, parts.tolist()), likeness.compared, (),
        tuple(name for name, count in zip(data.classes, total, strict=True) if count == 1), perf_counter() - begin,
        notes=tuple(class_names.notes(data.classes)),
        pixel_range=data.pixel_range, high_depth={data.depth: len(everything)} if data.depth else {},
    )  # fmt: skip
    held = validation if len(validation) else None
    return Dataset(data.name, train, test, data.own_split, held, receipt, pixel_range=data.pixel_range)


def _likeness(images: LabeledImages) -> DuplicateGroups:
    """Which images are equal, and which look alike where they are large enough for that to mean anything."""
    count, (_, height, width) = len(images), images.shape
    digests: list[bytes] = []
    looked: list[NDArray[np.uint8]] = []
    for chunk in chunks(images.pixels):
        digests += [blake2b(image.tobytes(), digest_size=DIGEST_BYTES).digest() for image in chunk]
        if min(height, width) >= MIN_SIDE:
            looked.append(thumbnail_hashes(chunk))
    table = np.frombuffer(b"".join(digests), np.uint8).reshape(count, DIGEST_BYTES)
    sizes = np.tile(np.array([[height, width]], np.int32), (count, 1))
    return DuplicateGroups.of(
        table, np.concatenate(looked) if looked else np.zeros((count, HASH_BYTES), np.uint8), sizes
    )

"""Complete a data set of arrays as one of files: find duplicates, hold out missing splits, write a receipt."""

from __future__ import annotations

from hashlib import blake2b
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from opsin.data.dataset import Dataset, Samples
from opsin.data.ingest import class_names
from opsin.data.ingest.duplicate_groups import DuplicateGroups
from opsin.data.ingest.duplicates import MIN_COMPARED_SIDE
from opsin.data.ingest.findings import Sizes
from opsin.data.ingest.receipt import Receipt
from opsin.data.ingest.split import FEW_IMAGES, assign_splits, counts_by_class, index_ranks
from opsin.data.ingest.thumbnail_hash import HASH_BYTES, thumbnail_hashes
from opsin.data.items import SPLITS, TEST, TRAIN, UNSPLIT, VALIDATION
from opsin.data.pixels import chunks
from opsin.data.store import DIGEST_BYTES


def complete(data: Dataset, seed: int, begin: float) -> Dataset:
    """Return the data set with all three splits and a receipt; `begin` is the time at which loading began.

    A predefined test split is kept. A test split that was held out is chosen again, to keep duplicates together.
    """
    images = data.all_images()
    source_splits = [
        split if data.predefined_split or split == VALIDATION else UNSPLIT
        for split, part in data.splits.items()
        for _ in range(len(part))
    ]
    names = [
        f"{(split if data.predefined_split or split == VALIDATION else UNSPLIT) or 'image'} {number}"
        for split, part in data.splits.items()
        for number in range(len(part))
    ]
    if images.names is not None:
        names = list(images.names)
    groups = _duplicate_groups(images)
    strata, classes = images.targets.strata(), images.task.labels
    rank = index_ranks(len(images), seed)
    splits, split_note = assign_splits(source_splits, strata, groups.near, rank, few=FEW_IMAGES)
    labels = [classes[label] for label in strata] if classes else [""] * len(images)
    named = images.changed(images.pixels, images.targets, tuple(names))
    train, validation, test = (named.take(np.flatnonzero(splits == split)) for split in (TRAIN, VALIDATION, TEST))
    size = data.shape[1:]
    total = images.counts()
    sizes = {split: int((splits == split).sum()) for split in SPLITS}
    about = (
        {"task": images.task.name, "subject": images.task.subject(), "images_by_split": sizes} if not classes else {}
    )
    receipt = Receipt(
        data.name, counts_by_class(splits, strata, classes) if classes else {}, split_note, data.shape,
        Sizes(size, size, size, 1), (), groups.duplicates(names, labels, splits.tolist()), groups.compared, (),
        tuple(name for name, count in zip(classes, total, strict=True) if count == 1), perf_counter() - begin,
        notes=(*data.notes, *class_names.notes(data.classes)),
        pixel_range=data.pixel_range, high_depth={data.depth: len(images)} if data.depth else {},
        **about,
    )  # fmt: skip
    return Dataset(
        data.name, train, test if len(test) else None, data.predefined_split,
        validation if len(validation) else None, receipt, pixel_range=data.pixel_range,
    )  # fmt: skip


def _duplicate_groups(images: Samples) -> DuplicateGroups:
    """Group images by their pixels and, if they are large enough, by their thumbnails."""
    count, (_, height, width) = len(images), images.shape
    digests: list[bytes] = []
    hashes: list[NDArray[np.uint8]] = []
    for chunk in chunks(images.pixels):
        digests += [blake2b(image.tobytes(), digest_size=DIGEST_BYTES).digest() for image in chunk]
        if min(height, width) >= MIN_COMPARED_SIDE:
            hashes.append(thumbnail_hashes(chunk))
    table = np.frombuffer(b"".join(digests), np.uint8).reshape(count, DIGEST_BYTES)
    sizes = np.tile(np.array([[height, width]], np.int32), (count, 1))
    return DuplicateGroups.of(
        table, np.concatenate(hashes) if hashes else np.zeros((count, HASH_BYTES), np.uint8), sizes
    )

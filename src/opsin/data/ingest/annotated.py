"""Annotated images: from the results of a scan to a data set of a task."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.data.dataset import AnnotatedImages, Dataset
from opsin.data.ingest import class_names, decode
from opsin.data.ingest.duplicate_groups import DuplicateGroups
from opsin.data.ingest.findings import Sizes
from opsin.data.ingest.high_depth import HighDepth
from opsin.data.ingest.receipt import Receipt
from opsin.data.ingest.sample_groups import joined, sources_note
from opsin.data.ingest.scan import Scan
from opsin.data.ingest.split import assign_splits, content_ranks
from opsin.data.items import SPLITS, TEST, TRAIN, VALIDATION
from opsin.data.preprocessing import Inverted, Preprocessing
from opsin.data.sources.annotated import AnnotatedSource
from opsin.inputs.kind import InputKind
from opsin.inputs.nouns import renamed
from opsin.inputs.registry import IMAGE, NOUNS
from opsin.tasks.task import GroupedTargets


def annotated_dataset(
    source: AnnotatedSource,
    result: Scan,
    seed: int,
    preprocessing: Preprocessing | None,
    path: str,
    begin: float,
    input: InputKind | None = None,
    together: NDArray[np.intp] | None = None,
    groups: Sequence[str] = (),
) -> Dataset:
    """Return the data set with its receipt; `begin` is the time at which loading began.

    `input` is the kind of the samples if they are no images, `groups` are what the items come from, and `together` the
    groups of usable ones that a split may not divide, if not those of duplicates. Raise `DataError` if there are too
    few usable samples to train on and to measure with.
    """
    kind = IMAGE if input is None else input.kind
    one, many = NOUNS[kind]
    index, usable, annotations = result.file_index, result.usable, source.annotations
    images = [annotations.images[row] for row in usable.tolist()]
    problems = (*source.problems, *(problem for _, problem in sorted(index.problems.items())))
    if len(images) < 2:
        detail = f", such as {problems[0].name}: {problems[0].reason}" if problems else ""
        raise DataError(f"{path} holds {len(images)} usable annotated {many}; at least two are needed{detail}")
    size = (result.pixels.shape[2], result.pixels.shape[3])
    targets = source.task.load_targets(images, source.tree, size, annotations.settings)
    digests, source_splits = index.digests[usable], [image.split for image in images]
    duplicates = DuplicateGroups.of(digests, index.thumbnail_hashes[usable], index.sizes[usable])
    if annotations.split_note or input is not None:  # the reader split a film by time, or there are no thumbnails
        duplicates = duplicates.exact_only()
    if len(np.unique(digests, axis=0)) < 2:
        raise DataError(f"{path} holds {len(images):,} copies of a single {one}; there is nothing to learn from them")
    sources = [groups[row] for row in usable.tolist()] if groups else []
    near = joined(duplicates.near if together is None else together, sources)
    ranks, whole, min_groups = content_ranks(digests, seed), f"the {many}", 1
    if isinstance(targets, GroupedTargets):
        near, whole, min_groups = targets.groups().astype(np.intp), f"the {many}, whose groups are not divided", 2
        ranks = ranks[np.unique(near, return_index=True)[1][np.unique(near, return_inverse=True)[1]]]
    splits, note = assign_splits(source_splits, targets.strata(), near, ranks, whole, min_groups)
    note = renamed(note, kind) + sources_note(sources, many)
    rows = {split: np.flatnonzero(splits == split) for split in SPLITS}
    if not len(rows[TRAIN]) or not len(rows[TEST]):
        empty = TEST if len(rows[TRAIN]) else TRAIN
        raise DataError(f"{path} has none of its {many} left for the {empty} split; give more annotated {many}")
    settings = {**annotations.settings, "seconds": getattr(input, "seconds", 0.0)}
    task = source.task.of(settings, targets.take(rows[TRAIN]))
    invert = preprocessing is not None and preprocessing.dark_background
    pixels = Inverted.invert(result.pixels) if invert else result.pixels
    names = [source.items[row].name for row in usable.tolist()]
    parts = {
        split: AnnotatedImages(
            decode.select(pixels, part),
            targets.take(part),
            task,
            tuple(names[row] for row in part.tolist()),
            input,
        )
        for split, part in rows.items()
    }
    depth = HighDepth.of(index, usable, names, result.pixel_range)
    counts = {split: dict(zip(task.labels, images.counts(), strict=False)) for split, images in parts.items()}
    receipt = Receipt(
        source.name, counts, annotations.split_note or note, parts[TRAIN].shape, Sizes.of(index.sizes[usable]),
        problems, duplicates.duplicates(names, [""] * len(names), splits.tolist()), duplicates.compared, (), (),
        perf_counter() - begin, result.cached, (*source.notes, *annotations.notes, *class_names.notes(task.labels)),
        result.pixel_range, depth.types, depth.clipped, depth.remarks, task.name, task.subject(), annotations.form,
        {split: len(images) for split, images in parts.items()}, annotations.counts,
        tuple(annotations.problems), kind=kind,
        used_as="" if input is None else input.describe(),
    )  # fmt: skip
    return Dataset(
        source.name, parts[TRAIN], parts[TEST], TEST in source_splits,
        parts[VALIDATION] if len(parts[VALIDATION]) else None, receipt,
        _content(digests, targets, source_splits), result.pixel_range,
    )  # fmt: skip


def _content(digests: NDArray[np.uint8], targets: Any, source_splits: list[str]) -> str:
    """Return a digest of the images, their targets and splits that is independent of file names."""
    rows = [
        digests[row].tobytes() + targets.take(np.array([row])).content() + split.encode()
        for row, split in enumerate(source_splits)
    ]
    parts = (blake2b(row, digest_size=16).digest() for row in sorted(rows))
    return blake2b(b"".join(parts), digest_size=16).hexdigest()

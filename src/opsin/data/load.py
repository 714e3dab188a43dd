"""`load`: one door for everything that can be trained on."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError, UsageError
from opsin.data.dataset import Dataset, LabeledImages
from opsin.data.decode import PixelRange, check_range
from opsin.data.ingest import class_names, decode
from opsin.data.ingest.arrays import complete
from opsin.data.ingest.decode_settings import DecodeSettings
from opsin.data.ingest.division import DuplicateGroups, assign, counts_of, sizes_of
from opsin.data.ingest.file_index import DEPTHS
from opsin.data.ingest.messages import value_text
from opsin.data.ingest.receipt import Receipt, Remark
from opsin.data.ingest.resize import resized
from opsin.data.ingest.scan import Scan, scan
from opsin.data.ingest.split import ranks
from opsin.data.items import TEST, TRAIN, UNLABELLED, VALIDATION, FileProblem, Source
from opsin.data.parallel import Progress
from opsin.data.pixels import ImageView, take
from opsin.data.preprocessing import Inverted, Preprocessing
from opsin.data.sources import open_source
from opsin.data.store import CACHE_SIZE
from opsin.ir.arguments import instance
from opsin.ir.checked import checked


@checked
def load(
    source: str | os.PathLike[str],
    like: Preprocessing | None = None,
    *,
    size: int | None = None,
    seed: int = 0,
    cache_size: int = CACHE_SIZE,
    on_progress: Progress | None = None,
    pixel_range: Sequence[float] | None = None,
) -> Dataset:
    """The labelled images of `source`, read once, and divided: to train on, to choose by, and to measure with.

    `source` is what `open_source` takes: "digits", a folder of class folders, an archive, a table, arrays, …
    Images take the size and kind that `like` (a model's `preprocessing`) asks for, or become squares of `size`. Without
    both, files are grey or RGB, of a size up to 64 × 64, by what they are, and arrays stay as they are. Files that
    cannot be used are left out; the dataset's `receipt` names them, and duplicates, leaks and what else was found.

    Where the data has no test part, a fifth of each class is held out, where it has no validation part, a tenth of the
    rest, at most 5,000; by `seed` and the files' contents, with alike images on one side. A validation part of the
    data's own is used as that, and never to measure with. Where images or arrays have more than eight bits, the two
    values of `pixel_range` become black and white, or those of `like`; without both, the values of all images
    together decide, and the dataset's `pixel_range` says how. Decoded images are kept on disk, up to `cache_size`
    bytes for all data, so that the next time no file is opened. Raises `DataError` for what cannot be used.
    """
    if size is not None and size < 1:
        raise UsageError(f"the size must be at least 1 pixel, not {size}")
    if like is not None:
        instance("like", like, Preprocessing, "the preprocessing of a model")
    begin = perf_counter()
    chosen = check_range(pixel_range) or (like.pixel_range if like else None)
    opened = open_source(source, chosen)
    if not isinstance(opened, Dataset):
        key, path = os.path.realpath(source), str(source)
        made = load_source(opened, key, like, size, seed, cache_size, on_progress, path, chosen)
        _check_used(pixel_range, made)
        if pixel_range is None and like and like.pixel_range and made.receipt and made.receipt.clipped:
            low, high = (value_text(value) for value in like.pixel_range)
            text = f"{made.receipt.clipped:,} images of {made.name} have values outside the model's pixel range"
            warnings.warn(f"{text}, {low} to {high}, and are cut off there", UserWarning, stacklevel=2)
        return made
    _check_used(pixel_range, opened)
    made = complete(opened, seed, begin)
    if like is not None:
        return resized(made, like.shape, like.crop)
    return made if size is None else resized(made, (made.shape[0], size, size), None)


def _check_used(asked: Sequence[float] | None, data: Dataset) -> None:
    if asked is not None and data.pixel_range is None:
        warnings.warn(
            f"the pixel range is not used: all images of {data.name} have 8 bits a channel, 0 to 255",
            UserWarning,
            stacklevel=3,
        )


def load_source(
    source: Source,
    key: str,
    like: Preprocessing | None = None,
    size: int | None = None,
    seed: int = 0,
    cache_size: int = CACHE_SIZE,
    on_progress: Progress | None = None,
    path: str | None = None,
    pixel_range: PixelRange | None = None,
) -> Dataset:
    """`load` of a source that is open; `key` is what the cache knows it by, `path` what messages call it."""
    begin = perf_counter()
    settings = DecodeSettings((3, size, size)) if size else None
    if like is not None:
        settings = DecodeSettings(like.shape, like.crop)
    pixel_range = pixel_range or (like.pixel_range if like else None)
    scanned = scan(source, key, settings, like is None, cache_size, on_progress, pixel_range)
    return _Ingest(source, scanned, seed, like, path or source.name).dataset(begin)


class _Ingest:
    """What a scan found, made into a dataset."""

    def __init__(self, source: Source, scanned: Scan, seed: int, like: Preprocessing | None, path: str) -> None:
        self.source, self.seed, self.like, self.path = source, seed, like, path
        self.file_index, self.cached, self.pixel_range = scanned.file_index, scanned.cached, scanned.pixel_range
        self.problems = [
            *source.problems,
            *(self.file_index.problems[index] for index in sorted(self.file_index.problems)),
        ]
        self.empty = tuple(getattr(source, "empty", ()))
        self.named = {*self.empty, *(item.label for item in source.items)}
        self.notes = [*getattr(source, "notes", ()), *class_names.notes(self.named)]
        self.classes, self.kept, strangers = self._classes(scanned.usable)
        self.problems += strangers
        self.usable = scanned.usable[self.kept]
        self.pixels = take(scanned.pixels, self.kept) if len(self.kept) < len(scanned.usable) else scanned.pixels
        self.items = [source.items[index] for index in self.usable.tolist()]

    def _classes(self, good: NDArray[np.intp]) -> tuple[tuple[str, ...], NDArray[np.intp], list[FileProblem]]:
        """The classes, the places in `good` of the images that have one of them, and the others as problems."""
        items = self.source.items
        trained = {items[index].label for index in good.tolist() if items[index].split not in (TEST, VALIDATION)}
        listed = {item.label for item in items if item.split not in (TEST, VALIDATION)}
        for item in items:
            if listed and item.label not in listed:
                near = [
                    name
                    for group in class_names.similar({item.label, *listed})
                    for name in group
                    if item.label in group
                ]
                there = next((f", which has '{name}'" for name in near if name != item.label), "")
                raise DataError(
                    f"the {item.split} part of {self.path} has a class '{item.label}' that its training part "
                    f"has not{there} ({item.name}); name the classes alike"
                )
        kept = [place for place, index in enumerate(good.tolist()) if items[index].label in trained]
        left = sorted(set(range(len(good))) - set(kept))
        reason = "no training image of its class can be read"
        strangers = [FileProblem(items[int(good[place])].name, reason, UNLABELLED) for place in left]
        return tuple(sorted(trained)), np.array(kept, np.intp), strangers

    def dataset(self, begin: float) -> Dataset:
        """The dataset with its receipt; `DataError` where too little is left."""
        self._check_enough()
        file_index, good, classes = self.file_index, self.usable, self.classes
        number = {name: label for label, name in enumerate(classes)}
        labels = np.array([number[item.label] for item in self.items], np.int32)
        digests = file_index.digests[good]
        likeness = DuplicateGroups.of(digests, file_index.thumbnail_hashes[good], file_index.sizes[good])
        given = [item.split for item in self.items]
        parts, division = assign(given, labels, likeness.groups, ranks(digests, self.seed))
        names = [item.name for item in self.items]
        pixels = Inverted.invert(self.pixels) if self.like and self.like.dark_background else self.pixels

        def images(part: str) -> LabeledImages:
            numbers = np.flatnonzero(parts == part)
            own = take(pixels, numbers)
            kept = own[:] if isinstance(own, ImageView) and decode.fits_in_memory(pixels) else own
            return LabeledImages(kept, labels[numbers], classes, tuple(names[n] for n in numbers))

        train, validation, test = (images(part) for part in (TRAIN, VALIDATION, TEST))
        if not len(test):
            raise DataError(f"{self.path} has one image of each class; at least two are needed, one to measure with")
        counts = counts_of(parts, labels, classes)
        total = np.bincount(labels, minlength=len(classes))
        receipt = Receipt(
            self.source.name, counts, division, train.shape, sizes_of(file_index.sizes[good]), tuple(self.problems),
            likeness.found(names, [item.label for item in self.items], parts.tolist()), likeness.compared,
            tuple(sorted(self.named - set(classes))),
            tuple(name for name, count in zip(classes, total, strict=True) if count == 1),
            perf_counter() - begin, self.cached, tuple(self.notes), self.pixel_range, *self._deep(),
        )  # fmt: skip
        return Dataset(
            self.source.name, train, test, TEST in given, validation if len(validation) else None, receipt,
            self._content(given), self.pixel_range,
        )  # fmt: skip

    def _deep(self) -> tuple[dict[str, int], int, tuple[Remark, ...]]:
        """How many images are of which type of more than eight bits, how many of them exceed the range, and what of
        files is left out.
        """
        file_index = self.file_index
        deep = self.usable[file_index.depths[self.usable] > 0]
        counts = Counter(DEPTHS[depth] for depth in file_index.depths[deep].tolist())
        low, high = self.pixel_range or (0.0, 0.0)
        beyond = int(((file_index.values[deep, 0] < low) | (file_index.values[deep, 1] > high)).sum())
        names = zip(self.usable.tolist(), self.items, strict=True)
        remarks = tuple(
            Remark(item.name, file_index.remarks[index]) for index, item in names if index in file_index.remarks
        )
        return dict(counts), beyond, remarks

    def _content(self, given: list[str]) -> str:
        """A digest of the files, their classes and their parts, whatever they are called and how they are read."""
        rows = [
            self.file_index.digests[index].tobytes() + f"{item.label}\0{part}".encode("utf-8", "surrogateescape")
            for index, item, part in zip(self.usable.tolist(), self.items, given, strict=True)
        ]
        return blake2b(
            b"".join(blake2b(row, digest_size=16).digest() for row in sorted(rows)), digest_size=16
        ).hexdigest()

    def _check_enough(self) -> None:
        """`DataError` unless there are usable training images of two classes."""
        if len(self.classes) > 1:
            return
        what = f"images of one class only ('{self.classes[0]}')" if self.classes else "no images that can be used"
        text = f"{self.path} holds {what}; training needs images of at least two classes"
        if self.empty:
            text += f" (no file is in {', '.join(self.empty[:5])})"
        if self.problems:
            first = self.problems[0]
            text += f".\n{len(self.problems):,} of its files cannot be used, such as {first.name}: {first.reason}"
        raise DataError(text)

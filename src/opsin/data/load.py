"""`load`: read a data set from any supported source, decode its images and split them."""

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
from opsin.data.ingest.duplicate_groups import DuplicateGroups
from opsin.data.ingest.file_index import DEPTHS
from opsin.data.ingest.messages import value_text
from opsin.data.ingest.receipt import Receipt, Remark, Sizes
from opsin.data.ingest.resize import resized
from opsin.data.ingest.scan import Scan, scan
from opsin.data.ingest.split import assign_splits, content_ranks, counts_by_class
from opsin.data.items import TEST, TRAIN, UNLABELLED, VALIDATION, FileProblem, Source
from opsin.data.parallel import Progress
from opsin.data.pixels import ImageView, Pixels, take
from opsin.data.preprocessing import Inverted, Preprocessing
from opsin.data.sources import open_source
from opsin.data.store import CACHE_SIZE
from opsin.ir.arguments import instance
from opsin.ir.checked import checked


@checked
def load(
    source: str | os.PathLike[str],
    preprocessing: Preprocessing | None = None,
    *,
    size: int | None = None,
    seed: int = 0,
    cache_size: int = CACHE_SIZE,
    on_progress: Progress | None = None,
    pixel_range: Sequence[float] | None = None,
    like: Preprocessing | None = None,
) -> Dataset:
    """Read the labelled images of `source` and return them as training, validation and test split.

    `source` is "digits" (built in), a folder of class folders, an archive, a table, arrays, or anything else that
    `open_source` accepts. The images get the size and the channels of `preprocessing`, which is that of a model, or
    become squares of `size` pixels. Without both, image files become grey or RGB, at most 64 × 64, depending on their
    content; arrays keep their size. Unusable files are left out. The `receipt` of the data set names them, and lists
    duplicates, leaks and other findings.

    If the data has no test split, a fifth of each class is held out; if it has no validation split, a tenth of the
    remaining images, at most 5,000. Which ones depends on `seed` and the contents of the files only; near-duplicates
    stay in the same split. A validation split that comes with the data is never used as test split.

    In images with more than eight bits per channel, the two values of `pixel_range` become black and white; the default
    is the range of `preprocessing`, or else one range inferred from the values of all images, which the data set
    reports as its `pixel_range`. Decoded images are cached on disk, in at most `cache_size` bytes for all data sets.
    `on_progress` is called with the number of processed images and the total. `like` is the former name of
    `preprocessing`. Raise `DataError` for unusable data.
    """
    preprocessing = _renamed_like(preprocessing, like)
    if size is not None and size < 1:
        raise UsageError(f"the size must be at least 1 pixel, not {size}")
    if preprocessing is not None:
        instance("preprocessing", preprocessing, Preprocessing, "the preprocessing of a model")
    begin = perf_counter()
    expected_range = check_range(pixel_range) or (preprocessing.pixel_range if preprocessing else None)
    opened = open_source(source, expected_range)
    if not isinstance(opened, Dataset):
        key, path = os.path.realpath(source), str(source)
        data = load_source(opened, key, preprocessing, size, seed, cache_size, on_progress, path, expected_range)
        _warn_if_range_unused(pixel_range, data)
        if (
            pixel_range is None
            and preprocessing
            and preprocessing.pixel_range
            and data.receipt
            and data.receipt.clipped
        ):
            low, high = (value_text(value) for value in preprocessing.pixel_range)
            text = f"{data.receipt.clipped:,} images of {data.name} have values outside the model's pixel range"
            warnings.warn(f"{text}, {low} to {high}; these values are clipped", UserWarning, stacklevel=2)
        return data
    _warn_if_range_unused(pixel_range, opened)
    data = complete(opened, seed, begin)
    if preprocessing is not None:
        return resized(data, preprocessing.shape, preprocessing.crop)
    return data if size is None else resized(data, (data.shape[0], size, size), None)


def _renamed_like(preprocessing: Preprocessing | None, like: Preprocessing | None) -> Preprocessing | None:
    """Return the value of `preprocessing`, also if it was given under its name in Opsin 0.1.0."""
    if like is None:
        return preprocessing
    if preprocessing is not None:
        raise UsageError("load: like is the former name of preprocessing; give only preprocessing")
    text = "load: like is now preprocessing; the old name goes with the next release"
    warnings.warn(text, DeprecationWarning, stacklevel=4)
    return like


def _warn_if_range_unused(pixel_range: Sequence[float] | None, data: Dataset) -> None:
    if pixel_range is not None and data.pixel_range is None:
        text = f"the pixel range is not used: all images of {data.name} have 8 bits per channel, 0 to 255"
        warnings.warn(text, UserWarning, stacklevel=3)


def load_source(
    source: Source,
    key: str,
    preprocessing: Preprocessing | None = None,
    size: int | None = None,
    seed: int = 0,
    cache_size: int = CACHE_SIZE,
    on_progress: Progress | None = None,
    path: str | None = None,
    pixel_range: PixelRange | None = None,
) -> Dataset:
    """Load an open source as `load` does. `key` identifies it in the cache, `path` is its name in messages."""
    begin = perf_counter()
    settings = DecodeSettings((3, size, size)) if size else None
    if preprocessing is not None:
        settings = DecodeSettings(preprocessing.shape, preprocessing.crop)
        pixel_range = pixel_range or preprocessing.pixel_range
    result = scan(source, key, settings, preprocessing is None, cache_size, on_progress, pixel_range)
    return _Ingest(source, result, seed, preprocessing, path or source.name).dataset(begin)


class _Ingest:
    """Builds a `Dataset` from the results of a scan."""

    def __init__(self, source: Source, result: Scan, seed: int, preprocessing: Preprocessing | None, path: str) -> None:
        self.source = source
        self.seed = seed
        self.preprocessing = preprocessing
        self.path = path
        self.file_index = result.file_index
        self.cached = result.cached
        self.pixel_range = result.pixel_range
        self.problems = [*source.problems, *(problem for _, problem in sorted(self.file_index.problems.items()))]
        self.empty_folders = tuple(getattr(source, "empty", ()))
        self.listed_classes = {*self.empty_folders, *(item.label for item in source.items)}
        self.notes = [*getattr(source, "notes", ()), *class_names.notes(self.listed_classes)]
        self.classes, positions, untrained = self._classes(result.usable)
        self.problems += untrained
        self.usable = result.usable[positions]
        self.pixels = take(result.pixels, positions) if len(positions) < len(result.usable) else result.pixels
        self.items = [source.items[index] for index in self.usable.tolist()]

    def _classes(self, usable: NDArray[np.intp]) -> tuple[tuple[str, ...], NDArray[np.intp], list[FileProblem]]:
        """Return the classes that have training images, the positions in `usable` of their images, and the others as
        problems.
        """
        items = self.source.items
        listed = {item.label for item in items if item.split not in (TEST, VALIDATION)}
        for item in items:
            if listed and item.label not in listed:
                groups = class_names.similar_names({item.label, *listed})
                matches = [name for group in groups for name in group if item.label in group and name != item.label]
                hint = f", which has '{matches[0]}'" if matches else ""
                raise DataError(
                    f"the {item.split} split of {self.path} has a class '{item.label}' that its training split "
                    f"lacks{hint} ({item.name}); use the same class names in both"
                )
        labels = [items[index].label for index in usable.tolist()]
        training_labels = {
            label
            for index, label in zip(usable.tolist(), labels, strict=True)
            if items[index].split not in (TEST, VALIDATION)
        }
        reason = "no training image of its class can be read"
        untrained = [
            FileProblem(items[index].name, reason, UNLABELLED)
            for index, label in zip(usable.tolist(), labels, strict=True)
            if label not in training_labels
        ]
        positions = np.array([position for position, label in enumerate(labels) if label in training_labels], np.intp)
        return tuple(sorted(training_labels)), positions, untrained

    def dataset(self, begin: float) -> Dataset:
        """Return the data set with its receipt. Raise `DataError` if there are too few usable images."""
        self._check_two_classes()
        index, usable, classes = self.file_index, self.usable, self.classes
        numbers = {name: number for number, name in enumerate(classes)}
        labels = np.array([numbers[item.label] for item in self.items], np.int32)
        digests = index.digests[usable]
        groups = DuplicateGroups.of(digests, index.thumbnail_hashes[usable], index.sizes[usable])
        source_splits = [item.split for item in self.items]
        splits, split_note = assign_splits(source_splits, labels, groups.near, content_ranks(digests, self.seed))
        invert = self.preprocessing is not None and self.preprocessing.dark_background
        pixels = Inverted.invert(self.pixels) if invert else self.pixels
        train, validation, test = (self._images(pixels, labels, splits == split) for split in (TRAIN, VALIDATION, TEST))
        if not len(test):
            raise DataError(f"{self.path} has one image of each class; at least two are needed, one to measure with")
        total = np.bincount(labels, minlength=len(classes))
        names = [item.name for item in self.items]
        high_depth, clipped, remarks = self._high_depth()
        receipt = Receipt(
            self.source.name, counts_by_class(splits, labels, classes), split_note, train.shape,
            Sizes.of(index.sizes[usable]), tuple(self.problems),
            groups.duplicates(names, [item.label for item in self.items], splits.tolist()), groups.compared,
            tuple(sorted(self.listed_classes - set(classes))),
            tuple(name for name, count in zip(classes, total, strict=True) if count == 1),
            perf_counter() - begin, self.cached, tuple(self.notes), self.pixel_range, high_depth, clipped, remarks,
        )  # fmt: skip
        return Dataset(
            self.source.name, train, test, TEST in source_splits, validation if len(validation) else None, receipt,
            self._content(source_splits), self.pixel_range,
        )  # fmt: skip

    def _images(self, pixels: Pixels, labels: NDArray[np.int32], selected: NDArray[np.bool_]) -> LabeledImages:
        """Return the selected images: in memory if all images fit there, otherwise as a view."""
        rows = np.flatnonzero(selected)
        part = take(pixels, rows)
        if isinstance(part, ImageView) and decode.fits_in_memory(pixels):
            part = part[:]
        return LabeledImages(part, labels[rows], self.classes, tuple(self.items[row].name for row in rows))

    def _high_depth(self) -> tuple[dict[str, int], int, tuple[Remark, ...]]:
        """Return the number of images with more than eight bits by pixel type, the number of those that exceed the
        pixel range, and what is ignored in which file.
        """
        index = self.file_index
        high_depth = self.usable[index.depths[self.usable] > 0]
        counts = Counter(DEPTHS[depth] for depth in index.depths[high_depth].tolist())
        low, high = self.pixel_range or (0.0, 0.0)
        clipped = int(((index.values[high_depth, 0] < low) | (index.values[high_depth, 1] > high)).sum())
        rows = zip(self.usable.tolist(), self.items, strict=True)
        remarks = tuple(Remark(item.name, index.remarks[row]) for row, item in rows if row in index.remarks)
        return dict(counts), clipped, remarks

    def _content(self, source_splits: list[str]) -> str:
        """Return a digest of the files, their classes and splits that is independent of file names and decoding."""
        rows = [
            self.file_index.digests[index].tobytes() + f"{item.label}\0{split}".encode("utf-8", "surrogateescape")
            for index, item, split in zip(self.usable.tolist(), self.items, source_splits, strict=True)
        ]
        digests = (blake2b(row, digest_size=16).digest() for row in sorted(rows))
        return blake2b(b"".join(digests), digest_size=16).hexdigest()

    def _check_two_classes(self) -> None:
        """Raise `DataError` unless there are usable training images of two classes."""
        if len(self.classes) > 1:
            return
        content = f"images of one class only ('{self.classes[0]}')" if self.classes else "no images that can be used"
        text = f"{self.path} holds {content}; training needs images of at least two classes"
        if self.empty_folders:
            text += f" (no file is in {', '.join(self.empty_folders[:5])})"
        if self.problems:
            first = self.problems[0]
            text += f".\n{len(self.problems):,} of its files cannot be used, such as {first.name}: {first.reason}"
        raise DataError(text)

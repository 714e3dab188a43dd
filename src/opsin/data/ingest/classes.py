"""Images in class folders or label tables: from the results of a scan to a data set."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.data.dataset import Dataset, LabeledImages
from opsin.data.ingest import class_names, decode
from opsin.data.ingest.duplicate_groups import DuplicateGroups
from opsin.data.ingest.findings import Sizes
from opsin.data.ingest.high_depth import HighDepth
from opsin.data.ingest.receipt import Receipt
from opsin.data.ingest.sample_groups import joined, sources_note
from opsin.data.ingest.scan import Scan
from opsin.data.ingest.split import FEW_IMAGES, assign_splits, content_ranks, counts_by_class
from opsin.data.items import TEST, TRAIN, UNLABELLED, VALIDATION, FileProblem, Source
from opsin.data.pixels import Pixels, take
from opsin.data.preprocessing import Inverted, Preprocessing
from opsin.inputs.kind import InputKind
from opsin.inputs.nouns import renamed
from opsin.inputs.registry import IMAGE, NOUNS


class ClassIngest:
    """Builds a `Dataset` from the results of a scan."""

    def __init__(
        self,
        source: Source,
        result: Scan,
        seed: int,
        preprocessing: Preprocessing | None,
        path: str,
        input: InputKind | None = None,
        groups: Sequence[str] = (),
        together: NDArray[np.intp] | None = None,
    ) -> None:
        """`input` is the kind of the samples if they are no images; `groups` are what the items come from.

        `together` are the groups of the usable items that a split may not divide, if not those of duplicates.
        """
        self.input, self.groups = input, groups
        self.kind = IMAGE if input is None else input.kind
        self.nouns = NOUNS[self.kind]
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
        self.together = None if together is None else joined(together[positions])
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
        reason = f"no training {self.nouns[0]} of its class can be read"
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
        if self.input is not None:
            groups = groups.exact_only()
        source_splits = [item.split for item in self.items]
        rank = content_ranks(digests, self.seed)
        sources = [self.groups[number] for number in usable.tolist()] if self.groups else []
        together = joined(groups.near if self.together is None else self.together, sources)
        splits, split_note = assign_splits(source_splits, labels, together, rank, few=FEW_IMAGES)
        split_note = renamed(split_note, self.kind) + sources_note(sources, self.nouns[1])
        invert = self.preprocessing is not None and self.preprocessing.dark_background
        pixels = Inverted.invert(self.pixels) if invert else self.pixels
        train, validation, test = (self._images(pixels, labels, splits == split) for split in (TRAIN, VALIDATION, TEST))
        total = np.bincount(labels, minlength=len(classes))
        names = [item.name for item in self.items]
        depth = HighDepth.of(index, usable, names, self.pixel_range)
        receipt = Receipt(
            self.source.name, counts_by_class(splits, labels, classes), split_note, train.shape,
            Sizes.of(index.sizes[usable]), tuple(self.problems),
            groups.duplicates(names, [item.label for item in self.items], splits.tolist()), groups.compared,
            tuple(sorted(self.listed_classes - set(classes))),
            tuple(name for name, count in zip(classes, total, strict=True) if count == 1),
            perf_counter() - begin, self.cached, tuple(self.notes), self.pixel_range, depth.types, depth.clipped,
            depth.remarks, kind=self.kind,
            used_as="" if self.input is None else self.input.describe(),
        )  # fmt: skip
        return Dataset(
            self.source.name, train, test if len(test) else None, TEST in source_splits,
            validation if len(validation) else None, receipt, self._content(source_splits), self.pixel_range,
        )  # fmt: skip

    def _images(self, pixels: Pixels, labels: NDArray[np.int32], selected: NDArray[np.bool_]) -> LabeledImages:
        rows = np.flatnonzero(selected)
        names = tuple(self.items[row].name for row in rows)
        return LabeledImages(decode.select(pixels, rows), labels[rows], self.classes, names, self.input)

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
        many = self.nouns[1]
        content = f"{many} of one class only ('{self.classes[0]}')" if self.classes else f"no {many} that can be used"
        text = f"{self.path} holds {content}; training needs {many} of at least two classes"
        if self.empty_folders:
            text += f" (no file is in {', '.join(self.empty_folders[:5])})"
        if self.problems:
            first = self.problems[0]
            text += f".\n{len(self.problems):,} of its files cannot be used, such as {first.name}: {first.reason}"
        raise DataError(text)

"""Collect the boxes that a reader finds: check them, convert them to shares of the image, and report what is wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from opsin.base.errors import DataError
from opsin.base.formatting import exact_size
from opsin.tasks.annotations import AnnotatedImage, Annotations, Files, ImageSize, Problem
from opsin.tasks.detection.boxes import ImageBoxes
from opsin.tasks.file_names import ImageIndex
from opsin.tasks.problems import (
    EMPTY_BOX,
    INVALID_NUMBER,
    LARGE_FILE,
    NO_USABLE_BOX,
    OUTSIDE_BOX,
    REPEATED_BOX,
    REVERSED_BOX,
    SIZE_MISMATCH,
    UNKNOWN_CLASS,
    UNREADABLE_FILE,
    UNREADABLE_IMAGE,
    AnnotationFault,
    printable,
)

Corners = tuple[float, float, float, float]

CLIP_TOLERANCE = 1.0
"""Pixels by which a box may reach outside its image, as rounding does, without being mentioned."""

SAME_SHAPE = 0.01
"""Sizes whose ratios of width to height differ by less than this share are versions of the same image."""

MIN_SHARE = 1e-6
"""The width and height of a box that float32 can still express, as shares of the image."""

DECIMALS = 6
"""Boxes that agree to this many decimals of the image's sides are the same."""


@dataclass(frozen=True, slots=True)
class RawBox:
    """A box as it stands in the data: left, top, right, bottom in pixels, or as shares if it is `relative`."""

    name: str
    """Where it stands: "a.xml, object 2"."""
    label: str
    corners: Corners
    relative: bool = False
    difficult: bool = False
    crowd: bool = False
    area: float | None = None
    """In pixels of the annotation's image size; None: that of the box."""


@dataclass(slots=True)
class ImageRecord:
    """The boxes of an image so far."""

    path: str
    split: str
    size: tuple[int, int]
    """Height and width in pixels."""
    annotated_size: tuple[float, float]
    """Height and width to which the annotation's pixels refer."""
    annotated: bool = True
    """Whether the data lists the image, even if with no boxes."""
    boxes: list[tuple[str, Corners, bool, bool, float]] = field(default_factory=list)
    """Label, shares, difficult, crowd, area in pixels."""
    seen: set[tuple[object, ...]] = field(default_factory=set)
    dropped: int = 0


class Collector:
    """Gathers what a reader finds in `files`."""

    def __init__(self, files: Files, image_size: ImageSize) -> None:
        self.files, self.images = files, ImageIndex(files.paths)
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.records: dict[str, ImageRecord] = {}
        self.excluded: set[str] = set()
        """Images that are not used, although they exist, because their annotation is faulty."""
        self._image_size = image_size
        self._resized: list[str] = []
        self._clipped: list[str] = []

    def problem(self, name: str, kind: str, reason: str) -> None:
        self.problems.append(Problem(name, reason, kind))

    def read(self, path: str, limit: int) -> bytes | None:
        """Return the content of a file; report a problem and return None if it is unreadable or too large."""
        try:
            data = self.files.read(path)
        except DataError as error:
            self.problem(path, UNREADABLE_FILE, f"cannot be read: {printable(error)}")
            return None
        if len(data) > limit:
            reason = f"has {exact_size(len(data))}; annotations of this form have at most {exact_size(limit)}"
            self.problem(path, LARGE_FILE, reason)
            return None
        return data

    def find(self, name: str, reference: str, folder: str = "", split: str = "") -> str | None:
        """Return the image that a reference in the entry `name` means; report a problem if there is none."""
        try:
            return self.images.find(reference, folder, split)
        except AnnotationFault as fault:
            self.problem(name, fault.kind, fault.reason)
            return None

    def image(
        self, path: str, split: str = "", size: tuple[float, float] | None = None, *, annotated: bool = True
    ) -> ImageRecord | None:
        """Return the record of an image, new or existing. `size` is the height and width that the annotation states.

        Report a problem and return None if the image cannot be read or its size contradicts the annotation's.
        """
        if path in self.records or path in self.excluded:
            return self.records.get(path)
        actual = self._image_size(path)
        if actual is None or min(actual) < 1:
            self._exclude(path, UNREADABLE_IMAGE, "the image cannot be read")
            return None
        stated = size if size and all(math.isfinite(side) and side > 0 for side in size) else actual
        if stated != actual:
            if not _same_shape(stated, actual):
                wrong = f"the annotation is of an image of {stated[1]:g} × {stated[0]:g} pixels"
                advice = "the boxes may belong to another version of it; annotate this one, or restore the other"
                found = f"but this one has {actual[1]} × {actual[0]}"
                self._exclude(path, SIZE_MISMATCH, f"{wrong}, {found}; {advice}")
                return None
            self._resized.append(path)
        self.records[path] = record = ImageRecord(path, split, actual, stated, annotated)
        return record

    def exclude(self, path: str) -> None:
        """Do not use an image, not even as one without objects: a part of its annotation is lost."""
        self.records.pop(path, None)
        self.excluded.add(path)

    def _exclude(self, path: str, kind: str, reason: str) -> None:
        self.problem(path, kind, reason)
        self.exclude(path)

    def add(self, record: ImageRecord, box: RawBox) -> None:
        """Add a box, clipped to its image; report a problem if it cannot be used."""
        try:
            self._add(record, box)
        except AnnotationFault as fault:
            record.dropped += fault.kind != REPEATED_BOX
            self.problem(box.name, fault.kind, fault.reason)

    def drop(self, record: ImageRecord, name: str, kind: str, reason: str) -> None:
        """Report a box that cannot even be read."""
        record.dropped += 1
        self.problem(name, kind, reason)

    def _add(self, record: ImageRecord, box: RawBox) -> None:
        if not box.label:
            raise AnnotationFault(UNKNOWN_CLASS, "the box has no class")
        if not all(map(math.isfinite, box.corners)):
            raise AnnotationFault(INVALID_NUMBER, f"the box {_shown(box.corners)} has coordinates that are not numbers")
        height, width = (1.0, 1.0) if box.relative else record.annotated_size
        left, top, right, bottom = box.corners
        shares = left / width, top / height, right / width, bottom / height
        clipped = check_box(box.corners, shares)
        overhang = max(abs(a - b) for a, b in zip(shares, clipped, strict=True)) * max(record.size)
        if overhang > CLIP_TOLERANCE:
            self._clipped.append(box.name)
        key = (box.label, *(round(share, DECIMALS) for share in clipped))
        if key in record.seen:
            raise AnnotationFault(REPEATED_BOX, f"the box {_shown(box.corners)} of '{box.label}' occurs twice")
        record.seen.add(key)
        record.boxes.append((box.label, clipped, box.difficult, box.crowd, _area(record, box, clipped)))

    def add_unlisted(self, paths: Iterable[str], split_of: Callable[[str], str]) -> None:
        """Use images that no annotation names as images without objects."""
        for path in paths:
            if path not in self.records and path not in self.excluded:
                self.image(path, split_of(path), annotated=False)

    def finish(self, form: str, order: Sequence[str] | None = None) -> Annotations:
        """Return what was found. `order` gives the classes their numbers; otherwise they are sorted by name."""
        for record in [r for r in self.records.values() if r.dropped and not r.boxes]:
            self.problem(record.path, NO_USABLE_BOX, "none of its boxes can be used, so the image is left out")
            del self.records[record.path]
        counts = Counter(label for record in self.records.values() for label, *_ in record.boxes)
        known = dict.fromkeys(sorted(counts) if order is None else order)
        classes = [name for name in known if counts[name]]
        unused = [name for name in known if not counts[name]]
        if unused:
            names = ", ".join(map(printable, unused[:5])) + (", …" if len(unused) > 5 else "")
            self.notes.append(f"Listed as classes, but without a box, and so left out: {names}.")
        numbers = {name: number for number, name in enumerate(classes)}
        images = [_annotated(record, numbers) for _, record in sorted(self.records.items())]
        self._note_images()
        return Annotations(
            images,
            {"classes": tuple(classes)},
            tuple(self.problems),
            tuple(self.notes),
            form,
            {name: counts[name] for name in classes},
        )

    def _note_images(self) -> None:
        """Add notes about clipped boxes, resized images and images without objects."""
        self._note(
            self._clipped,
            "1 box reaches outside its image and is clipped",
            "boxes reach outside their images and are clipped",
        )
        self._note(
            self._resized,
            "1 image has another size than its annotation says; the boxes are scaled",
            "images have other sizes than their annotations say; the boxes are scaled",
        )
        empty = sorted((r.path, r.annotated) for r in self.records.values() if not r.boxes)
        self._note(
            [path for path, annotated in empty if annotated],
            "1 image is listed without any box and used as one without objects",
            "images are listed without any box and used as images without objects",
        )
        self._note(
            [path for path, annotated in empty if not annotated],
            "1 image has no annotation and is used as one without objects; is it empty on purpose?",
            "images have no annotation and are used as images without objects; are they empty on purpose?",
        )

    def _note(self, names: Sequence[str], one: str, many: str) -> None:
        """Add a sentence about images or boxes, with the first of their names; none if there are none."""
        if names:
            sentence = one if len(names) == 1 else f"{len(names):,} {many}"
            first = f"{printable(names[0])}{', …' if len(names) > 1 else ''}"
            self.notes.append(f"{sentence} ({first})" if sentence.endswith("?") else f"{sentence} ({first}).")


def check_box(corners: Corners, shares: Corners) -> Corners:
    """Return the shares, clipped to the image. Raise `AnnotationFault` if no part of the box can be used."""
    left, top, right, bottom = shares
    if right < left or bottom < top:
        raise AnnotationFault(REVERSED_BOX, f"the box {_shown(corners)} ends before it begins")
    if right == left or bottom == top:
        raise AnnotationFault(EMPTY_BOX, f"the box {_shown(corners)} has no width or no height")
    if right <= 0 or bottom <= 0 or left >= 1 or top >= 1:
        raise AnnotationFault(OUTSIDE_BOX, f"the box {_shown(corners)} lies outside the image")
    left, top, right, bottom = max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0)
    if right - left < MIN_SHARE or bottom - top < MIN_SHARE:
        raise AnnotationFault(EMPTY_BOX, f"the box {_shown(corners)} has nearly no width or height inside the image")
    return left, top, right, bottom


def _area(record: ImageRecord, box: RawBox, shares: Corners) -> float:
    """Return the area of an object in pixels of the image."""
    height, width = record.size
    if box.area is None or not math.isfinite(box.area) or box.area <= 0:
        return (shares[2] - shares[0]) * width * (shares[3] - shares[1]) * height
    return box.area * height * width / (record.annotated_size[0] * record.annotated_size[1])


def _same_shape(stated: tuple[float, float], actual: tuple[int, int]) -> bool:
    one, other = stated[0] * actual[1], stated[1] * actual[0]
    return abs(one - other) <= SAME_SHAPE * max(one, other)


def _annotated(record: ImageRecord, numbers: dict[str, int]) -> AnnotatedImage:
    boxes = ImageBoxes.of(
        [shares for _, shares, *_ in record.boxes],
        [numbers[label] for label, *_ in record.boxes],
        record.size,
        [difficult for _, _, difficult, _, _ in record.boxes],
        [crowd for _, _, _, crowd, _ in record.boxes],
        [area for *_, area in record.boxes],
    )
    return AnnotatedImage(record.path, boxes, record.split)


def _shown(corners: Corners) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in corners) + ")"

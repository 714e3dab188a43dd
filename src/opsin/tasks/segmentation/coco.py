"""Read regions in COCO's JSON (Lin et al. 2014): polygons and run-length codes."""

from __future__ import annotations

import json
import math
import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from opsin.base.errors import DataError
from opsin.base.path_words import is_image, split_mentioned, split_named
from opsin.tasks.annotations import AnnotatedImage, Annotations, Files, ImageSize, Problem
from opsin.tasks.segmentation import names
from opsin.tasks.segmentation.coding import BACKGROUND, MAX_CLASSES
from opsin.tasks.segmentation.problems import (
    BAD_JSON,
    BAD_REGION,
    FORBIDDEN_PATH,
    MASK_SIZE,
    NO_IMAGE,
    SECOND_MASK,
    TOO_LARGE,
    UNKNOWN_CLASS,
    MaskError,
)  # fmt: skip
from opsin.tasks.segmentation.sizes import checked_size
from opsin.tasks.segmentation.targets import Region, Regions

MAX_JSON_BYTES = 2**29
MAX_JSON_FILES = 50


@dataclass
class Document:
    """The parts of a JSON file that are lists of objects."""

    path: str
    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]
    categories: list[dict[str, Any]]


@dataclass
class Entry:
    """An image of a document: the number `id` refers to it."""

    path: str
    size: tuple[int, int]
    regions: list[Region] = field(default_factory=list)
    failed: bool = False
    """Whether a region of the image cannot be used."""


def read(files: Files, image_size: ImageSize, problems: list[Problem]) -> Annotations | None:
    """Return the images with their regions; None if no file holds any. Add files that cannot be read to `problems`."""
    documents = list(_documents(files, problems))
    if not documents:
        return None
    classes, unused = _classes(documents)
    reader = _Reader(files, image_size, classes, [])
    images = [image for document in documents for image in reader.images(document)]
    notes = [
        f"Regions of {len(documents)} JSON file{'s' if len(documents) > 1 else ''}: pixels in none are background."
    ]
    if unused:
        notes.append(f"Categories without a region are no classes: {', '.join(unused[:8])}{', …' * (len(unused) > 8)}.")
    counts = Counter(class_id for image in images for class_id in {region.class_id for region in image.target.regions})
    return Annotations(
        images,
        {"classes": tuple(classes)},
        reader.problems,
        notes,
        "COCO polygons and run-length codes",
        {name: counts[i] for i, name in enumerate(classes) if i},
    )


def _documents(files: Files, problems: list[Problem]) -> Iterator[Document]:
    paths = [path for path in files.paths if path.lower().endswith(".json")]
    for path in sorted(paths, key=lambda path: (path.count("/"), path))[:MAX_JSON_FILES]:
        try:
            document = _parse(path, files.read(path))
        except MaskError as error:
            problems.append(error.problem(path))
        except DataError as error:
            problems.append(Problem(path, str(error), BAD_JSON))
        else:
            if document and any(annotation.get("segmentation") for annotation in document.annotations):
                yield document


def _parse(path: str, data: bytes) -> Document | None:
    if len(data) > MAX_JSON_BYTES:
        raise MaskError(f"{len(data):,} bytes, more than the limit of {MAX_JSON_BYTES:,}", TOO_LARGE)
    if b'"segmentation"' not in data:
        return None
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MaskError(f"not valid JSON: {type(error).__name__}", BAD_JSON) from None
    if not isinstance(content, dict):
        return None
    images, annotations, categories = (_objects(content.get(key)) for key in ("images", "annotations", "categories"))
    return Document(path, images, annotations, categories) if images and annotations and categories else None


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _key(value: Any) -> int | str | None:
    """Return an id that can be compared; None for values that are no ids."""
    return value if isinstance(value, int | str) else None


def _classes(documents: Sequence[Document]) -> tuple[dict[str, int], list[str]]:
    """Return the classes, background first, then the categories with a region by their ids; and the other names."""
    named: dict[int | str, str] = {}
    for document in documents:
        for category in document.categories:
            if (key := _key(category.get("id"))) is not None:
                named.setdefault(key, names.printable(str(category.get("name", key))))
    used_ids = {
        _key(annotation.get("category_id"))
        for document in documents
        for annotation in document.annotations
        if annotation.get("segmentation")
    }
    used_names = [named[key] for key in sorted(named, key=lambda key: (isinstance(key, str), key)) if key in used_ids]
    every = dict.fromkeys([BACKGROUND, *(name for name in used_names if name.lower() != BACKGROUND)])
    unused = [name for key, name in named.items() if key not in used_ids and name not in every]
    return {name: i for i, name in enumerate(every) if i < MAX_CLASSES}, unused


@dataclass
class _Reader:
    files: Files
    image_size: ImageSize
    classes: dict[str, int]
    problems: list[Problem]

    def __post_init__(self) -> None:
        self.paths = {*self.files.paths}
        self.by_name: dict[str, list[str]] = {}
        self.used_images: set[str] = set()
        for path in self.files.paths:
            self.by_name.setdefault(posixpath.basename(path), []).append(path)

    def images(self, document: Document) -> list[AnnotatedImage]:
        """Return the images of a document whose size is that of the file.

        An image none of whose regions can be used is left out: it would count as background.
        """
        entries = self._entries(document)
        names_of = {_key(c.get("id")): names.printable(str(c.get("name", c.get("id")))) for c in document.categories}
        for number, annotation in enumerate(document.annotations):
            self._add(document, entries, names_of, number, annotation)
        split = split_mentioned(posixpath.basename(document.path))
        images = []
        for entry in entries.values():
            if entry.failed and not entry.regions:
                continue
            image_split = split or next(filter(None, map(split_named, entry.path.split("/")[:-1])), "")
            images.append(AnnotatedImage(entry.path, Regions(entry.size, tuple(entry.regions)), image_split))
        return images

    def _entries(self, document: Document) -> dict[int | str, Entry]:
        entries: dict[int | str, Entry] = {}
        for number, image in enumerate(document.images):
            entry = self._entry(document, image, f"{document.path}, image {number}")
            if isinstance(entry, Problem):
                self.problems.append(entry)
            elif (key := _key(image.get("id"))) is not None and key not in entries:
                self.used_images.add(entry.path)
                entries[key] = entry
        return entries

    def _entry(self, document: Document, image: dict[str, Any], where: str) -> Entry | Problem:
        name = str(image.get("file_name", ""))
        path = self._path(name, posixpath.dirname(document.path))
        if path is None:
            return Problem(where, f"'{names.printable(name)}' leaves the data", FORBIDDEN_PATH)
        if not path:
            return Problem(where, f"'{names.printable(name)}' does not exist", NO_IMAGE)
        if path in self.used_images:
            return Problem(path, f"described again in {document.path}; the first counts", SECOND_MASK)
        declared_size = image.get("height"), image.get("width")
        size = checked_size(path, self.image_size)
        if isinstance(size, tuple) and declared_size not in ((None, None), size):
            shape = names.printable(f"{declared_size[0]} × {declared_size[1]}")
            reason = f"{shape} pixels in {document.path}, but the image has {size[0]} × {size[1]}"
            return Problem(path, reason, MASK_SIZE)
        return Entry(path, size) if isinstance(size, tuple) else size

    def _path(self, name: str, folder: str) -> str | None:
        """Return the path of an image: relative to the JSON file or the data, or else the only file of its name."""
        near = names.inside(name, folder)
        if near is None:
            return None
        split = split_mentioned(posixpath.basename(folder))
        for place in (near, names.inside(name, ""), names.inside(name, posixpath.join(folder, "images"))):
            if place in self.paths and is_image(place):
                return place
        same_name = [path for path in self.by_name.get(posixpath.basename(near), []) if is_image(path)]
        of_split = [path for path in same_name if split and split in map(split_named, path.split("/"))]
        matches = of_split or same_name
        return matches[0] if len(matches) == 1 else ""

    def _add(
        self,
        document: Document,
        entries: dict[int | str, Entry],
        names_of: dict[int | str | None, str],
        number: int,
        annotation: dict[str, Any],
    ) -> None:
        """Add an annotation to its image, or its problem."""
        if not annotation.get("segmentation"):
            return
        where, image = f"{document.path}, annotation {number}", _key(annotation.get("image_id"))
        entry = entries.get(image) if image is not None else None
        name = names_of.get(_key(annotation.get("category_id")))
        name = BACKGROUND if name is not None and name.lower() == BACKGROUND else name
        if entry is None:
            self.problems.append(Problem(where, "belongs to no image that can be used", NO_IMAGE))
        elif name is None or name not in self.classes:
            category = names.printable(str(annotation.get("category_id")))
            entry.failed = True
            self.problems.append(Problem(where, f"category {category} is not defined", UNKNOWN_CLASS))
        else:
            try:
                entry.regions.append(region(annotation["segmentation"], self.classes[name], entry.size))
            except MaskError as error:
                entry.failed = True
                self.problems.append(error.problem(where))


def region(segmentation: Any, class_id: int, size: tuple[int, int]) -> Region:
    """Return a region from its JSON for an image of `size`. Raise `MaskError` if it describes none."""
    result = (
        _coded(segmentation, class_id, size) if isinstance(segmentation, dict) else _outlined(segmentation, class_id)
    )
    result.check(size)
    return result


def _coded(code: dict[str, Any], class_id: int, size: tuple[int, int]) -> Region:
    counts, code_size = code.get("counts"), code.get("size")
    if code_size is not None and code_size != list(size):
        raise MaskError(f"a run-length code of the size {names.printable(str(code_size))}", MASK_SIZE)
    if isinstance(counts, str):
        return Region(class_id, counts=counts.encode("ascii", "replace"))
    if not isinstance(counts, list) or not all(isinstance(count, int) and 0 <= count < 2**31 for count in counts):
        raise MaskError("the run lengths are not whole numbers", BAD_REGION)
    return Region(class_id, counts=tuple(counts))


def _outlined(polygons: Any, class_id: int) -> Region:
    if not isinstance(polygons, list):
        raise MaskError("neither polygons nor a run-length code", BAD_REGION)
    if polygons and not any(isinstance(polygon, list) for polygon in polygons):
        polygons = [polygons]  # a single polygon without a list around it
    for polygon in polygons:
        if not isinstance(polygon, list) or not all(_is_coordinate(value) for value in polygon):
            raise MaskError("a polygon is a list of x and y of each point", BAD_REGION)
    return Region(class_id, tuple(tuple(map(float, polygon)) for polygon in polygons))


def _is_coordinate(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) < 1e9 and math.isfinite(value)

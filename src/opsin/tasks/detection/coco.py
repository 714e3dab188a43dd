"""Read COCO's JSON files of object instances (Lin et al. 2014, arXiv:1405.0312; cocodataset.org/#format-data).

Each file lists images, categories and annotations; several files are the splits, by their names or folders. Outlines
(`segmentation`) are not used, except to find the box of an annotation that has none.
"""

from __future__ import annotations

import json
import math
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opsin.base.formatting import listed
from opsin.tasks.annotations import Annotations, Files, ImageSize
from opsin.tasks.detection.collector import Collector, Corners, ImageRecord, RawBox
from opsin.tasks.file_names import folder_split, split_of
from opsin.tasks.problems import (
    INVALID_ENTRY,
    INVALID_NUMBER,
    REPEATED_IMAGE,
    SPLIT_OVERLAP,
    UNKNOWN_CLASS,
    UNKNOWN_IMAGE,
    UNREADABLE_FILE,
    printable,
)
from opsin.tasks.text import is_true, number

FORM = "COCO JSON"
MAX_JSON_BYTES = 1 << 30
"""The largest file of COCO 2017 has 448 MB; Python's parser needs several times as much memory."""

KEYS = (b'"images"', b'"annotations"')
INSTANCES = "instances"
"""How the names of COCO's files with boxes begin; others in the folder hold captions or key points."""

Id = int | str


@dataclass(eq=False)
class _Document:
    """One file while it is read."""

    path: str
    categories: dict[Id, str] = field(default_factory=dict)
    images: dict[Id, str | None] = field(default_factory=dict)
    """The image of each id; None if it cannot be used."""


def read(files: Files, image_size: ImageSize) -> Annotations | None:
    """Return the boxes of the JSON files; None if there is none in this form."""
    collector, order, count = Collector(files, image_size), dict[str, None](), 0
    for path in _candidates(collector):
        data = collector.read(path, MAX_JSON_BYTES)
        if data is None or not all(key in data for key in KEYS):
            continue
        content = _parsed(collector, path, data)
        if content is not None:
            count += 1
            order |= dict.fromkeys(_read_document(collector, path, content))
    return _finished(collector, order) if count else None


def _finished(collector: Collector, order: dict[str, None]) -> Annotations:
    unlisted = [p for p in collector.images.paths if p not in collector.records and p not in collector.excluded]
    if unlisted:
        first = printable(unlisted[0])
        collector.notes.append(f"{len(unlisted):,} images are in no JSON file and left out (the first: {first}).")
    return collector.finish(FORM, list(order))


def _candidates(collector: Collector) -> list[str]:
    """Return the JSON files that may hold boxes; if some are called instances…, only these."""
    paths = [path for path in collector.files.paths if path.lower().endswith(".json")]
    chosen = [path for path in paths if posixpath.basename(path).lower().startswith(INSTANCES)]
    others = [path for path in paths if path not in chosen]
    if chosen and others:
        names = listed(map(printable, others), 3)
        collector.notes.append(f"Only the files called {INSTANCES}… are read; not used: {names}.")
    return chosen or paths


def _parsed(collector: Collector, path: str, data: bytes) -> dict[str, Any] | None:
    """Return the content of a file with lists of images and annotations; report a problem if it cannot be read."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = "is nested too deeply" if isinstance(error, RecursionError) else printable(error)
        collector.problem(path, UNREADABLE_FILE, f"is not valid JSON: {reason}")
        return None
    if isinstance(content, dict) and all(isinstance(content.get(key), list) for key in ("images", "annotations")):
        return content
    return None


def _entries(collector: Collector, path: str, kind: str, entries: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the entries of a list that are objects, with their names for messages."""
    for place, entry in enumerate(entries if isinstance(entries, list) else [], 1):
        name = f"{path}, {kind} {place}"
        if isinstance(entry, dict):
            yield name, entry
        else:
            collector.problem(name, INVALID_ENTRY, f"is not a JSON object but {printable(entry)!r}")


def _read_document(collector: Collector, path: str, content: Mapping[str, Any]) -> list[str]:
    """Read one file, and return the names of its categories by ascending id."""
    document = _Document(path)
    for name, entry in _entries(collector, path, "category", content.get("categories")):
        _read_category(collector, document, name, entry)
    for name, entry in _entries(collector, path, "image", content["images"]):
        _read_image(collector, document, name, entry)
    for name, entry in _entries(collector, path, "annotation", content["annotations"]):
        _read_annotation(collector, document, name, entry)
    return [
        document.categories[key] for key in sorted(document.categories, key=lambda key: (isinstance(key, str), key))
    ]


def _id(value: object) -> Id | None:
    """Return an id that can be compared: whole numbers, also as text, and names."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else value
    return int(value) if math.isfinite(value) and value == int(value) else None


def _read_category(collector: Collector, document: _Document, name: str, entry: Mapping[str, Any]) -> None:
    key, label = _id(entry.get("id")), entry.get("name")
    if key is None or not isinstance(label, str) or not label.strip():
        collector.problem(name, INVALID_ENTRY, "has no id or no name")
    elif document.categories.setdefault(key, label.strip()) != label.strip():
        collector.problem(
            name, INVALID_ENTRY, f"has the id {key} of '{printable(document.categories[key])}', which counts"
        )


def _read_image(collector: Collector, document: _Document, name: str, entry: Mapping[str, Any]) -> None:
    key, file = _id(entry.get("id")), entry.get("file_name")
    if key is None or not isinstance(file, str):
        collector.problem(name, INVALID_ENTRY, "has no id or no file_name")
        return
    if key in document.images:
        collector.problem(name, REPEATED_IMAGE, f"has the id {key} of an earlier image, which counts")
        return
    document.images[key] = None
    split = split_of(document.path)
    path = collector.find(name, file, posixpath.dirname(document.path), split)
    if path is None:
        return
    if path in collector.records:
        same = collector.records[path].split == (split or folder_split(path))
        collector.problem(
            name, REPEATED_IMAGE if same else SPLIT_OVERLAP, f"{printable(file)} is listed before, and counts there"
        )
        return
    size = number(entry.get("height")), number(entry.get("width"))
    if collector.image(path, split or folder_split(path), size):
        document.images[key] = path


def _read_annotation(collector: Collector, document: _Document, name: str, entry: Mapping[str, Any]) -> None:
    name = f"{name} (id {printable(entry['id'])})" if "id" in entry else name
    key = _id(entry.get("image_id"))
    if key is None or key not in document.images:
        collector.problem(name, UNKNOWN_IMAGE, f"no image has the id {printable(entry.get('image_id'))}")
        return
    record = collector.records.get(document.images[key] or "")
    if record is not None:  # otherwise the image has a problem that is already reported
        _read_box(collector, document, record, name, entry)


def _read_box(
    collector: Collector, document: _Document, record: ImageRecord, name: str, entry: Mapping[str, Any]
) -> None:
    category = _id(entry.get("category_id"))
    if category is None or category not in document.categories:
        reason = f"no category has the id {printable(entry.get('category_id'))}"
        collector.drop(record, name, UNKNOWN_CLASS, reason)
        return
    corners = _corners(entry)
    if corners is None or any(map(math.isnan, corners)):
        value = printable(entry.get("bbox"))
        collector.drop(record, name, INVALID_NUMBER, f"the box {value} is not x, y, width and height")
        return
    area, crowd = number(entry.get("area")), is_true(entry.get("iscrowd"))
    label = document.categories[category]
    collector.add(record, RawBox(name, label, corners, crowd=crowd, area=None if math.isnan(area) else area))


def _corners(entry: Mapping[str, Any]) -> Corners | None:
    """Return the corners of the box, or of the box around the outline if there is none."""
    box = entry.get("bbox")
    if isinstance(box, list) and len(box) == 4:
        x, y, width, height = map(number, box)
        return x, y, x + width, y + height
    outline = entry.get("segmentation")
    if box or not isinstance(outline, list):
        return None
    values = [number(v) for polygon in outline if isinstance(polygon, list) for v in polygon[: len(polygon) // 2 * 2]]
    return (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])) if values else None

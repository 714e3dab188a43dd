"""Read Pascal VOC annotations: one XML file for each image (Everingham et al. 2010, doi:10.1007/s11263-009-0275-4).

The files lie in Annotations/ with the images in JPEGImages/ and the splits in ImageSets/Main/, or next to the images.
The challenge counts pixels from 1 and includes the last one; annotation programs such as labelImg write the corners of
the box. The first is assumed only for files whose source is a database of the challenge ("The VOC2007 Database").
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from opsin.tasks.annotations import Annotations, Files, ImageSize
from opsin.tasks.detection.collector import Collector, Corners, ImageRecord, RawBox
from opsin.tasks.detection.xml_tree import Element, parse
from opsin.tasks.file_names import folder_split, stem
from opsin.tasks.problems import (
    AMBIGUOUS_IMAGE,
    INVALID_ENTRY,
    INVALID_NUMBER,
    REPEATED_IMAGE,
    SPLIT_OVERLAP,
    AnnotationFault,
)
from opsin.tasks.text import decode, is_true, number

FORM = "Pascal VOC XML"
MAX_XML_BYTES = 16 << 20
MAX_LIST_BYTES = 64 << 20
CORNERS = ("xmin", "ymin", "xmax", "ymax")

LISTS = {"test": "test", "val": "validation", "train": "train", "trainval": "train"}
"""Files of ImageSets/Main and their splits; an image in several belongs to the first, so that tests stay honest."""

OFFICIAL = re.compile(r"the voc\d* database", re.IGNORECASE)


def read(files: Files, image_size: ImageSize) -> Annotations | None:
    """Return the boxes of the XML files; None if there is no annotation in this form."""
    collector = Collector(files, image_size)
    splits = _splits(collector)
    documents = dict(_documents(collector))
    if not documents and not collector.excluded:
        return None
    for path, root in documents.items():
        _read_document(collector, path, root, splits)
    _add_images_without_document(collector, documents, splits)
    return collector.finish(FORM)


def _documents(collector: Collector) -> Iterator[tuple[str, Element]]:
    """Yield the XML files that are annotations, and exclude the images of those that cannot be read."""
    for path in collector.files.paths:
        if not path.lower().endswith(".xml") or posixpath.basename(path).startswith("."):
            continue
        data = collector.read(path, MAX_XML_BYTES)
        try:
            root = parse(data) if data is not None else None
        except AnnotationFault as fault:
            collector.problem(path, fault.kind, fault.reason)
            root = None
        if root is None:
            _exclude_image_of(collector, path)
        elif root.tag == "annotation":
            yield path, root


def _exclude_image_of(collector: Collector, path: str) -> None:
    """Do not use the image of an annotation that cannot be read: its objects are unknown."""
    for image in collector.images.with_stem(stem(path)):
        collector.exclude(image)


def _read_document(collector: Collector, path: str, root: Element, splits: Mapping[str, str]) -> None:
    image = _image_of(collector, path, root)
    if image is None:
        return
    if image in collector.records:
        collector.problem(path, REPEATED_IMAGE, f"is another annotation of {image}; the first counts")
        return
    split = splits.get(stem(image), "") if splits else folder_split(image) or folder_split(path)
    size = root.child("size")
    stated = (number(size.get("height")), number(size.get("width"))) if size else None
    record = collector.image(image, split, stated)
    if record is not None:
        offset = 1.0 if OFFICIAL.search(_source(root)) else 0.0
        for place, element in enumerate((child for child in root.children if child.tag == "object"), 1):
            _read_object(collector, record, f"{path}, object {place}", element, offset)


def _source(root: Element) -> str:
    source = root.child("source")
    return source.get("database") if source else ""


def _image_of(collector: Collector, path: str, root: Element) -> str | None:
    """Return the image that has the name of the XML file, otherwise the one that the annotation names."""
    folder = posixpath.dirname(path)
    reference = posixpath.join(folder, stem(path))
    if collector.images.with_stem(stem(path)):
        try:
            return collector.images.find(reference, folder)
        except AnnotationFault as fault:
            if fault.kind != AMBIGUOUS_IMAGE:
                raise
    return collector.find(path, root.get("filename") or root.get("path") or stem(path), folder)


def _read_object(collector: Collector, record: ImageRecord, name: str, element: Element, offset: float) -> None:
    box = element.child("bndbox")
    if box is None:
        collector.drop(record, name, INVALID_ENTRY, "has no box (bndbox)")
        return
    left, top, right, bottom = corners = _corners(box)
    if any(map(math.isnan, corners)):
        texts = ", ".join(f"{tag} '{box.get(tag)[:20]}'" for tag in CORNERS)
        collector.drop(record, name, INVALID_NUMBER, f"has coordinates that are not numbers: {texts}")
        return
    corners = left - offset, top - offset, right, bottom
    collector.add(record, RawBox(name, element.get("name"), corners, difficult=is_true(element.get("difficult"))))


def _corners(box: Element) -> Corners:
    left, top, right, bottom = (number(box.get(tag)) for tag in CORNERS)
    return left, top, right, bottom


def _splits(collector: Collector) -> dict[str, str]:
    """Return the split of each image name without extension, from the lists of ImageSets/Main."""
    splits: dict[str, str] = {}
    for path in _lists(collector.files.paths):
        data = collector.read(path, MAX_LIST_BYTES)
        split = LISTS[stem(path).lower()]
        for place, line in enumerate(decode(data or b"").splitlines(), 1):
            words = line.split()
            earlier = splits.setdefault(stem_of_entry(words[0]), split) if words else split
            if earlier != split and stem(path).lower() != "trainval":
                collector.problem(
                    f"{path}, line {place}", SPLIT_OVERLAP, f"the image is also in the {earlier} data, and used there"
                )
    return splits


def stem_of_entry(entry: str) -> str:
    """Return the name in a list without folders, and without extension if it is that of an image."""
    name = posixpath.basename(entry.replace("\\", "/"))
    return re.sub(r"\.(jpe?g|png|bmp|tiff?|webp|xml)$", "", name, flags=re.IGNORECASE)


def _lists(paths: Sequence[str]) -> list[str]:
    """Return the lists of splits, in the order of `LISTS`."""
    lists = [p for p in paths if "/imagesets/" in f"/{p.lower()}" and p.lower().endswith(".txt")]
    order = list(LISTS)
    main = [p for p in lists if stem(p).lower() in LISTS and "/layout/" not in p.lower()]
    main = [p for p in main if "/segmentation/" not in p.lower()]
    return sorted(main, key=lambda p: order.index(stem(p).lower()))


def _add_images_without_document(
    collector: Collector, documents: Mapping[str, Element], splits: Mapping[str, str]
) -> None:
    """Use images of the lists, or in folders with annotated images, that have no XML file, as empty ones."""
    if splits and not any(stem(image) in splits for image in collector.records):
        collector.notes.append("The lists of ImageSets name none of the images and are ignored.")
        splits = {}
    if splits:
        listed = [image for image in collector.images.paths if stem(image) in splits]
        unlisted = [image for image in collector.records if stem(image) not in splits]
        for image in unlisted:
            del collector.records[image]
        if unlisted:
            collector.notes.append(f"{len(unlisted):,} annotated images are in no list of ImageSets and left out.")
        collector.add_unlisted(listed, lambda image: splits[stem(image)])
    else:
        folders = {posixpath.dirname(image) for image in collector.records}
        images = [image for image in collector.images.paths if posixpath.dirname(image) in folders]
        collector.add_unlisted(images, folder_split)

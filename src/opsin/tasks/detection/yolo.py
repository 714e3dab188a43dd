"""Read YOLO annotations: one text file for each image, a line "class x y width height" for each box.

The centre and the extent are shares of the image's width and height. The files lie in labels/ where the images lie in
images/, or next to the images; data.yaml names the classes and the folders of the splits, or classes.txt the classes
(the format of Darknet, github.com/pjreddie/darknet, and its successors). Lines with more points are outlines; the box
around them is used. An image without a file, in a folder with others that have one, contains no objects.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Mapping, Sequence

from opsin.base.errors import DataError
from opsin.base.formatting import listed
from opsin.base.path_words import SPLITS, is_image
from opsin.tasks.annotations import Annotations, Files, ImageSize
from opsin.tasks.detection.collector import Collector, Corners, RawBox
from opsin.tasks.detection.yaml_subset import Value, read_yaml
from opsin.tasks.file_names import folder_split, normalized, stem
from opsin.tasks.problems import INVALID_ENTRY, INVALID_NUMBER, UNKNOWN_CLASS, printable
from opsin.tasks.text import decode, integer, number

FORM = "YOLO text files"
MAX_TEXT_BYTES = 16 << 20
MAX_YAML_BYTES = 4 << 20
MAX_CLASSES = 100_000
NAME_FILES = ("classes.txt", "obj.names", "classes.names", "_darknet.labels", "predefined_classes.txt", "labels.txt")
SAMPLE = 50
HEAD = 4096
"""Files, and bytes of each, that are looked into to tell whether text files next to images are annotations."""

BOX_FIELDS = (5, 6)
"""Words in a line: a box, and a box with a confidence."""

Names = dict[int, str]


def read(files: Files, image_size: ImageSize) -> Annotations | None:
    """Return the boxes of the text files; None if there is no annotation in this form."""
    collector = Collector(files, image_size)
    labels = _label_files(files.paths)
    if not any(_looks_like_boxes(files, path) for path in list(labels.values())[:SAMPLE]):
        return None
    config = _config(collector)
    names = _names(collector, config)
    splits = _split_folders(collector, config)
    for image, path in labels.items():
        _read_file(collector, image, path, names, _split(image, splits))
    folders = {posixpath.dirname(image) for image in labels}
    candidates = [path for path in collector.images.paths if posixpath.dirname(path) in folders]
    collector.add_unlisted(candidates, lambda image: _split(image, splits))
    return collector.finish(FORM, list(names.values()) if names else _numbered(collector))


def _numbered(collector: Collector) -> list[str]:
    """Return the numbers of the classes as their names."""
    collector.notes.append("No file names the classes (data.yaml or classes.txt), so their numbers are their names.")
    return sorted({label for record in collector.records.values() for label, *_ in record.boxes}, key=int)


def _label_files(paths: Sequence[str]) -> dict[str, str]:
    """Return the text file of each image that has one: in the mirrored folder labels/, or next to it."""
    texts = {path for path in paths if path.lower().endswith(".txt")}
    labels = {}
    for image in filter(is_image, paths):
        found = [text for text in _places(image) if text in texts]
        if found:
            labels[image] = found[0]
    return labels


def _places(image: str) -> list[str]:
    """Return the paths where the text file of an image may lie."""
    base = posixpath.splitext(image)[0]
    parts = base.split("/")
    mirrored = [
        "/".join([*parts[:i], "labels", *parts[i + 1 :]])
        for i in reversed(range(len(parts) - 1))
        if parts[i].lower() in ("images", "image", "imgs", "jpegimages")
    ]
    nested = posixpath.join(posixpath.dirname(base), "labels", parts[-1])
    return [f"{place}.txt" for place in [*mirrored, base, nested]]


def _looks_like_boxes(files: Files, path: str) -> bool:
    try:
        text = decode(files.read(path)[:HEAD])
    except DataError:
        return False
    words = next((line.split() for line in text.splitlines() if line.strip()), [])
    values = [number(word) for word in words]
    return len(words) >= 5 and integer(words[0]) is not None and not any(map(math.isnan, values))


def _read_file(collector: Collector, image: str, path: str, names: Names, split: str) -> None:
    data = collector.read(path, MAX_TEXT_BYTES)
    if data is None:
        collector.exclude(image)
        return
    record = collector.image(image, split)
    if record is None:
        return
    for place, line in enumerate(decode(data).splitlines(), 1):
        words, name = line.split(), f"{path}, line {place}"
        if not words:
            continue
        label, corners = _label(words[0], names), _corners(words[1:])
        if corners is None:
            collector.drop(record, name, INVALID_ENTRY, f"is not class, x, y, width, height: '{printable(line)}'")
        elif any(map(math.isnan, corners)):
            collector.drop(record, name, INVALID_NUMBER, f"holds something that is not a number: '{printable(line)}'")
        elif label is None:
            known = f"the classes are 0 to {max(names)}" if names else "classes are whole numbers from 0"
            collector.drop(record, name, UNKNOWN_CLASS, f"the class '{printable(words[0])}' is not known; {known}")
        else:
            collector.add(record, RawBox(name, label, corners, relative=True))


def _label(word: str, names: Names) -> str | None:
    key = integer(word)
    if key is None or key < 0:
        return None
    return names.get(key) if names else str(key)


def _corners(words: Sequence[str]) -> Corners | None:
    """Return the corners of a box, or of the box around an outline."""
    values = list(map(number, words))
    if len(words) + 1 in BOX_FIELDS:
        x, y, width, height = values[:4]
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(words) < 6 or len(words) % 2:
        return None
    if any(map(math.isnan, values)):
        return math.nan, math.nan, math.nan, math.nan
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])


def _config(collector: Collector) -> Mapping[str, Value]:
    """Return the content of the YAML file that names the classes; empty if there is none."""
    paths = [path for path in collector.files.paths if path.lower().endswith((".yaml", ".yml"))]
    for path in sorted(paths, key=lambda path: (path.count("/"), not stem(path).lower().startswith("data"), path)):
        data = collector.read(path, MAX_YAML_BYTES)
        content = read_yaml(decode(data)) if data is not None else {}
        if "names" in content:
            return content
    return {}


def _names(collector: Collector, config: Mapping[str, Value]) -> Names:
    """Return the names of the classes by number, from data.yaml or from a list."""
    names = config.get("names", "")
    if isinstance(names, dict):
        numbered = {integer(key): name for key, name in names.items()}
        return {key: name for key, name in numbered.items() if key is not None and 0 <= key < MAX_CLASSES and name}
    lines = names if isinstance(names, list) else _listed_names(collector)
    return {place: name for place, name in enumerate(lines[:MAX_CLASSES]) if name}


def _listed_names(collector: Collector) -> list[str]:
    """Return the lines of the list of class names nearest to the root; empty if there is none."""
    paths = [p for p in collector.files.paths if posixpath.basename(p).lower() in NAME_FILES or p.endswith(".names")]
    for path in sorted(paths, key=lambda path: (path.count("/"), path)):
        lines = [line.strip() for line in decode(collector.read(path, MAX_YAML_BYTES) or b"").splitlines()]
        while lines and not lines[-1]:
            lines.pop()
        if lines:
            return lines
    return []


def _split_folders(collector: Collector, config: Mapping[str, Value]) -> dict[str, str]:
    """Return the split of each folder or image that data.yaml names."""
    splits: dict[str, str] = {}
    missing = []
    for key in ("test", "valid", "val", "train"):  # what is named twice, as in small examples, is training data
        value = config.get(key, "")
        for entry in value if isinstance(value, list) else [value] if isinstance(value, str) and value else []:
            found = _entries(collector, entry, config)
            missing += [] if found else [entry]
            splits |= dict.fromkeys(found, SPLITS[key])
    if missing:
        collector.notes.append(f"data.yaml names folders that are not there: {listed(map(printable, missing), 4)}.")
    return splits


def _entries(collector: Collector, entry: str, config: Mapping[str, Value]) -> list[str]:
    """Return the folder that a path of data.yaml means, or the images that a list names.

    Paths may begin with those of another machine, or with "../", so the longest end that exists counts.
    """
    path = normalized(re.sub(r"^(\.\.?/+)+", "", entry.replace("\\", "/"))) or ""
    parts = path.split("/") if path else []
    folders = {posixpath.dirname(image) for image in collector.images.paths}
    prefixes = folders | {p[:i] for p in folders for i in range(len(p)) if p[i] == "/"}
    for start in range(len(parts)):
        tail = "/".join(parts[start:])
        found = [tail] if tail in prefixes else [place for place in prefixes if place.endswith("/" + tail)]
        if len(found) == 1:  # "images" alone may mean those of any split
            return found
        lists = [place for place in collector.files.paths if place == tail and tail.endswith(".txt")]
        if lists:
            return _listed_images(collector, lists[0])
    return []


def _listed_images(collector: Collector, path: str) -> list[str]:
    lines = decode(collector.read(path, MAX_TEXT_BYTES) or b"").splitlines()
    folder = posixpath.dirname(path)
    named = [(place, line.strip()) for place, line in enumerate(lines, 1) if line.strip()]
    found = [collector.find(f"{path}, line {place}", line.removeprefix("./"), folder) for place, line in named]
    return [image for image in found if image]


def _split(image: str, splits: Mapping[str, str]) -> str:
    """Return the split of an image: of its own entry, the innermost folder's, or what the folders' names say."""
    path = image
    while path:
        if path in splits:
            return splits[path]
        path = posixpath.dirname(path)
    return folder_split(image)

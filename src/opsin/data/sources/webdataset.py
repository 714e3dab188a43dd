"""Group the files of a shard into samples, and find the image and the label of each."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence

from opsin.base.path_words import IMAGE_ENDINGS

SampleFiles = dict[str, int]
"""The positions of the files of a sample by their extensions, such as ".jpg" and ".target.cls"."""

LABEL_WORDS = ("cls", "label", "labels", "class", "target", "y", "txt", "text", "json", "index", "inx", "id", "cls2")
"""Last words of the extensions of labels, in order of preference."""

TEXT_ENDINGS = ("txt", "text", "json", "jsn")
"""Extensions of text formats; the word before them may say that the file holds the label."""

INPUT_WORDS = ("input", "inputs", "image", "img", "picture", "photo", "x", "rgb")
OUTPUT_WORDS = (
    "mask", "masks", "seg", "segmentation", "depth", "target", "output", "label", "labels", "gt", "heatmap", "edges",
    "edge", "normal", "flow", "thumb", "thumbnail", "preview", "alpha",
)  # fmt: skip
"""Words before the extension of an image that say which of several images of a sample it is."""

IMAGE_WORD_ENDINGS = (".img", ".image", ".picture")


def samples(paths: Sequence[str]) -> Iterator[tuple[str, SampleFiles]]:
    """Yield each key with its files, which need not be adjacent. The key is the path up to the first dot of the name.

    If a key has several images that have labels of the same longer name, each of them is a sample.
    """
    keys: dict[str, SampleFiles] = {}
    for position, path in enumerate(paths):
        folder, name = posixpath.split(path)
        if name.startswith("__") and name.endswith("__"):  # metadata of WebDataset
            continue
        stem, dot, ending = name.partition(".")
        keys.setdefault(posixpath.join(folder, stem), {})[(dot + ending).lower()] = position
    for key, files in keys.items():
        yield from _split_key(key, files)


def _split_key(key: str, files: SampleFiles) -> Iterator[tuple[str, SampleFiles]]:
    """Yield the samples of a key: one, unless names with further dots make several."""
    if sum(map(is_image, files)) < 2:
        yield key, files
        return
    inner: dict[str, SampleFiles] = {}
    for ending, position in files.items():
        stem, dot, last = ending.rpartition(".")
        inner.setdefault(stem, {})[dot + last] = position
    stems = [stem for stem, group in inner.items() if any(map(is_image, group)) and label_ending(group) is not None]
    if len(stems) < 2:
        yield key, files
        return
    for stem in inner:
        yield key + stem, inner[stem]


def is_image(ending: str) -> bool:
    return ending.endswith(IMAGE_WORD_ENDINGS + IMAGE_ENDINGS)


def images_of(files: Mapping[str, int]) -> list[str]:
    """Return the extensions of the images of a sample: a single one if its name says that it is the input."""
    images = [ending for ending in files if is_image(ending)]
    for is_input in (
        lambda ending: ending.count(".") == 1,
        lambda ending: set(ending.split(".")) & set(INPUT_WORDS),
        lambda ending: not set(ending.split(".")) & set(OUTPUT_WORDS),
    ):
        matching = [ending for ending in images if is_input(ending)]
        if len(images) > 1 and len(matching) == 1:
            return matching
    return images


def label_ending(files: Mapping[str, int]) -> str | None:
    """Return the extension of the file with the label, or None."""
    ranked = [(rank, ending) for ending in files if (rank := _rank(ending)) is not None]
    return min(ranked)[1] if ranked else None


def _rank(ending: str) -> tuple[int, int] | None:
    """Return the rank of an extension of labels, the smallest being most likely; None for other extensions."""
    words = ending.removesuffix(".gz").lstrip(".").split(".")
    last = words[-1]
    if last in TEXT_ENDINGS and len(words) > 1 and words[-2] in LABEL_WORDS[: LABEL_WORDS.index("txt")]:
        return LABEL_WORDS.index(words[-2]), len(words)
    if last not in LABEL_WORDS and last != "jsn":
        return None
    is_preferred = len(words) == 1 or words[-2] not in INPUT_WORDS
    return LABEL_WORDS.index("json" if last == "jsn" else last) + (0 if is_preferred else len(LABEL_WORDS)), len(words)

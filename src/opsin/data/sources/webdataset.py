"""The examples of a shard: which of its files belong together, which is the image, and which the label."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence

from opsin.data.sources.names import IMAGE_ENDINGS

Files = dict[str, int]
"""The positions of an example's files by their endings, such as ".jpg" and ".target.cls"."""

LABEL_WORDS = ("cls", "label", "labels", "class", "target", "y", "txt", "text", "json", "index", "inx", "id", "cls2")
"""What the last words of labels' endings are, in the order in which a label is looked for."""

TEXT_ENDINGS = ("txt", "text", "json", "jsn")
"""Endings that say how a file is written; the word before them may say that it is the label."""

INPUT_WORDS = ("input", "inputs", "image", "img", "picture", "photo", "x", "rgb")
OUTPUT_WORDS = (
    "mask", "masks", "seg", "segmentation", "depth", "target", "output", "label", "labels", "gt", "heatmap", "edges",
    "edge", "normal", "flow", "thumb", "thumbnail", "preview", "alpha",
)  # fmt: skip
"""Words before an image's ending that say what it is to an example with several."""

IMAGE_WORD_ENDINGS = (".img", ".image", ".picture")


def samples(paths: Sequence[str]) -> Iterator[tuple[str, Files]]:
    """Each key with its files, which need not be neighbours. The key is all up to the first dot of a file's name.

    Where a key has several images with labels of the same longer name, these are examples of their own.
    """
    found: dict[str, Files] = {}
    for position, path in enumerate(paths):
        folder, name = posixpath.split(path)
        if name.startswith("__") and name.endswith("__"):  # what WebDataset says of itself
            continue
        stem, dot, ending = name.partition(".")
        found.setdefault(posixpath.join(folder, stem), {})[(dot + ending).lower()] = position
    for key, files in found.items():
        yield from _apart(key, files)


def _apart(key: str, files: Files) -> Iterator[tuple[str, Files]]:
    """The examples of a key: one, unless names with further dots make several."""
    if sum(map(is_image, files)) < 2:
        yield key, files
        return
    inner: dict[str, Files] = {}
    for ending, position in files.items():
        stem, dot, last = ending.rpartition(".")
        inner.setdefault(stem, {})[dot + last] = position
    whole = [stem for stem, own in inner.items() if any(map(is_image, own)) and label_ending(own) is not None]
    if len(whole) < 2:
        yield key, files
        return
    for stem in inner:
        yield key + stem, inner[stem]


def is_image(ending: str) -> bool:
    return ending.endswith(IMAGE_WORD_ENDINGS + IMAGE_ENDINGS)


def images_of(files: Mapping[str, int]) -> list[str]:
    """The endings of an example's images: one where one of several is the input by its name."""
    found = [ending for ending in files if is_image(ending)]
    for fits_in_memory in (
        lambda ending: ending.count(".") == 1,
        lambda ending: set(ending.split(".")) & set(INPUT_WORDS),
        lambda ending: not set(ending.split(".")) & set(OUTPUT_WORDS),
    ):
        some = [ending for ending in found if fits_in_memory(ending)]
        if len(found) > 1 and len(some) == 1:
            return some
    return found


def label_ending(files: Mapping[str, int]) -> str | None:
    """The ending of the file with the label; None where there is none."""
    ranked = [(rank, ending) for ending in files if (rank := _rank(ending)) is not None]
    return min(ranked)[1] if ranked else None


def _rank(ending: str) -> tuple[int, int] | None:
    """How likely a file with this ending is to hold the label, the least the likeliest; None for others."""
    words = ending.removesuffix(".gz").lstrip(".").split(".")
    last = words[-1]
    if last in TEXT_ENDINGS and len(words) > 1 and words[-2] in LABEL_WORDS[: LABEL_WORDS.index("txt")]:
        return LABEL_WORDS.index(words[-2]), len(words)
    if last not in LABEL_WORDS and last != "jsn":
        return None
    named = len(words) == 1 or words[-2] not in INPUT_WORDS
    return LABEL_WORDS.index("json" if last == "jsn" else last) + (0 if named else len(LABEL_WORDS)), len(words)

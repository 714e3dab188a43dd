"""What names of files and folders say: a part of the data, a picture, or litter."""

from __future__ import annotations

import re
from collections.abc import Iterable

from opsin.data.items import TEST, TRAIN, VALIDATION

PART_WORDS = {
    TRAIN: ("train", "training", "trainset", "traindata"),
    VALIDATION: ("val", "valid", "validate", "validation", "valset", "dev", "develop", "development"),
    TEST: ("test", "testing", "testset", "tests", "eval", "evaluation"),
}
_PARTS = {word: part for part, words in PART_WORDS.items() for word in words}

LITTER = {"thumbs.db", "desktop.ini", "icon\r", "__macosx"}
"""What file managers leave in folders of pictures, besides hidden files."""

PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff")
OTHER_ENDINGS = (".heic", ".heif", ".avif", ".svg", ".jp2", ".ppm", ".pgm", ".psd")
"""Of pictures that are not read, but whose names belong to a receipt."""


def part_of(name: str) -> str | None:
    """The part that a folder or a column's value is named after: "Train", "val2017", "test_set", "validation"."""
    return _PARTS.get(re.sub(r"[\d_\-. ]+(set|data|images|split)?$", "", name.lower()))


def part_within(name: str) -> str | None:
    """The part that a file's path mentions: "train-00001.tar", "data/validation-00000-of-00002.parquet"."""
    words = re.split(r"[\W\d_]+", name.lower())
    return next((_PARTS[word] for word in words if word in _PARTS), None)


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is none of the user's own."""
    return name.startswith(".") or name.lower() in LITTER


def wanted(path: str) -> bool:
    """Whether nothing on the way to a file is hidden or litter; "./" does not count."""
    return not any(is_litter(part) for part in path.split("/") if part != ".")


def like_picture(name: str) -> bool:
    return name.lower().endswith(PICTURE_ENDINGS + OTHER_ENDINGS)


def listed(names: Iterable[str], most: int = 8) -> str:
    """Names for a sentence: the first few, and how many more there are."""
    every = list(names)
    more = f", … ({len(every):,} in all)" if len(every) > most else ""
    return ", ".join(f"'{name}'" for name in every[:most]) + more

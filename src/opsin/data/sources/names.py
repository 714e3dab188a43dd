"""What names of files and folders say: a part of the data, an image, or litter."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from opsin.data.items import TEST, TRAIN, VALIDATION

SPLIT_WORDS = {
    TRAIN: ("train", "training", "trainset", "traindata"),
    VALIDATION: ("val", "valid", "validate", "validation", "valset", "dev", "develop", "development"),
    TEST: ("test", "testing", "testset", "tests", "eval", "evaluation"),
}
_SPLITS = {word: part for part, words in SPLIT_WORDS.items() for word in words}

INPUT_FOLDERS = frozenset(
    "image images img imgs jpegimages picture pictures photo photos jpg jpeg png raw input".split()
)
OTHER_FOLDERS = frozenset(
    "mask masks segmentation segmentations annotation annotations label labels gt depth thumbs thumbnails".split()
)
"""Folders of images that are of no class, and of what belongs to these."""

IGNORED_NAMES = frozenset((
    "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini", "zbthumbnail.info",  # Windows
    "$recycle.bin", "recycler", "recycled", "system volume information",
    "icon\r", "__macosx", "network trash folder", "temporary items", "thevolumesettingsfolder",  # macOS
    "lost+found", "#recycle", "#snapshot", "@eadir", "@tmp", "@sharebin",  # Linux, Synology
    "@recycle", "@recently-snapshot", "@__thumb",  # QNAP
    "__pycache__",
))  # fmt: skip
"""What systems, file managers and network drives leave in folders of images, besides hidden files."""

IGNORED_ENDINGS = ("@synoeastream", "@synoresource")
"""Of files that Synology's drives write beside each image."""

IMAGE_ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".webp", ".bmp", ".dib", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".avif", ".avifs",
    ".ico", ".cur", ".tga", ".dds", ".sgi", ".rgb", ".rgba", ".bw", ".pcx", ".qoi", ".ras",
)  # fmt: skip
OTHER_ENDINGS = (".heic", ".heif", ".svg", ".pam", ".psd", ".jxl")
"""Of images that are not read, but whose names belong to a receipt."""


UNCLEAN = re.compile(r"\\|^[/.]|^.:|//|/\.|/$|^$", re.DOTALL)
"""What may have to be cleaned in a path."""


def split_named(name: str) -> str | None:
    """The part that a folder or a column's value is named after: "Train", "val2017", "test_set", "validation"."""
    return _SPLITS.get(re.sub(r"[\d_\-. ]+(set|data|images|split)?$", "", name.lower()))


def split_mentioned(name: str) -> str | None:
    """The part that a file's path mentions: "train-00001.tar", "data/validation-00000-of-00002.parquet"."""
    words = re.split(r"[\W\d_]+", name.lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), None)


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name is none of the user's own."""
    lowered = name.lower()
    return lowered.startswith(".") or lowered in IGNORED_NAMES or lowered.endswith(IGNORED_ENDINGS)


def wanted(path: str) -> bool:
    """Whether nothing on the way to a file is hidden or litter; "./" does not count."""
    return not any(is_ignored(part) for part in path.split("/") if part != ".")


def cleaned(path: str) -> str | None:
    r"""A path in an archive or a table, by "/": a\b, ./a/b, /a/b and C:\a\b are a/b. None where it climbs out.

    PKWARE's APPNOTE (4.4.17.1) wants "/", no drive and no root, but not every program obeys: the .NET Framework
    before 4.6.1, and so PowerShell's Compress-Archive, writes backslashes.
    """
    if not UNCLEAN.search(path):  # nearly always
        return path
    turned = re.sub(r"^/*(\?/+)?([A-Za-z]:/+)?/*", "", path.replace("\\", "/"))
    whole = posixpath.normpath(turned) if turned else "."
    return None if whole == ".." or whole.startswith("../") else whole


def has_image_ending(name: str) -> bool:
    return name.lower().endswith(IMAGE_ENDINGS + OTHER_ENDINGS)


def listed(names: Iterable[str], most: int = 8) -> str:
    """Names for a sentence: the first few, and how many more there are."""
    every = list(names)
    more = f", … ({len(every):,} in all)" if len(every) > most else ""
    return ", ".join(f"'{name}'" for name in every[:most]) + more

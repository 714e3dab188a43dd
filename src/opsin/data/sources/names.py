"""Interpret the names of files and folders: splits, images, and files to ignore."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from opsin.base import formatting, path_words

INPUT_FOLDERS = frozenset(
    "image images img imgs jpegimages picture pictures photo photos jpg jpeg png raw input".split()
)
OTHER_FOLDERS = frozenset(
    "mask masks segmentation segmentations annotation annotations label labels gt depth thumbs thumbnails".split()
)
"""Names of folders that hold all images, and of folders that hold masks, labels and the like."""

IGNORED_NAMES = frozenset((
    "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini", "zbthumbnail.info",  # Windows
    "$recycle.bin", "recycler", "recycled", "system volume information",
    "icon\r", "__macosx", "network trash folder", "temporary items", "thevolumesettingsfolder",  # macOS
    "lost+found", "#recycle", "#snapshot", "@eadir", "@tmp", "@sharebin",  # Linux, Synology
    "@recycle", "@recently-snapshot", "@__thumb",  # QNAP
    "__pycache__",
))  # fmt: skip
"""Files and folders that systems, file managers and network drives create, apart from hidden ones."""

IGNORED_ENDINGS = ("@synoeastream", "@synoresource")
"""Extensions of files that Synology drives create for each image."""

UNNORMALISED = re.compile(r"\\|^[/.]|^.:|//|/\.|/$|^$", re.DOTALL)
"""Matches paths that may need normalization."""


def split_named(name: str) -> str | None:
    """Return the split that a folder or a value is named after: "Train", "val2017", "test_set", "validation"."""
    return path_words.split_named(name) or None


def split_mentioned(name: str) -> str | None:
    """Return the split that a path mentions: "train-00001.tar", "data/validation-00000-of-00002.parquet"."""
    return path_words.split_mentioned(name) or None


def is_ignored(name: str) -> bool:
    """Return whether a file or folder of this name is hidden or was created by the system or another program."""
    lowered = name.lower()
    return lowered.startswith(".") or lowered in IGNORED_NAMES or lowered.endswith(IGNORED_ENDINGS)


def normalized(path: str) -> str | None:
    r"""Normalize a path in an archive or a table: a\b, ./a/b, /a/b and C:\a\b become a/b. Return None for ../a.

    PKWARE's APPNOTE (4.4.17.1) requires "/", no drive and no root, but the .NET Framework before 4.6.1, and therefore
    PowerShell's Compress-Archive, writes backslashes.
    """
    if not UNNORMALISED.search(path):  # nearly always
        return path
    relative = re.sub(r"^/*(\?/+)?([A-Za-z]:/+)?/*", "", path.replace("\\", "/"))
    path = posixpath.normpath(relative) if relative else "."
    return None if path == ".." or path.startswith("../") else path


def quoted_list(names: Iterable[str], limit: int = 8) -> str:
    """Return names in quotes for a sentence: the first few, and how many there are in total."""
    return formatting.listed((f"'{name}'" for name in names), limit)

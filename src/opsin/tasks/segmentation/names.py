"""Interpret the names of files and folders: images and masks."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from opsin.base.path_words import SPLITS

MASK_WORDS = (
    "segmentationclassraw segmentationclassaug segmentationclass segmentations segmentation groundtruths groundtruth "
    "annotations annotation annot masks mask labels label gtfine gts gt seg targets target trimaps trimap"
).split()
IMAGE_WORDS = "jpegimages leftimg8bit images image imgs img inputs input photos".split()
MASK_SUFFIXES = tuple("gtfine_labelids segmentation annotation labelids masks mask label labels seg gt matte l".split())
IMAGE_SUFFIXES = tuple("leftimg8bit image img sat".split())
OTHER_SUFFIXES = ("_color", "_instanceids", "_labeltrainids", "_instancetrainids")
"""Other views of the masks of Cityscapes (Cordts et al. 2016)."""
OTHER_FOLDERS = frozenset(("segmentationobject",))
"""Folders of masks of instances next to those of classes (Pascal VOC)."""

SPOOFING = re.compile("[\\x00-\\x1f\\x7f-\\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def stem(path: str) -> str:
    """Return the name of a file without folders and extension."""
    name = posixpath.basename(path)
    return name.rpartition(".")[0] or name


def without_word(name: str, words: list[str]) -> str | None:
    """Return a folder's name without one of the words: "train_masks" or "trainmasks" → "train"; None if it has none."""
    lowered = name.lower()
    parts = re.split(r"[_\-. ]+", lowered)
    for word in words:
        if word in parts:
            parts.remove(word)
            return "_".join(parts)
    return next((SPLITTABLE[lowered, word] for word in words if (lowered, word) in SPLITTABLE), None)


SPLITTABLE = {
    (split + word, word): split for split in SPLITS for word in MASK_WORDS + IMAGE_WORDS
}  # "trainannot" of CamVid in SegNet's tutorial
"""Names of folders that consist of a split and a word without a separator, and the split."""


def without_suffix(name: str, suffixes: Sequence[str]) -> str | None:
    """Return the stem of a file without one of the suffixes: "x_mask" → "x"; None if it has none."""
    lowered = name.lower()
    if not lowered.endswith(tuple(suffixes)):  # nearly always
        return None
    for suffix in suffixes:
        if lowered.endswith(("_" + suffix, "-" + suffix, "." + suffix)) and len(name) > len(suffix) + 1:
            return name[: -len(suffix) - 1]
    return None


def printable(text: str) -> str:
    """Return a text from a file as one line without control characters, at most 200 characters long."""
    clean = SPOOFING.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)
    return clean if len(clean) <= 200 else clean[:199] + "…"


def inside(path: str, folder: str) -> str | None:
    r"""Return a path of a table or an annotation in `folder` as one of the data; None if it leaves the data.

    Backslashes are separators; a drive or a root is cut off.
    """
    relative = re.sub(r"^([A-Za-z]:)?/+", "", path.replace("\\", "/"))
    joined = posixpath.normpath(posixpath.join(folder, relative))
    return None if joined == ".." or joined.startswith("../") or "\0" in joined else joined

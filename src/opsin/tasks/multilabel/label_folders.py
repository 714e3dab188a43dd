"""Find folders of labels that hold the same images: links or copies, one in the folder of each of its labels."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from opsin.base.errors import DataError
from opsin.base.path_words import SPLITS, is_image
from opsin.tasks.annotations import Files
from opsin.tasks.file_names import folder_split

SAMPLE = 64
"""Names in several folders whose files are compared first."""

MIN_SHARED = 0.1
"""The share of the images that lie in several folders."""


@dataclass(frozen=True)
class FolderImage:
    """An image, the first of the paths where it lies, with the names of all of its folders."""

    path: str
    labels: tuple[str, ...]
    split: str


def images_in_folders(files: Files) -> list[FolderImage]:
    """Return the images in folders of labels; nothing unless at least a tenth of them lie in several."""
    groups = _same_names(files.paths)
    several = [paths for paths in groups if len(paths) > 1]
    if not several or len(several) < MIN_SHARED * len(groups):
        return []
    sample = [several[place] for place in np.unique(np.linspace(0, len(several) - 1, SAMPLE).astype(int))]
    if not any(len(same) > 1 for paths in sample for same in _same_content(files, paths)):
        return []
    images = [same for paths in groups for same in (_same_content(files, paths) if len(paths) > 1 else [paths])]
    if sum(len(same) > 1 for same in images) < max(1, MIN_SHARED * len(images)):
        return []
    return [_image(same) for same in sorted(images)]


def _same_names(paths: Iterable[str]) -> list[list[str]]:
    """Return the paths of images by split and name; one in no folder, or only in that of a split, has no label."""
    groups: dict[tuple[str, str], list[str]] = {}
    for path in paths:
        if is_image(path) and _label(path):
            groups.setdefault((folder_split(path), posixpath.basename(path)), []).append(path)
    return list(groups.values())


def _label(path: str) -> str:
    folder = posixpath.basename(posixpath.dirname(path))
    return "" if folder.lower() in SPLITS else folder


def _same_content(files: Files, paths: Sequence[str]) -> list[list[str]]:
    """Return files of the same name in groups of the same content; one that cannot be read is alone."""
    groups: dict[bytes, list[str]] = {}
    for path in paths:
        try:
            digest = blake2b(files.read(path), digest_size=16).digest()
        except DataError:
            digest = path.encode("utf-8", "surrogateescape")
        groups.setdefault(digest, []).append(path)
    return list(groups.values())


def _image(paths: Sequence[str]) -> FolderImage:
    return FolderImage(paths[0], tuple(dict.fromkeys(map(_label, paths))), folder_split(paths[0]))

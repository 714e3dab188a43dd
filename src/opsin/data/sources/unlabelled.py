"""Images of a folder and its subfolders, whatever they show: no labels are needed."""

from __future__ import annotations

import os
from pathlib import Path

from opsin.base.errors import DataError
from opsin.base.path_words import has_image_ending
from opsin.data.items import UNSPLIT, Item, printable
from opsin.data.sources.folder import Files, FolderWalk


def open_unlabelled(folder: Path) -> Files:
    """Return all files with the extension of an image, sorted by their paths; their labels are empty.

    Raise `DataError` if there is no such folder, or no image in it.
    """
    if not os.path.isdir(folder):
        what = "is a file, not a folder" if os.path.exists(folder) else "there is no such folder"
        raise DataError(f"{folder}: {what}; give a folder of images, which may have subfolders")
    try:
        walk = FolderWalk(folder)
    except PermissionError:
        raise DataError(f"{folder}: reading this folder is not permitted; change its permissions") from None
    paths = [path for path in walk.files if has_image_ending(path)]
    if not paths:
        raise DataError(f"{folder} holds no images, nor do its subfolders; give a folder of JPEG, PNG or other images")
    items = [Item(printable(path), "", UNSPLIT) for path in paths]
    return Files(folder.resolve().name, folder, items, walk.problems, paths, (), walk.notes())

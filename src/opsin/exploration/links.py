"""Groups as class folders of links, whose renaming labels the images."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from opsin.base.atomic import PREFIX
from opsin.base.errors import UsageError


def check_new_folder(folder: Path) -> None:
    """Raise `UsageError` unless `folder` can be made."""
    if os.path.lexists(folder):
        raise UsageError(f"{folder} exists, and nothing in it is overwritten; name another folder, or move it first")
    if not folder.parent.is_dir():
        raise UsageError(f"{folder} cannot be made: there is no folder {folder.parent}; make it, or name another place")


def write_class_folders(folder: Path, groups: Mapping[str, Iterable[tuple[str, Path]]]) -> bool:
    """Make `folder` with a folder for each group, and in it a link to each image: all of it or nothing.

    The groups hold the names of images, which are paths, and their files; "/" becomes "_" in the name of a link. Where
    links are impossible, files are copied. Return whether all are links. Raise `UsageError` if `folder` exists or
    cannot be written.
    """
    check_new_folder(folder)
    temporary = folder.parent / f"{PREFIX}{os.urandom(8).hex()}"
    try:
        temporary.mkdir()
        are_links = [_write_group(temporary / name, images) for name, images in groups.items()]
        check_new_folder(folder)
        temporary.rename(folder)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}; name another folder") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return all(are_links)


def _write_group(folder: Path, images: Iterable[tuple[str, Path]]) -> bool:
    """Make the folder of a group. Return whether all images in it are links."""
    folder.mkdir()
    are_links = [_link(_free(folder / name.replace("/", "_")), file.resolve()) for name, file in images]
    return all(are_links)


def _link(target: Path, file: Path) -> bool:
    """Make a link to a file, or a copy of it. Return whether it is a link."""
    with suppress(OSError, NotImplementedError):
        target.symlink_to(file)
        return True
    shutil.copy2(file, target)
    return False


def _free(path: Path) -> Path:
    """Return a path that is not in use: a/b.jpg and a_b.jpg would have the same name."""
    candidate, number = path, 2
    while os.path.lexists(candidate):
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return candidate

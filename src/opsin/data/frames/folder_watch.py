"""Find the files that another program writes to a folder, each once it is complete.

Folders are listed again and again, which works on every file system, network drives included. A file counts as complete
if its size and time are those of the previous listing. If it cannot be decoded then, it is reported again when it has
changed.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from opsin.base.errors import DataError
from opsin.base.path_words import has_image_ending
from opsin.data.items import ItemError
from opsin.data.sources.names import is_ignored

PATIENCE = 3.0
"""Seconds after which a file that cannot be decoded, and does not change, is given up."""

Stamp = tuple[int, int]
"""Time of the last change in nanoseconds, and size in bytes."""


@dataclass
class _File:
    """What is known of a file: `error` if it could not be decoded at the time `since`."""

    stamp: Stamp
    is_reported: bool = False
    error: ItemError | None = None
    since: float = 0.0


class FolderWatch:
    """The image files of a folder and its subfolders, each reported once.

    Hidden files, files without the extension of an image, and the folder `exclude` are ignored.
    """

    def __init__(self, folder: Path, exclude: Path | None = None, clock: Callable[[], float] = monotonic) -> None:
        self._folder, self._clock = folder.resolve(), clock
        self._exclude = exclude and exclude.resolve()
        self._files: dict[str, _File] = {}
        self._postponed: deque[tuple[str, ItemError]] = deque()
        self.last_change = clock()
        """When a file was last seen to appear or to grow."""

    def scan(self) -> tuple[list[str], list[ItemError]]:
        """List the folder. Return the names of files that are now complete, and the errors of files given up.

        Names are paths in the folder, in the order of their last change; of the same time, in natural order. Raise
        `DataError` if the folder cannot be read.
        """
        self._accept_postponed()
        files, complete, errors = {}, [], []
        for name, entry in self._list():
            file = files[name] = self._updated(name, entry)
            if file.is_reported or file is not self._files.get(name):
                continue
            if file.error and self._clock() - file.since >= PATIENCE:
                errors.append(file.error)
                file.is_reported = True
            elif not file.error and file.stamp[1]:
                complete.append(name)
                file.is_reported = True
        self._files = files
        return sorted(complete, key=lambda name: (files[name].stamp[0], natural_order(name))), errors

    def postpone(self, name: str, error: ItemError) -> None:
        """Take back that a file is complete, since it cannot be decoded. Other threads may call this."""
        self._postponed.append((name, error))

    @property
    def names(self) -> list[str]:
        """The names of all files of the last listing."""
        return list(self._files)

    @property
    def is_waiting(self) -> bool:
        """Whether there are files that will be complete at the next listing, unless they grow."""
        return any(not file.is_reported and not file.error and file.stamp[1] for file in self._files.values())

    def unreadable(self) -> list[ItemError]:
        """Return the errors of the files that are waited for, because they cannot be decoded."""
        self._accept_postponed()
        return [file.error for file in self._files.values() if file.error and not file.is_reported]

    def _accept_postponed(self) -> None:
        while self._postponed:
            name, error = self._postponed.popleft()
            if name in self._files:
                file = self._files[name]
                file.is_reported, file.error, file.since = False, error, self._clock()

    def _updated(self, name: str, entry: os.DirEntry[str]) -> _File:
        """Return what is known of a file; a new object if the file is new or has changed."""
        known = self._files.get(name)
        if known and known.is_reported:
            return known
        try:
            status = entry.stat()
        except OSError:  # deleted since it was listed
            return known or _File((0, 0))
        stamp = status.st_mtime_ns, status.st_size
        if known and known.stamp == stamp:
            return known
        self.last_change = self._clock()
        return _File(stamp)

    def _list(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Yield the image files with their paths in the folder. Links to folders are not followed."""
        folders = [""]
        while folders:
            relative = folders.pop()
            for entry in self._entries(relative):
                name = f"{relative}/{entry.name}" if relative else entry.name
                if entry.is_dir(follow_symlinks=False):
                    folders += [] if self._folder / name == self._exclude else [name]
                elif has_image_ending(entry.name):
                    yield name, entry

    def _entries(self, relative: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._folder / relative) as entries:
                return [entry for entry in entries if not is_ignored(entry.name)]
        except OSError as error:
            if relative:  # deleted since it was listed, or not permitted
                return []
            text = (
                f"the folder {self._folder} cannot be read: {error.strerror}; it must exist as long as it is followed"
            )
            raise DataError(text) from None


def natural_order(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in names by their value: "frame9" before "frame10"."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]

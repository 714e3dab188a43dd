"""Files that are written completely or not at all.

The content goes to a temporary file in the same folder, which is renamed when it is complete (POSIX rename is atomic).
Whatever fails, a file that was there before stays as it was, and no reader ever sees half of the new one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

PREFIX, SUFFIX = ".new-", ".part"
"""How the names of temporary files begin and end. They are short, whatever the length of the final name."""

PRIVATE = 0o600
"""The mode of files that only their owner may read."""


class AtomicFile:
    """A temporary file that replaces `path` on `commit`, or vanishes on `discard`. Errors are the system's `OSError`s.

    A new file gets `mode`, less the umask; an existing one keeps its mode. A symbolic link is replaced, not followed.
    If `durable`, the content and the renaming are on the disk when `commit` returns, so that they survive a power cut.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, durable: bool = True, mode: int = 0o666, buffering: int = -1
    ) -> None:
        self.path, self._durable = Path(path), durable
        self.temporary = self.path.parent / f"{PREFIX}{os.urandom(8).hex()}{SUFFIX}"
        with suppress(FileNotFoundError):
            os.lstat(self.path)  # raises if the name is too long or the folder is none, before anything is written
        self.file: BinaryIO = open(  # noqa: SIM115 (commit and discard close it)
            self.temporary, "xb", buffering, opener=partial(os.open, mode=mode)
        )

    def commit(self) -> None:
        """Close the file and give it its name; after an error, `discard` it."""
        self.file.flush()
        if self._durable:
            os.fsync(self.file.fileno())
        self.file.close()
        rename_complete(self.temporary, self.path, durable=self._durable)

    def discard(self) -> None:
        """Close and remove the temporary file; do nothing after a `commit`. Raise no errors."""
        with suppress(OSError):
            self.file.close()
        with suppress(OSError):
            self.temporary.unlink()


@contextmanager
def atomic_file(path: str | os.PathLike[str], *, durable: bool = True, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a file for writing that replaces `path` at the end of the block, or vanishes if the block raises."""
    file = AtomicFile(path, durable=durable, mode=mode)
    try:
        yield file.file
        file.commit()
    finally:
        file.discard()


def atomic_write(
    path: str | os.PathLike[str],
    content: bytes | str | Callable[[BinaryIO], object],
    *,
    durable: bool = True,
    mode: int = 0o666,
) -> None:
    """Write a whole file: bytes, text as UTF-8, or what `content` writes to the file it is called with.

    See `AtomicFile` for the other arguments.
    """
    with atomic_file(path, durable=durable, mode=mode) as file:
        if callable(content):
            content(file)
        else:
            file.write(content.encode() if isinstance(content, str) else content)


def atomic_write_all(files: Mapping[Path, bytes]) -> None:
    """Write files that belong together, and make their folders.

    No file gets its name before the content of all is written. If one cannot be written, earlier files and folders
    stay as they were. Errors are the system's `OSError`s.
    """
    folders = {folder for path in files for folder in path.parents if not folder.exists()}
    try:
        with ExitStack() as stack:
            for path, content in files.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(atomic_file(path))
                file.write(content)
                file.flush()  # a full disk is found here, before the first renaming
    finally:
        for folder in sorted(folders, reverse=True):  # inner ones first
            with suppress(OSError):  # it is not empty, because the files were written
                folder.rmdir()


def rename_complete(temporary: Path, path: Path, *, durable: bool = True) -> None:
    """Give a complete and closed file its name in the same folder: the last step of `AtomicFile.commit`.

    Call it directly for files that are written in several attempts, such as downloads that resume.
    """
    with suppress(OSError):  # there is no such file yet, or the file system has no modes
        status = os.lstat(path)
        if stat.S_ISREG(status.st_mode):
            os.chmod(temporary, stat.S_IMODE(status.st_mode))
    temporary.replace(path)
    if durable:
        sync_folder(path.parent)


def remove_temporaries(folder: Path) -> None:
    """Remove what killed processes left in `folder`, which no other process may be writing to."""
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(OSError):
            path.unlink()


def sync_folder(folder: Path) -> None:
    """Force renamings in `folder` to the disk. Do nothing if the system cannot."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

"""Index the files in a tar once, and read them by offset from any thread.

A compressed tar has no offsets to read from. It is decompressed into an unnamed temporary file, up to a limit.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import posixpath
import shutil
import tarfile
import tempfile
import weakref
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from opsin.base.errors import DataError
from opsin.data.file_io import MAX_IMAGE_BYTES, os_error, special_file_type, stamp, too_large_error
from opsin.data.items import DAMAGED, LOOP, MISSING, SPECIAL, FileProblem, ItemError, printable
from opsin.data.positional import read_into
from opsin.data.sources.member_paths import MemberPaths
from opsin.data.sources.names import normalized

OPENERS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
"""Signatures of compressed files, and the functions that open them."""

MAX_UNPACKED_BYTES = 2**34
"""Limit of the decompressed size, 16 GiB; the temporary folder must have twice as much free space."""

COPY_BYTES = 2**20


class Tar:
    """The `archive.Members` of a tar. Takes 16 bytes and a path in memory for each file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[FileProblem] = []
        self.folders: list[str] = []
        self.notes: list[str] = []
        self._spool: int | None = None
        self._stamp = stamp(path)
        try:
            with open(path, "rb") as file:
                head = file.read(8)
            unpack = next((opener for magic, opener in OPENERS.items() if head.startswith(magic)), None)
            if unpack:
                self._spool = _decompressed(path, unpack)
                weakref.finalize(self, os.close, self._spool)
            self._index()
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from None

    def _index(self) -> None:
        files: dict[str, tuple[int, int]] = {}
        links: dict[str, str] = {}
        member_paths = MemberPaths(self.path.name)
        with self._open() as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            for member in self._members(file):
                path = member_paths.take(member.name, member.isdir() or member.name.endswith("\\"))
                if path is None:
                    continue
                if member.issparse() or not (member.isreg() or member.issym() or member.islnk()):
                    self._add(path, f"{special_file_type(member.mode) or 'not a regular file'}, not an image", SPECIAL)
                elif member.issym():
                    target = member.linkname.replace("\\", "/")
                    links[path] = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
                elif member.islnk():
                    links[path] = normalized(member.linkname) or ""
                elif member.offset_data + member.size > size:
                    self._add(path, "cut short, as the archive ends before it does", DAMAGED)
                else:
                    files[path] = member.offset_data, member.size
        targets = {path: self._target(path, links, files) for path in links}
        files |= {path: files[target] for path, target in targets.items() if target is not None}
        self.paths = list(files)
        self.problems += member_paths.problems
        self.folders, self.notes = member_paths.folders, member_paths.notes()
        self._positions = np.array(list(files.values()), np.int64).reshape(-1, 2)

    def _members(self, file: IO[bytes]) -> Iterator[tarfile.TarInfo]:
        """Yield every member. If the archive is truncated, record it as a problem."""
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                while (member := tar.next()) is not None:
                    tar.members = []  # type: ignore[attr-defined]  # otherwise it would keep all of them
                    yield member
        except (tarfile.TarError, EOFError, ValueError) as error:
            if not isinstance(error, tarfile.ReadError) or file.tell() <= tarfile.BLOCKSIZE:
                raise DataError(f"{self.path} is not a tar, or damaged ({error}); fetch it again") from None
            self.problems.append(FileProblem(self.path.name, f"cut short or damaged ({error})", DAMAGED))

    def _target(self, path: str, links: Mapping[str, str], files: Mapping[str, object]) -> str | None:
        """Return the file at the end of a chain of links."""
        visited, at = {path}, links[path]
        while at in links and at not in visited:
            visited.add(at)
            at = links[at]
        if at in files:
            return at
        self._add(
            path, *(("a link in a circle of links", LOOP) if at in visited else ("a link to a missing file", MISSING))
        )
        return None

    def _add(self, path: str, reason: str, kind: str) -> None:
        self.problems.append(FileProblem(f"{self.path.name}/{printable(path)}", reason, kind))

    def _open(self) -> IO[bytes]:
        """Open the uncompressed tar. All readers of the temporary file share one position."""
        return open(self.path, "rb") if self._spool is None else open(self._spool, "rb", closefd=False)

    def read(self, position: int, name: str) -> bytes:
        offset, size = (int(number) for number in self._positions[position])
        if size > MAX_IMAGE_BYTES:
            raise too_large_error(name, size)
        try:
            data = bytearray(size)
            with self._open() as file:
                count = read_into(file.fileno(), memoryview(data), offset)
        except OSError as error:
            raise os_error(name, error) from None
        if count < size:
            text = f"{name} is cut short, as {self.path} has become shorter; fetch the archive again"
            raise ItemError(text, FileProblem(name, "cut short, as the archive ends before it does", DAMAGED))
        return bytes(data)

    def stamp(self, position: int) -> str:
        offset, size = self._positions[position]
        return f"{self._stamp}.{offset:x}.{size:x}" if self._stamp else ""


def _decompressed(path: Path, unpack: Callable[..., Any]) -> int:
    """Decompress a tar into an unnamed temporary file and return a handle; closing it deletes the file."""
    limit = min(MAX_UNPACKED_BYTES, shutil.disk_usage(tempfile.gettempdir()).free // 2)
    try:
        with tempfile.TemporaryFile() as spool, unpack(path, "rb") as file:
            while piece := file.read(COPY_BYTES):
                if spool.tell() + len(piece) > limit:
                    raise DataError(
                        f"{path} has more than {limit / 2**30:,.1f} GiB decompressed, too much for a temporary file; "
                        "unpack it, or convert it to a zip or an uncompressed tar, which are read in place"
                    )
                spool.write(piece)
            spool.flush()
            return os.dup(spool.fileno())
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ValueError) as error:
        raise DataError(f"{path} is damaged or cut short ({error}); fetch the archive again") from None

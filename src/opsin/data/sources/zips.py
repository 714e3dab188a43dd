"""Read the files in a zip by random access (PKWARE's APPNOTE), with Python's `zipfile`."""

from __future__ import annotations

import stat
import zipfile
import zlib
from pathlib import Path

from opsin.base.concurrency import ForkLock, in_child
from opsin.base.errors import DataError
from opsin.data.file_io import MAX_IMAGE_BYTES, os_error, too_large_error
from opsin.data.items import DAMAGED, FORBIDDEN, SPECIAL, UNREADABLE, FileProblem, ItemError, printable
from opsin.data.positional import PositionalFile
from opsin.data.sources.member_paths import MemberPaths
from opsin.data.sources.zip_names import member_names

ENCRYPTED = 0x1
"""Flag of an encrypted member."""

DOS_DIRECTORY = 0x10
"""Attribute of a folder."""


class Zip:
    """The `archive.Members` of a zip. Of several members with the same path, the last one counts, as when unpacking."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = PositionalFile(path)
            self._zip: zipfile.ZipFile | None = zipfile.ZipFile(self._file)
        except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
            raise DataError(f"{path} is damaged or cut short ({error}); fetch the zip again") from None
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}") from None
        self._open_lock = ForkLock()
        in_child(self, Zip._reset_after_fork)
        self.problems: list[FileProblem] = []
        infos = self._open_zip().infolist()
        names, encoding_note = member_names(infos)
        files: dict[str, zipfile.ZipInfo] = {}
        member_paths = MemberPaths(path.name)
        for info, name_in_archive in zip(infos, names, strict=True):
            name = member_paths.take(name_in_archive, _is_folder(info, name_in_archive))
            if name is None:
                continue
            if stat.S_ISLNK(info.external_attr >> 16):
                self.problems.append(self._problem(name, "a link member_paths an archive, not an image", SPECIAL))
            else:
                files[name] = info
        self.problems += member_paths.problems
        self.folders = member_paths.folders
        self.notes = [note for note in (encoding_note, *member_paths.notes()) if note]
        self.paths = list(files)
        self._infos = list(files.values())

    def read(self, position: int, name: str) -> bytes:
        info = self._infos[position]
        if info.file_size > MAX_IMAGE_BYTES:
            raise too_large_error(name, info.file_size)
        if info.flag_bits & ENCRYPTED:
            text = f"{name} is encrypted; create the archive again without a password"
            raise ItemError(text, FileProblem(name, "encrypted", FORBIDDEN))
        try:
            return self._open_zip().read(info)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
            text = f"{name} is damaged in the archive ({error}); fetch the zip again"
            raise ItemError(text, FileProblem(name, f"damaged in the archive ({error})", DAMAGED)) from None
        except (NotImplementedError, RuntimeError) as error:
            text = f"{name} cannot be unpacked ({error}); create the archive again with the standard compression"
            raise ItemError(text, FileProblem(name, f"cannot be unpacked ({error})", UNREADABLE)) from None
        except OSError as error:
            raise os_error(name, error) from None

    def _open_zip(self) -> zipfile.ZipFile:
        with self._open_lock.lock:
            if self._zip is None:
                self._zip = zipfile.ZipFile(self._file)
            return self._zip

    def _reset_after_fork(self) -> None:
        """Forget the `ZipFile`, because another thread may have held its lock; the next reader opens a new one."""
        self._zip = None

    def stamp(self, position: int) -> str:
        info = self._infos[position]
        return f"{info.CRC:08x}.{info.file_size:x}"

    def _problem(self, path: str, reason: str, kind: str) -> FileProblem:
        return FileProblem(f"{self.path.name}/{printable(path)}", reason, kind)


def _is_folder(info: zipfile.ZipInfo, name_in_archive: str) -> bool:
    """Return whether a member is a folder, by the end of its name or its attributes."""
    return name_in_archive.endswith(("/", "\\")) or bool(info.external_attr & DOS_DIRECTORY and not info.file_size)

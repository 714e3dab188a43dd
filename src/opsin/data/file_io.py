"""Read whole files, but no pipes or devices, which could block or never end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from opsin.data.items import FORBIDDEN, LOOP, MISSING, SPECIAL, TOO_LARGE, UNREADABLE, FileProblem, ItemError

MAX_IMAGE_BYTES = 2**27
"""Largest image file that is read, 128 MiB: ten times the largest JPEG of a camera."""

OPEN_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

SPECIAL_FILES = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


def special_file_type(mode: int) -> str | None:
    """Return "a folder", "a pipe" or the like for the `st_mode` of such a file, None for a regular file."""
    return next((name for test, name in SPECIAL_FILES.items() if test(mode)), None)


def read_file(path: Path, name: str) -> bytes:
    """Return the bytes of a file. Raise `ItemError`, which calls it `name`, if it is unreadable or too large."""
    try:
        handle = os.open(path, os.O_RDONLY | OPEN_FLAGS)
        with open(handle, "rb") as file:
            status = os.fstat(handle)
            special = special_file_type(status.st_mode)
            if special:
                raise special_file_error(name, special)
            if status.st_size > MAX_IMAGE_BYTES:
                raise too_large_error(name, status.st_size)
            return file.read(MAX_IMAGE_BYTES)
    except OSError as error:
        raise os_error(name, error) from None


def stamp(path: Path) -> str:
    """Return device, inode, size and times of a file, which change if the file does; "" if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    return f"{status.st_dev:x}.{status.st_ino:x}.{status.st_size:x}.{status.st_mtime_ns:x}.{status.st_ctime_ns:x}"


def special_file_error(name: str, special: str) -> ItemError:
    return ItemError(f"{name} is {special}, not an image", FileProblem(name, f"{special}, not an image", SPECIAL))


def too_large_error(name: str, size: int) -> ItemError:
    megabytes, limit = f"{size / 2**20:,.0f}", f"{MAX_IMAGE_BYTES >> 20}"
    text = f"{name} has {megabytes} MiB; images of up to {limit} MiB are read, so make it smaller first"
    return ItemError(text, FileProblem(name, f"{megabytes} MiB, more than the limit of {limit} MiB", TOO_LARGE))


def os_error(name: str, error: OSError) -> ItemError:
    """Return the error for a file that the operating system cannot read."""
    if error.errno == errno.ENOENT:
        return ItemError(
            f"{name}: there is no such file; give the path of an image", FileProblem(name, "no such file", MISSING)
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        text = f"{name}: reading this file is not permitted; change its permissions or leave it out"
        return ItemError(text, FileProblem(name, "reading it is not permitted", FORBIDDEN))
    if error.errno == errno.ELOOP:
        return ItemError(
            f"{name} is a link that leads in a circle; remove it",
            FileProblem(name, "a link that leads in a circle", LOOP),
        )
    if error.errno in (errno.ENXIO, errno.EISDIR):  # from opening a socket, or on some systems a folder
        return special_file_error(name, "a folder" if error.errno == errno.EISDIR else "a socket or a device")
    reason = error.strerror or str(error)
    return ItemError(f"{name} cannot be read: {reason}", FileProblem(name, f"cannot be read ({reason})", UNREADABLE))

"""Compiled kernels on disk, so that a network compiles once on a machine.

An entry is found by everything its machine code depends on: the specification, the source of the
rooms that make kernels, LLVM's version, the processor and its features. It holds its own checksum:
a damaged entry, or one that was moved, is compiled again and never trusted. Entries are written
aside and renamed; a cache that cannot be written is only slower, and says so once.
"""

from __future__ import annotations

import hashlib
import warnings
from functools import cache
from pathlib import Path

from opsin.base.atomic import PRIVATE, atomic_write
from opsin.base.cache import cache_folder

MAGIC = b"opsin object 1\n"


@cache
def source_digest() -> str:
    """A digest of the rooms whose code decides what a kernel's machine code is."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for room in ("loops", "kernels", "backends/native"):
        for path in sorted((root / room).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def key(*parts: str) -> str:
    """The name of an entry: a digest of all that its content depends on."""
    return hashlib.sha256("\0".join((source_digest(), *parts)).encode()).hexdigest()


def read(name: str) -> bytes | None:
    """The machine code stored as `name`, or None where there is none that can be trusted."""
    try:
        content = _path(name).read_bytes()
    except OSError:
        return None
    head, code = content[: len(MAGIC) + 32], content[len(MAGIC) + 32 :]
    if not code or head != MAGIC + _seal(name, code):
        return None
    return code


def write(name: str, code: bytes) -> None:
    """Stores `code` as `name`; where the disk refuses, only a warning."""
    path = _path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, MAGIC + _seal(name, code) + code, durable=False, mode=PRIVATE)
    except OSError as error:
        _warn(f"compiled code cannot be kept in {path.parents[1]}: {error.strerror or error}; set OPSIN_CACHE to a "
              "folder with room, or the next start compiles again")  # fmt: skip


@cache
def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=4)


def _seal(name: str, code: bytes) -> bytes:
    return hashlib.sha256(name.encode() + code).digest()


def _path(name: str) -> Path:
    return cache_folder() / "kernels" / name[:2] / name[2:]

"""Compiled kernels on disk: a network compiles once on a machine.

The key of an entry covers everything that its machine code depends on: the specification, the source of the packages
that build kernels, LLVM's version, the processor and its features. An entry holds its own checksum: one that is damaged
or was moved is compiled again and never trusted. Entries are written to a temporary file and renamed. A cache that
cannot be written only costs time, and warns once.
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
    """Return a digest of the packages that determine the machine code of kernels."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for package in ("kernels/ir", "kernels", "backends/native"):
        for path in sorted((root / package).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def key(*parts: str) -> str:
    """Return the name of an entry: a digest of everything that its content depends on."""
    return hashlib.sha256("\0".join((source_digest(), *parts)).encode()).hexdigest()


def read(name: str) -> bytes | None:
    """Return the machine code stored as `name`, or None if there is no intact entry."""
    try:
        content = _path(name).read_bytes()
    except OSError:
        return None
    head, code = content[: len(MAGIC) + 32], content[len(MAGIC) + 32 :]
    if not code or head != MAGIC + _checksum(name, code):
        return None
    return code


def write(name: str, code: bytes) -> None:
    """Store `code` as `name`; warn if it cannot be written."""
    path = _path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, MAGIC + _checksum(name, code) + code, durable=False, mode=PRIVATE)
    except OSError as error:
        _warn(
            f"compiled code cannot be saved in {path.parents[1]}: {error.strerror or error}; set OPSIN_CACHE to a "
            "folder that can be written, or the next start compiles again"
        )


@cache
def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=4)


def _checksum(name: str, code: bytes) -> bytes:
    return hashlib.sha256(name.encode() + code).digest()


def _path(name: str) -> Path:
    return cache_folder() / "kernels" / name[:2] / name[2:]

"""Weights from the network, once: downloaded into the cache, and checked against the hash in their name.

A broken download goes on where it stopped, in a later process, too. Several processes may download a file at once: they
write the same bytes to the same places, and the first that is done renames it. Threads wait for one another.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from opsin import __version__
from opsin.base.atomic import rename_complete
from opsin.base.cache import cache_folder
from opsin.base.concurrency import ForkLock
from opsin.base.errors import ModelError, UsageError

SERVER = "https://download.pytorch.org/models"
"""Where torchvision's files are."""

MIRROR = "OPSIN_MIRROR"
"""The environment variable with the address of another server that has them under the same names."""

TIMEOUT = 30
"""Seconds without a word from the server."""

TRIES = 3
"""So many connections in a row may break before they brought anything."""

PIECE = 2**18
MOST_BYTES = 2 * 2**30
"""No file of weights is larger."""

Progress = Callable[[int, int], None]
"""Called with the number of bytes that are there, and of those that there will be (0 where the server does not say)."""


_downloading = ForkLock()


class _Broken(Exception):
    """No connection, or no more of it."""


def weights_file(name: str, on_progress: Progress | None = None) -> Path:
    """The file called `name` in the cache, downloaded if need be.

    The name ends with the first digits of the file's SHA-256, such as resnet18-f37072fd.pth; the content is held
    against them each time. `ModelError` says why the file cannot be had.
    """
    server = _server()
    target = cache_folder() / "weights" / name
    try:
        with _downloading.lock:
            if not _is_there(target, name):
                _fetch(f"{server}/{name}", target, name, on_progress)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and _is_there(target, name):  # another process has renamed the part
            return target
        raise ModelError(
            f"{name} cannot be kept in {target.parent}: {error.strerror or error}; make room there, or set OPSIN_CACHE "
            "to another folder"
        ) from None
    return target


def _is_there(target: Path, name: str) -> bool:
    return target.is_file() and has_hash(target, name)


def _fetch(url: str, target: Path, name: str, on_progress: Progress | None) -> None:
    """Downloads `target` by way of a file beside it."""
    part = target.with_name(f"{name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    started = part.exists()
    _download(url, part, on_progress)
    if started and not has_hash(part, name):  # what was there may have been the fault
        part.unlink()
        _download(url, part, on_progress)
    if not has_hash(part, name):
        part.unlink()
        raise ModelError(
            f"{url} is not the file that was published: its SHA-256 does not begin as its name says. It was removed; "
            f"try again, or take another server with {MIRROR}"
        )
    rename_complete(part, target, durable=False)  # its hash is checked before each use


def has_hash(path: Path, name: str) -> bool:
    """Whether the file's SHA-256 begins with the digits at the end of `name`."""
    digits = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    with path.open("rb") as file:
        return digits is not None and hashlib.file_digest(file, "sha256").hexdigest().startswith(digits[1])


def _server() -> str:
    mirror = os.environ.get(MIRROR, "")
    if mirror and not mirror.startswith(("https://", "http://")):
        raise UsageError(f"{MIRROR} is '{mirror}', but has to begin with https:// or http://")
    return mirror.rstrip("/") or SERVER


def _download(url: str, part: Path, on_progress: Progress | None) -> None:
    """Adds to `part` what it lacks. Where a connection breaks, another one goes on from there."""
    part.touch()
    with part.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        failures = 0
        while failures < TRIES:
            begin = file.tell()
            try:
                response = _request(url, begin)
                if response is not None:
                    with response:
                        _receive(response, file, on_progress)
                return
            except _Broken as error:
                reason = str(error)
            failures = 0 if file.tell() > begin else failures + 1
        kept = f" {file.tell() / 1e6:.1f} MB are there, from which the next try goes on." if file.tell() else ""
    raise ModelError(
        f"{url} cannot be downloaded: {reason}.{kept} Connect to the network, set {MIRROR} to a server in reach that "
        f"has the file, or put it into {part.parent} yourself"
    )


def _request(url: str, begin: int) -> HTTPResponse | None:
    """The answer with the file from the byte `begin` on, or with all of it; None where the file ends before `begin`."""
    headers = {"User-Agent": f"opsin/{__version__}"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
    try:
        response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
        return response
    except HTTPError as error:
        error.close()
        if error.code == 416:
            return None
        has = "the server has no such file" if error.code == 404 else f"the server says '{error.reason}'"
        raise ModelError(f"{url} cannot be downloaded: {has} ({error.code}); check {MIRROR}, or try later") from None
    except (OSError, HTTPException, ValueError) as error:
        raise _Broken(_reason(error)) from None


def _receive(response: HTTPResponse, file: IO[bytes], on_progress: Progress | None) -> None:
    """Writes what comes from the server to its place."""
    begin = file.tell()
    if response.status == 206:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {begin}-"):
            raise _Broken("the server sends another part of the file than was asked for")
    else:
        file.seek(0)
        begin = file.truncate()
    done, total = begin, begin + response.length if response.length else 0
    while piece := _read(response):
        file.write(piece)
        done += len(piece)
        if max(done, total) > MOST_BYTES:
            raise ModelError(f"{response.url} is larger than any file of weights; check {MIRROR}")
        if on_progress:
            on_progress(done, total)
    if done < total:
        raise _Broken("the connection broke off")


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read(PIECE)
    except (OSError, HTTPException) as error:
        raise _Broken(_reason(error)) from None


def _reason(error: Exception) -> str:
    """In words, without Python's brackets and numbers."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause) or type(cause).__name__

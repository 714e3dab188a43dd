"""Published weights, downloaded once into the cache and checked against the hash in their name.

An interrupted download continues where it stopped, in a later process, too. Several processes may download a file at
the same time: they write the same bytes at the same offsets, and the first one to finish renames the file. Threads wait
for each other.
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
"""The server of torchvision's files."""

MIRROR = "OPSIN_MIRROR"
"""Environment variable: the address of another server with the same file names."""

TIMEOUT = 30
"""Seconds without a response from the server."""

MAX_FAILURES = 3
"""Connections in a row that may break before any byte has arrived."""

READ_BYTES = 2**18
MAX_FILE_BYTES = 2 * 2**30

Progress = Callable[[int, int], None]
"""Called with the bytes received so far, and the size of the file (0 if the server does not say)."""


_downloading = ForkLock()


class _Broken(Exception):
    """The connection could not be made, or was lost."""


def weights_file(name: str, on_progress: Progress | None = None) -> Path:
    """Return the path of the file `name` in the cache, and download it if it is not there.

    The name ends with the first digits of the file's SHA-256, such as resnet18-f37072fd.pth; the content is checked
    against them each time. Raise `ModelError` with the reason if the file is not available.
    """
    server = _server()
    target = cache_folder() / "weights" / name
    try:
        with _downloading.lock:
            if not _is_cached(target, name):
                _fetch(f"{server}/{name}", target, name, on_progress)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and _is_cached(target, name):  # Another process has renamed it.
            return target
        raise ModelError(
            f"{name} cannot be saved in {target.parent}: {error.strerror or error}; free space there, or set "
            "OPSIN_CACHE to another folder"
        ) from None
    return target


def _is_cached(target: Path, name: str) -> bool:
    return target.is_file() and has_hash(target, name)


def _fetch(url: str, target: Path, name: str, on_progress: Progress | None) -> None:
    """Download `target` into a partial file, which is then renamed."""
    part = target.with_name(f"{name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    was_started = part.exists()
    _download(url, part, on_progress)
    if was_started and not has_hash(part, name):  # An earlier process may have left wrong bytes.
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
    """Append to `part` what is missing; if a connection breaks, another one continues from there."""
    part.touch()
    with part.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        failures = 0
        while failures < MAX_FAILURES:
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
        size = file.tell()
        progress = f" {size / 1e6:.1f} MB are there, from which the next try continues." if size else ""
    raise ModelError(
        f"{url} cannot be downloaded: {reason}.{progress} Connect to the network, set {MIRROR} to a server in reach "
        f"that has the file, or put it into {part.parent} yourself"
    )


def _request(url: str, begin: int) -> HTTPResponse | None:
    """Return the response with the file from byte `begin` on, or with all of it; None if it has no more bytes."""
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
        fault = "the server has no such file" if error.code == 404 else f"the server says '{error.reason}'"
        raise ModelError(f"{url} cannot be downloaded: {fault} ({error.code}); check {MIRROR}, or try later") from None
    except (OSError, HTTPException, ValueError) as error:
        raise _Broken(_reason(error)) from None


def _receive(response: HTTPResponse, file: IO[bytes], on_progress: Progress | None) -> None:
    """Write the response to the file, at its offset."""
    begin = file.tell()
    if response.status == 206:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {begin}-"):
            raise _Broken("the server sends another part of the file than was asked for")
    else:
        file.seek(0)
        begin = file.truncate()
    done, total = begin, begin + response.length if response.length else 0
    while data := _read(response):
        file.write(data)
        done += len(data)
        if max(done, total) > MAX_FILE_BYTES:
            raise ModelError(f"{response.url} is larger than any file of weights; check {MIRROR}")
        if on_progress:
            on_progress(done, total)
    if done < total:
        raise _Broken("the connection broke off")


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read(READ_BYTES)
    except (OSError, HTTPException) as error:
        raise _Broken(_reason(error)) from None


def _reason(error: Exception) -> str:
    """Return the error in words, without Python's brackets and numbers."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause) or type(cause).__name__

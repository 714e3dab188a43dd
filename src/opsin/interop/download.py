"""Download of published weights into the cache, with a check of the hash in their name.

An interrupted download is resumed, also by a later process. If several threads or processes ask for a file, one
downloads it and the others wait.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from time import monotonic
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from opsin import __version__
from opsin.base.atomic import rename_complete
from opsin.base.cache import cache_folder
from opsin.base.concurrency import ForkLock
from opsin.base.errors import ModelError, UsageError
from opsin.base.file_lock import Lock, LockHeld

SERVER = "https://download.pytorch.org/models"
"""The server of torchvision's files."""

MIRROR = "OPSIN_MIRROR"
"""Environment variable: the address of another server with the same file names."""

TIMEOUT = 30
"""Seconds to wait for a response from the server."""

MAX_FAILURES = 3
"""Limit of consecutive connections that fail before any byte arrives."""

READ_BYTES = 2**18
MAX_FILE_BYTES = 2 * 2**30

Progress = Callable[[int, int], None]
"""Called with the bytes received so far, and the size of the file (0 if the server does not say)."""


_download_lock = ForkLock()


class _ConnectionFailure(Exception):
    """The connection failed or was lost."""


def weights_file(name: str, on_progress: Progress | None = None) -> Path:
    """Return the path of the file `name` in the cache; download it if necessary.

    The name ends with the first digits of the file's SHA-256, for example resnet18-f37072fd.pth; each call checks the
    content against them. Raise `ModelError` if the file cannot be downloaded or saved.
    """
    server = _server()
    target = cache_folder() / "weights" / name
    try:
        with _download_lock.lock:
            if not _is_cached(target, name):
                target.parent.mkdir(parents=True, exist_ok=True)
                with _only_process(target):
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


def _only_process(target: Path) -> AbstractContextManager[object]:
    """Return a lock when no other process downloads `target`; nothing if the one that does makes no progress."""
    part, path = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.lock")
    size, since = -1, monotonic()
    while monotonic() < since + 2 * TIMEOUT:
        with suppress(LockHeld):
            return Lock(path, temporary=True)
        with suppress(OSError):
            if part.stat().st_size != size:
                size, since = part.stat().st_size, monotonic()
    return nullcontext()  # a file system without locks, or a process that has stopped


def _is_cached(target: Path, name: str) -> bool:
    return target.is_file() and has_hash(target, name)


def _fetch(url: str, target: Path, name: str, on_progress: Progress | None) -> None:
    """Download `target` as a partial file, and rename it when it is complete."""
    part = target.with_name(f"{name}.part")
    was_started = part.exists()
    _download(url, part, on_progress)
    if was_started and not has_hash(part, name):  # An earlier process may have written wrong bytes.
        part.unlink()
        _download(url, part, on_progress)
    if not has_hash(part, name):
        part.unlink()
        raise ModelError(
            f"{url} is not the published file: its SHA-256 does not match its name. It was deleted; "
            f"try again, or choose another server with {MIRROR}"
        )
    rename_complete(part, target, durable=False)  # Each use checks the hash.


def has_hash(path: Path, name: str) -> bool:
    """Return whether the file's SHA-256 begins with the digits at the end of `name`."""
    digits = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    with path.open("rb") as file:
        return digits is not None and hashlib.file_digest(file, "sha256").hexdigest().startswith(digits[1])


def _server() -> str:
    mirror = os.environ.get(MIRROR, "")
    if mirror and not mirror.startswith(("https://", "http://")):
        raise UsageError(f"{MIRROR} is '{mirror}', but must begin with https:// or http://")
    return mirror.rstrip("/") or SERVER


def _download(url: str, part: Path, on_progress: Progress | None) -> None:
    """Append the missing bytes to `part`; reconnect and resume if the connection is lost."""
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
            except _ConnectionFailure as error:
                reason = str(error)
            failures = 0 if file.tell() > begin else failures + 1
        size = file.tell()
        progress = f" {size / 1e6:.1f} MB have been downloaded; the next try resumes from there." if size else ""
    raise ModelError(
        f"{url} cannot be downloaded: {reason}.{progress} Connect to the network, set {MIRROR} to another server "
        f"that has the file, or copy the file to {part.parent}"
    )


def _request(url: str, begin: int) -> HTTPResponse | None:
    """Return the response with the bytes from `begin` on, or with the whole file; None if there are no more bytes."""
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
        reason = "the server has no such file" if error.code == 404 else f"the server responds '{error.reason}'"
        raise ModelError(f"{url} cannot be downloaded: {reason} ({error.code}); check {MIRROR}, or try later") from None
    except (OSError, HTTPException, ValueError) as error:
        raise _ConnectionFailure(_error_text(error)) from None


def _receive(response: HTTPResponse, file: IO[bytes], on_progress: Progress | None) -> None:
    """Write the response to the file, at its offset."""
    begin = file.tell()
    if response.status == 206:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {begin}-"):
            raise _ConnectionFailure("the server sent a different part of the file than requested")
    else:
        file.seek(0)
        begin = file.truncate()
    byte_count, total = begin, begin + response.length if response.length else 0
    while data := _read(response):
        file.write(data)
        byte_count += len(data)
        if max(byte_count, total) > MAX_FILE_BYTES:
            raise ModelError(f"{response.url} is larger than any file of weights; check {MIRROR}")
        if on_progress:
            on_progress(byte_count, total)
    if byte_count < total:
        raise _ConnectionFailure("the connection was lost")


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read(READ_BYTES)
    except (OSError, HTTPException) as error:
        raise _ConnectionFailure(_error_text(error)) from None


def _error_text(error: Exception) -> str:
    """Return the text of an error, without Python's error number."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause) or type(cause).__name__

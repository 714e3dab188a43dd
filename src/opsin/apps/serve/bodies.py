"""Reading of the bodies of requests within limits of size, time and memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opsin.apps.serve.limits import Limits, Refusal, too_busy

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


COMPLETE = "opsin.complete"
"""The entry of the scope that says that the whole request has arrived."""


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete."""


@dataclass(eq=False)
class Upload:
    """A body that is arriving, or that waits to be decoded."""

    task: asyncio.Task[Any] | None
    size: int = 0
    complete: bool = False
    evicted: bool = False


class Bodies:
    """The bodies of all requests, whose sum is limited."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.size = 0
        self._uploads: dict[Upload, None] = {}

    @contextmanager
    def upload(self) -> Iterator[Upload]:
        """Count a body as long as it is in memory."""
        upload = Upload(asyncio.current_task())
        self._uploads[upload] = None
        try:
            yield upload
        finally:
            del self._uploads[upload]
            self.size -= upload.size

    async def read(
        self, receive: Receive, headers: Mapping[bytes, bytes], upload: Upload, is_complete: bool = False
    ) -> bytes:
        """Return the body of a request, which may be here already. Raise `Refusal` (408, 413 or 503) beyond a limit."""
        self._check_length(headers)
        if is_complete:
            return await self._chunks(receive, upload)
        try:
            async with asyncio.timeout(self.limits.seconds):
                return await self._chunks(receive, upload)
        except TimeoutError:
            text = f"the body did not arrive within {self.limits.seconds:g} seconds; send a smaller image"
            raise Refusal(408, text) from None
        except asyncio.CancelledError:
            if not upload.evicted:
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            raise too_busy("the upload took longest while the server's memory was short") from None

    def _check_length(self, headers: Mapping[bytes, bytes]) -> None:
        length = headers.get(b"content-length")
        if length is not None and (not length.isdigit() or int(length) > self.limits.body_bytes):
            raise self._too_large()

    def _too_large(self) -> Refusal:
        megabytes = self.limits.body_bytes / 10**6
        return Refusal(413, f"the body is larger than {megabytes:g} MB; send a smaller image, or fewer")

    async def _chunks(self, receive: Receive, upload: Upload) -> bytes:
        chunks: list[bytes] = []
        while not upload.complete:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            chunk: bytes = message.get("body", b"")
            if upload.size + len(chunk) > self.limits.body_bytes:
                raise self._too_large()
            self._add(upload, len(chunk))
            chunks.append(chunk)
            upload.complete = not message.get("more_body", False)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _add(self, upload: Upload, size: int) -> None:
        """Count bytes; while all bodies are too large together, refuse the oldest one that is not complete."""
        upload.size += size
        self.size += size
        for other in list(self._uploads):
            if self.size <= self.limits.waiting_bytes:
                return
            if other is upload:
                raise too_busy("the server has too many images in memory")
            if not other.complete and not other.evicted and other.task is not None:
                other.evicted = True
                self.size -= other.size
                other.size = 0
                other.task.cancel()

"""The end of a connection whose client still sends when its answer is complete.

A system that closes a connection with unread bytes resets it, and a client that finds it reset while it sends may never
read the answer. So the server ends its own side first, and drops what arrives until the client closes the connection
(RFC 9112, section 9.6).
"""

from __future__ import annotations

import asyncio

LINGER_SECONDS = 5.0
"""How long a client may go on sending. Then its connection is reset."""


class Lingering(asyncio.Protocol):
    """What is left of a connection. `protocol` is the one that has answered; it learns when the connection is lost."""

    def __init__(
        self, transport: asyncio.Transport, protocol: asyncio.Protocol, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._protocol = protocol
        self._timer = loop.call_later(LINGER_SECONDS, transport.abort)
        transport.set_protocol(self)
        transport.write_eof()
        transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Drop what arrives."""

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._protocol.connection_lost(exc)

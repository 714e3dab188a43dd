"""Connections with limits that uvicorn does not have, and the server of an application.

A connection waits for its client until its request is complete. If there are too many, the one that has waited longest
is closed: clients that send slowly, or nothing, cannot keep others out.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from opsin.apps.serve.bodies import COMPLETE
from opsin.apps.serve.limits import Limits
from opsin.apps.serve.lingering import Lingering
from opsin.apps.serve.metrics import Metrics
from opsin.apps.serve.signals import handled
from opsin.apps.serve.sockets import BACKLOG

KEEP_ALIVE_SECONDS = 15
ACCEPTED_AT_ONCE = 64
"""Connections that are accepted before what others have sent is read. Were it more than there may be, a flood would
push out connections that have not had a turn yet."""


class JoinedWrites:
    """A transport that sends two writes in a row, such as the head and the body of an answer, by one system call.

    `end` is called with the transport below to close it; closing once more closes it at once.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        end: Callable[[asyncio.Transport], None],
    ) -> None:
        self._transport, self._loop, self._end, self._first = transport, loop, end, b""
        self._is_ended = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send data, by the next step of the event loop."""
        if self._first:
            first, self._first = self._first, b""
            self._transport.write(first + data)
        elif data:
            self._first = data
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        """Send what was written, and close."""
        self._flush()
        if self._is_ended:
            self._transport.close()
        else:
            self._is_ended = True
            self._end(self._transport)

    def is_closing(self) -> bool:
        """Return whether nothing more can be written."""
        return self._is_ended or self._transport.is_closing()

    def _flush(self) -> None:
        first, self._first = self._first, b""
        if first and not self._transport.is_closing():
            self._transport.write(first)


class LimitedProtocol(HttpToolsProtocol):
    """A connection. The class attributes are those of one server."""

    limits: Limits
    metrics: Metrics
    waiting: dict[LimitedProtocol, None]
    """Connections whose request is not complete, the longest waiting first."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(JoinedWrites(transport, self.loop, self._end))  # type: ignore[arg-type]
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family != socket.AF_UNIX:
            # Without this, a second write waits for the client's delayed acknowledgement, 40 ms.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head_bytes, self._head_complete = 0, False
        self._timer: asyncio.TimerHandle | None = None
        self._wait()
        self._start_timer()
        if len(self.connections) > self.limits.connections:
            next(iter(self.waiting)).close("too many connections")

    def connection_lost(self, exc: Exception | None) -> None:
        self.waiting.pop(self, None)
        self._stop_timer()
        super().connection_lost(exc)

    def close(self, reason: str) -> None:
        """Close the connection at once."""
        self.waiting.pop(self, None)
        self.metrics.count(self.metrics.closed, reason=reason)
        self.transport.abort()

    def _end(self, transport: asyncio.Transport) -> None:
        """Close the connection. A client that is still sending may read its answer first."""
        self._stop_timer()
        is_sending = self in self.waiting and (self._head_complete or self._head_bytes > 0)
        if is_sending and not transport.is_closing():
            Lingering(transport, self, self.loop)
        else:
            transport.close()

    def data_received(self, data: bytes) -> None:
        if not self._head_complete:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes and not self._head_complete:
            self._start_timer()
        if not self._head_complete and self._head_bytes > self.limits.head_bytes and self.parser is not None:
            self._refuse_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > self.limits.headers:
            raise ValueError("too many headers")  # the parser turns it into its own error, and uvicorn into status 400

    def on_headers_complete(self) -> None:
        self._head_bytes, self._head_complete = 0, True
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self.waiting.pop(self, None)
        if self.scope is not None:
            self.scope[COMPLETE] = True  # type: ignore[literal-required]
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._head_complete = False
        self._wait()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self.metrics.count(self.metrics.closed, reason="broken request")
        super().send_400_response(msg)

    def _wait(self) -> None:
        self.waiting.pop(self, None)
        self.waiting[self] = None

    def _refuse_head(self) -> None:
        text = "the request line and the headers are too long"
        self.metrics.count(self.metrics.closed, reason="long headers")
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
            b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(text), text.encode())
        )
        self.transport.close()

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.limits.head_seconds, self.close, "slow headers")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class GracefulServer(Server):
    """A server that a signal ends when its requests are answered. The signal is then not raised again."""

    ready: Callable[[], None]
    """Called when connections are accepted, and signals are handled."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready()
        for each in sockets or ():
            each.listen(BACKLOG)  # asyncio has set it to the number of connections that it accepts at once

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return handled(self.handle_exit)


def server(application: Any, limits: Limits, metrics: Metrics, ready: Callable[[], None]) -> Server:
    """Return the server of an application. It ends on SIGTERM and SIGINT, when its requests are answered.

    `ready` is called when it accepts connections.
    """
    attributes = {"limits": limits, "metrics": metrics, "waiting": {}}
    protocol = type("ServedProtocol", (LimitedProtocol,), attributes)
    config = Config(
        application, http=protocol, ws="none", lifespan="on", log_config=None, log_level="error", access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=int(limits.seconds), backlog=ACCEPTED_AT_ONCE,
        proxy_headers=False,
    )  # fmt: skip
    result = GracefulServer(config)
    result.ready = ready
    metrics.gauges["opsin_connections"] = "Open connections.", lambda: len(result.server_state.connections)
    metrics.gauges["process_resident_memory_bytes"] = "Memory of both processes.", _resident_bytes
    return result


def _resident_bytes() -> float:
    """Return the memory of this process and of the one that computes, which has started it."""
    try:
        pages = [Path(f"/proc/{process}/statm").read_bytes().split()[1] for process in ("self", os.getppid())]
        return sum(map(int, pages)) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

"""A local web server for weight files that can misbehave in all the ways that servers do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class Site:
    """The files of the server, its behaviour, and the requests that it received: names and ranges."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    breaks_after: int | None = None  # bytes of a file after which the connection breaks
    ranges: bool = True
    shift: int = 0  # bytes by which a range begins too late
    length: bool = True
    status: int = 0
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def add(self, content: bytes, stem: str = "tiny") -> str:
        """Add a file under a name with its hash; return the name."""
        name = f"{stem}-{hashlib.sha256(content).hexdigest()[:8]}.pth"
        self.files[name] = content
        return name


class Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Ignore clients that disconnect, as they do in some tests."""


@contextmanager
def serving() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, byte_range = self.path.rpartition("/")[2], self.headers.get("Range")
            site.requests.append((name, byte_range))
            content = site.files.get(name)
            if site.status or content is None:
                self.send_error(site.status or 404)
                return
            begin = int(byte_range.removeprefix("bytes=").removesuffix("-")) if byte_range and site.ranges else 0
            if begin >= len(content) and begin:
                self.send_error(416)
                return
            self.send_response(206 if begin else 200)
            begin += site.shift if begin else 0
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            if site.length:
                self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            end = len(content) if site.breaks_after is None else begin + site.breaks_after
            self.wfile.write(content[begin:end])

        def log_message(self, *_: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        site.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()

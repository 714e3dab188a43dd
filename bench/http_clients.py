"""Clients of a server, well-behaved and hostile, for serve_load.py."""

from __future__ import annotations

import asyncio
import os
import re
import select
import socket
import threading
import time
import zlib
from collections import Counter
from io import BytesIO

import numpy as np
from PIL import Image

IMAGE_BYTES = 30_000


def photograph() -> bytes:
    """Return a JPEG of about `IMAGE_BYTES`."""
    blocks = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    image = Image.fromarray(blocks).resize((480, 480), Image.Resampling.BICUBIC)
    for quality in range(95, 20, -1):
        file = BytesIO()
        image.save(file, "JPEG", quality=quality)
        if len(file.getvalue()) <= IMAGE_BYTES:
            break
    return file.getvalue()


def request(body: bytes, path: str = "/v1/predict", headers: str = "content-type: image/jpeg\r\n") -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body


def exchange(connection: socket.socket, message: bytes) -> tuple[int, bytes]:
    """Send a request and return the status and the body of the answer."""
    connection.sendall(message)
    data = b""
    while b"\r\n\r\n" not in data:
        data += (chunk := connection.recv(65536))
        if not chunk:
            return 0, data
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split()[1]), body


def load(port: int, clients: int, milliseconds: int) -> float:
    """Return the requests per second of clients that each ask again when they have their answer.

    One thread and no event loop, because the clients take the processors that the server could use.
    """
    message, ready, count = request(photograph()), select.epoll(), 0
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(clients)]
    by_number = {each.fileno(): each for each in connections}
    for each in connections:
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ready.register(each, select.EPOLLIN)
        each.sendall(message)
    started = time.perf_counter()
    while time.perf_counter() < started + milliseconds / 1000:
        for number, _ in ready.poll(1):
            answer = by_number[number].recv(65536)  # small, and written at once
            assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"}"), answer
            by_number[number].sendall(message)
            count += 1
    seconds = time.perf_counter() - started
    for each in connections:
        each.close()
    return count / seconds


def bomb() -> bytes:
    """Return a PNG of a few hundred bytes that declares 100 megapixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = (10_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


async def hostile(port: int, kind: str) -> str:
    """Do one hostile thing, and return what came of it: a status, or "closed"."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return "not connected"
    form = "content-type: multipart/form-data; boundary=x\r\n"
    try:
        if kind == "huge body":
            writer.write(b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000000\r\n\r\n")
            with_body = asyncio.ensure_future(_endless(writer))
        elif kind == "huge chunked body":
            writer.write(b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
            with_body = asyncio.ensure_future(_endless(writer, b"100000\r\n", b"\r\n"))
        elif kind == "slow headers":
            with_body = asyncio.ensure_future(_drip(writer, b"POST /v1/predict HTTP/1.1\r\n" + b"x: y\r\n" * 1000))
        elif kind == "slow body":
            writer.write(b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-length: 30000\r\n\r\n")
            with_body = asyncio.ensure_future(_drip(writer, b"z" * 30000))
        elif kind == "idle":
            with_body = asyncio.ensure_future(asyncio.sleep(60))
        else:
            messages = {
                "bomb": request(bomb()),
                "broken form": request(b"--x\r\ncontent-disposition: form-data", headers=form),
                "form without end": request(b"--x\r\n" * 1000, headers=form),
                "long header": b"GET / HTTP/1.1\r\nx: " + b"y" * 10**6,
                "many headers": b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 5000 + b"\r\n",
                "no HTTP": os.urandom(1000),
            }
            writer.write(messages[kind])
            with_body = asyncio.ensure_future(asyncio.sleep(60))
        try:
            line = await asyncio.wait_for(reader.readline(), 60)
        finally:
            with_body.cancel()
        return line.split()[1].decode() if line else "closed"
    except (OSError, TimeoutError, ValueError, IndexError) as error:
        return "closed" if isinstance(error, OSError) else type(error).__name__
    finally:
        writer.close()


async def _endless(writer: asyncio.StreamWriter, before: bytes = b"", after: bytes = b"") -> None:
    while True:
        writer.write(before + b"z" * 2**20 + after)
        await writer.drain()


async def _drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    for byte in data:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.5)


KINDS = {
    "bomb": 50, "broken form": 50, "form without end": 50, "long header": 20, "many headers": 20, "no HTTP": 50,
    "huge body": 4, "huge chunked body": 4, "slow headers": 300, "slow body": 300, "idle": 10_000,
}  # fmt: skip
"""What hostile clients do, and how many at once."""


def well_behaved(port: int, stop: threading.Event, statuses: Counter[str], times: list[float]) -> None:
    """Ask about an image again and again, each time on a new connection."""
    message = request(photograph())
    while not times or not stop.is_set():
        started = time.perf_counter()
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                statuses[str(exchange(connection, message)[0] or "closed")] += 1
        except OSError as error:
            statuses[type(error).__name__] += 1
        times.append(time.perf_counter() - started)
        time.sleep(0.02)

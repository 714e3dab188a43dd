"""Measure `opsin serve`: what it adds to the model's own time, its throughput under load, and what abuse does to it.

    python bench/serve_load.py mobilenet_v2.opsin                   latency, then 64 clients
    python bench/serve_load.py digits.opsin --abuse                 hostile clients beside a well-behaved one
    python bench/serve_load.py mobilenet_v2.opsin --json FILE       also write the figures

The image is a JPEG of random blocks, of about 30 KB. The model's own time is that of `Model.predict` for the same bytes
in this process, measured in turns with the server. Client and server share the processors; the load average is printed,
because other programs make every figure worse.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import opsin
from opsin.apps.cli.open_model import open_model

IMAGE_BYTES = 30_000
CLIENTS = 64
ROUNDS = 8


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


@contextmanager
def running_server(model: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the server on a free port; yield its process and port."""
    command = [sys.executable, "-u", "-m", "opsin", "serve", model, "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        match = re.search(r"http://[\d.]+:(\d+)/", process.stdout.readline())
        assert match is not None
        yield process, int(match[1])
    finally:
        process.terminate()
        process.wait(60)


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


def latency(model: Any, port: int, seconds: float) -> dict[str, float]:
    """Return percentiles of the time of a request, of `predict`, and of the difference, in milliseconds."""
    image = photograph()
    message, served, own = request(image), list[float](), list[float]()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(20):
            assert exchange(connection, message)[0] == 200
            model.predict(image)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for _ in range(10):
                started = time.perf_counter()
                exchange(connection, message)
                served.append(time.perf_counter() - started)
            for _ in range(10):
                started = time.perf_counter()
                model.predict(image, top=5)
                own.append(time.perf_counter() - started)
    figures: dict[str, float] = {"requests": len(served)}
    for name, share in (("p50", 50), ("p99", 99)):
        a, b = np.percentile(served, share) * 1e3, np.percentile(own, share) * 1e3
        figures |= {f"served_{name}_ms": a, f"own_{name}_ms": b, f"overhead_{name}_ms": a - b}
    figures["overhead_min_ms"] = (min(served) - min(own)) * 1e3
    return figures


LOAD = """
import asyncio, sys, time
sys.path[:0] = [sys.argv[4]]
from serve_load import photograph, request
async def client(port, message, end):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    while time.perf_counter() < end:
        writer.write(message)
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\\r\\n")[0]))
        count += 1
    writer.close()
    return count
async def main():
    message, end = request(photograph()), time.perf_counter() + float(sys.argv[3])
    print(sum(await asyncio.gather(*[client(int(sys.argv[1]), message, end) for _ in range(int(sys.argv[2]))])))
asyncio.run(main())
"""


def throughput(model: Any, port: int, seconds: float) -> dict[str, float]:
    """Return images per second of 64 clients and of `predict` with a list of images, in turns."""
    images, served, own = [photograph()] * CLIENTS * 2, list[float](), list[float]()
    model.predict(images, top=5)
    for _ in range(2):
        command = [sys.executable, "-c", LOAD, str(port), str(CLIENTS), str(seconds), str(Path(__file__).parent)]
        started = time.perf_counter()
        count = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        served.append(count / seconds)
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            model.predict(images, top=5)
            count += len(images)
        own.append(count / (time.perf_counter() - started))
    return {"served_images_s": max(served), "predict_images_s": max(own), "share": max(served) / max(own)}


def resident(process: subprocess.Popen[str]) -> float:
    """Return the memory of the server in megabytes."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


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
    while not stop.is_set():
        started = time.perf_counter()
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                statuses[str(exchange(connection, message)[0] or "closed")] += 1
        except OSError as error:
            statuses[type(error).__name__] += 1
        times.append(time.perf_counter() - started)
        time.sleep(0.02)


async def abuse(process: subprocess.Popen[str], port: int, kinds: list[str]) -> dict[str, Any]:
    """Return what each kind of hostile client got, and what a well-behaved one got meanwhile."""
    figures: dict[str, Any] = {}
    for kind in kinds:
        count = KINDS[kind]
        stop, statuses, times = threading.Event(), Counter[str](), list[float]()
        good = threading.Thread(target=well_behaved, args=(port, stop, statuses, times))
        good.start()
        outcomes = Counter(await asyncio.gather(*[hostile(port, kind) for _ in range(count)]))
        stop.set()
        good.join()
        figures[kind] = {
            "clients": count, "outcomes": dict(outcomes), "well_behaved": dict(statuses),
            "slowest_s": max(times), "server_mb": resident(process),
        }  # fmt: skip
        print(f"{kind} × {count}: {dict(outcomes)}; well-behaved: {dict(statuses)}, slowest {max(times):.2f} s; "
              f"server {resident(process):.0f} MB", flush=True)  # fmt: skip
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=4.0, help="the length of each measurement")
    parser.add_argument("--abuse", nargs="*", choices=KINDS, help="hostile clients, all kinds or these, instead")
    parser.add_argument("--json", help="also write the figures to this file")
    options = parser.parse_args()
    figures: dict[str, Any] = {"model": Path(options.model).name, "opsin": opsin.__version__, "load": os.getloadavg()}
    print(f"load average: {figures['load'][0]:.1f}, {os.cpu_count()} processors")
    with running_server(options.model) as (process, port):
        if options.abuse is not None:
            figures["abuse"] = asyncio.run(abuse(process, port, options.abuse or list(KINDS)))
        else:
            model = open_model(options.model)
            figures["latency"] = latency(model, port, options.seconds)
            print({key: round(value, 3) for key, value in figures["latency"].items()})
            figures["throughput"] = throughput(model, port, options.seconds)
            print({key: round(value, 3) for key, value in figures["throughput"].items()})
        figures["server_mb"] = resident(process)
    print(f"server: {figures['server_mb']:.0f} MB")
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()

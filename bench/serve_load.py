"""Measure `opsin serve`: what it adds to the model's own time, its throughput under load, and what abuse does to it.

    python bench/serve_load.py mobilenet_v2.opsin                   latency, then 64 clients
    python bench/serve_load.py digits.opsin --abuse                 hostile and well-behaved clients
    python bench/serve_load.py mobilenet_v2.opsin --json FILE       also write the figures

The image is a JPEG of random blocks, of about 30 KB. The model's own time is that of `Model.predict` for the same bytes
in this process, measured in turns with the server. Client and server share the processors; the load average is printed,
because other programs make every figure worse.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table
from http_clients import KINDS, exchange, hostile, photograph, request, well_behaved

from opsin.apps.cli.open_model import open_model

CLIENTS = 64
ROUNDS = 8
FIGURES = {
    "overhead_p50_ms": "latency above the model's own, median, ms",
    "overhead_p99_ms": "latency above the model's own, 99th percentile, ms",
    "own_p50_ms": "the model's own, median, ms",
    "served_images_s": "images/s, 64 clients",
    "predict_images_s": "images/s, `Model.predict`",
    "share": "ratio, median of turns",
    "lower_quartile_share": "ratio, lower quartile",
    "upper_quartile_share": "ratio, upper quartile",
    "server_mb": "memory of both processes, MB",
}


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


LOAD = "import sys; sys.path[:0] = [sys.argv[4]]; import http_clients as c; print(c.load(*map(int, sys.argv[1:4])))"


def throughput(model: Any, port: int, seconds: float) -> dict[str, float]:
    """Return images per second of 64 clients and of `predict` with a list of images, and quartiles of their ratios."""
    images, served, own = [photograph()] * CLIENTS * 2, list[float](), list[float]()
    model.predict(images, top=5)
    for _ in range(ROUNDS):
        numbers = map(str, (port, CLIENTS, round(1000 * seconds / 3)))
        command = [sys.executable, "-c", LOAD, *numbers, str(Path(__file__).parent)]
        served.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < seconds / 3:
            model.predict(images, top=5)
            count += len(images)
        own.append(count / (time.perf_counter() - started))
    low, share, high = np.percentile(np.divide(served, own), (25, 50, 75)).tolist()
    return {
        "served_images_s": max(served), "predict_images_s": max(own),
        "share": share, "lower_quartile_share": low, "upper_quartile_share": high,
    }  # fmt: skip


def resident(process: subprocess.Popen[str]) -> float:
    """Return the memory of the server's processes in megabytes."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    pages = [int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in (process.pid, *children)]
    return sum(pages) * os.sysconf("SC_PAGESIZE") / 1e6


async def abuse(process: subprocess.Popen[str], port: int, kinds: list[str]) -> dict[str, Any]:
    """Return what each kind of hostile client got, and what a well-behaved one got meanwhile."""
    figures: dict[str, Any] = {}
    for kind in kinds:
        count = KINDS[kind]
        stop, statuses, times = threading.Event(), Counter[str](), list[float]()
        good = threading.Thread(target=well_behaved, args=(port, stop, statuses, times))
        good.start()
        outcomes = Counter(await asyncio.gather(*[hostile(port, kind) for _ in range(count)]))
        await asyncio.sleep(1)
        stop.set()
        good.join()
        figures[kind] = {
            "clients": count, "outcomes": dict(outcomes), "well_behaved": dict(statuses),
            "slowest_s": max(times), "server_mb": resident(process),
        }  # fmt: skip
    return figures


ABUSE_COLUMNS: tuple[str, ...] = (
    "hostile clients", "at once", "their answers", "answers to the other client", "slowest", "memory",
)  # fmt: skip


def abuse_row(kind: str, result: dict[str, Any]) -> list[str]:
    answers, others = (
        ", ".join(name if len(counts) == 1 else f"{count} × {name}" for name, count in sorted(counts.items()))
        for counts in (result["outcomes"], result["well_behaved"])
    )
    clients, slowest, memory = f"{result['clients']:,}", f"{result['slowest_s']:.2f} s", f"{result['server_mb']:.0f} MB"
    return [kind, clients, answers, others, slowest, memory]


def main() -> None:
    command = parser(__doc__ or "")
    command.add_argument("model")
    command.add_argument("--seconds", type=float, default=4.0, help="the length of each measurement")
    command.add_argument("--abuse", nargs="*", choices=KINDS, help="hostile clients, all kinds or these, instead")
    options = command.parse_args()
    record = begin(options)
    with running_server(options.model) as (process, port):
        if options.abuse is not None:
            record["abuse"] = results = asyncio.run(abuse(process, port, options.abuse or list(KINDS)))
            heads = ABUSE_COLUMNS
            rows = [abuse_row(kind, each) for kind, each in results.items()]
        else:
            model = open_model(options.model)
            record |= latency(model, port, options.seconds) | throughput(model, port, options.seconds)
            record["server_mb"] = resident(process)
            heads, rows = ("figure", "value"), [[text, f"{record[name]:.2f}"] for name, text in FIGURES.items()]
    finish(options, record | print_table(heads, rows))


if __name__ == "__main__":
    main()

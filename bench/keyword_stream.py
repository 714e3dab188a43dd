"""`opsin predict --follow` of sound: processor time, latency and memory while a long stream is fed.

    python bench/keyword_stream.py MODEL [--hours 1] [--live 20] [--json FILE]

Noise with a level that changes is piped into the command: first for `--live` seconds at the speed at which a microphone
records it, which gives the latency, then so many hours of it as fast as the command takes it, which shows whether its
memory grows. The processor time of a window, without starting, is that of the fast part.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table

import opsin
from opsin.apps.cli.follow_sound import STEP_SECONDS


def blocks(rate: int, seconds: float) -> Iterator[bytes]:
    """Yield a tenth of a second of noise at a time."""
    rng, count = np.random.default_rng(0), round(rate * STEP_SECONDS)
    for number in range(round(seconds / STEP_SECONDS)):
        level = 3000 * (0.1 + np.sin(number / 7) ** 2)
        yield rng.normal(0, level, count).clip(-32768, 32767).astype("<i2").tobytes()


class Command:
    """A running `opsin predict`, which is fed by a thread."""

    def __init__(self, model: str, rate: int, seconds: float, is_live: bool) -> None:
        words = [sys.executable, "-m", "opsin", "predict", model, "-", "--follow", "--json"]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        Thread(target=self._feed, args=(rate, seconds, is_live), daemon=True).start()

    def _feed(self, rate: int, seconds: float, is_live: bool) -> None:
        assert self._process.stdin
        start = monotonic()
        for number, block in enumerate(blocks(rate, seconds), start=1):
            if is_live:
                sleep(max(0.0, start + number * STEP_SECONDS - monotonic()))
            self._process.stdin.write(block)
            self._process.stdin.flush()
        self._process.stdin.close()

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the answers as they come."""
        assert self._process.stdout
        for line in self._process.stdout:
            yield json.loads(line)

    @property
    def memory(self) -> float:
        """The resident memory in MiB."""
        text = Path(f"/proc/{self._process.pid}/statm").read_text()
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    @property
    def processor_seconds(self) -> float:
        """The time that all threads of the process have used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def summary(self) -> str:
        """Wait for the end and return what the command says about it."""
        assert self._process.stderr
        text = self._process.stderr.read().decode()
        if self._process.wait():
            raise SystemExit(text)
        return text


def main() -> None:
    command = parser(__doc__ or "")
    command.add_argument("model")
    command.add_argument("--hours", type=float, default=1.0)
    command.add_argument("--live", type=float, default=20.0, metavar="SECONDS")
    options = command.parse_args()
    record, rate = begin(options), opsin.load(options.model).input.rate
    live = Command(options.model, rate, options.live, is_live=True)
    latencies = [1000 * line["latency"] for line in live.lines()][5:]
    live.summary()
    fast, memory, start = Command(options.model, rate, 3600 * options.hours, is_live=False), [], monotonic()
    windows, used, due = 0, 0.0, 0.0
    for line in fast.lines():
        windows += 1
        if windows == 100:
            used, due = -fast.processor_seconds, line["time"]
        if windows >= 100 and line["time"] >= due:
            memory.append((line["time"], fast.memory))
            due += 360 * options.hours
            total = fast.processor_seconds
    seconds, per_window = monotonic() - start, 1000 * (used + total) / (memory[-1][0] - memory[0][0]) * STEP_SECONDS
    print(fast.summary())
    rows = [
        ("processor time of a window", f"{per_window:.2f} ms"),
        ("share of one core, a window every 100 ms", f"{per_window / 1000 / STEP_SECONDS:.1%}"),
        ("latency at the speed of a microphone: median, worst", f"{np.median(latencies):.1f}, {max(latencies):.1f} ms"),
        (f"{options.hours:g} h of sound, fed as fast as it is taken", f"{seconds:.0f} s, {windows:,} windows"),
        ("memory after 10 s of it, at the end", f"{memory[0][1]:.1f}, {memory[-1][1]:.1f} MiB"),
    ]
    table = print_table(("keyword spotting, windows of a sample's length every 100 ms", "result"), rows)
    finish(options, record | {"memory_mib": memory, "latency_ms": latencies} | table)


if __name__ == "__main__":
    main()

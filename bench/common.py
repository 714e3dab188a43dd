"""What the measuring scripts share: interleaved timing, the machine and its peak, tables and JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import opsin
from opsin.backends.native import codegen
from opsin.backends.native.machine_peak import cpu_model
from opsin.base.processors import processors

Step = Callable[[], object]


# -- timing -----------------------------------------------------------------------------------


def interleaved(steps: Mapping[str, Step], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Seconds a call of each of `steps`, in each of `rounds`.

    In a round everyone has a turn of about `seconds`, so that what slows the machine down for a
    while slows all alike; the order changes from round to round. A turn begins with calls that are
    not counted, while the threads of the turn before go to sleep and the caches fill.
    """
    counts = {name: _calls_in(step, seconds) for name, step in steps.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    order = random.Random(0)
    for _ in range(rounds):
        for name in order.sample(list(steps), len(steps)):
            step, count = steps[name], counts[name]
            _repeat(step, seconds / 5)
            begin = perf_counter()
            for _ in range(count):
                step()
            times[name].append((perf_counter() - begin) / count)
    return times


def _calls_in(step: Step, seconds: float) -> int:
    """How many calls take `seconds`, at least one, once everything is warm."""
    _repeat(step, seconds / 2)
    return max(1, round(seconds / _repeat(step, seconds / 2)))


def _repeat(step: Step, seconds: float) -> float:
    """Calls `step` for `seconds`, at least once; the seconds a call."""
    begin, calls, passed = perf_counter(), 0, 0.0
    while not calls or passed < seconds:
        step()
        calls += 1
        passed = perf_counter() - begin
    return passed / calls


# -- the machine ------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """What a figure depends on besides the program."""
    this = codegen.host()
    packages = [name for name in ("numpy", "llvmlite", "torch") if name in sys.modules]
    return {
        "cpu": f"{cpu_model()} ({this.cpu}, {this.target.name})",
        "cores": processors(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "versions": {
            "opsin": opsin.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
    }


# -- what is shown ----------------------------------------------------------------------------


def parser(text: str) -> argparse.ArgumentParser:
    """A command line with `--json`, described by the docstring `text`."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", metavar="FILE", help="write the figures to FILE, too")
    return made


def begin(options: argparse.Namespace) -> dict[str, Any]:
    """The head of the record of a run, after printing it."""
    record = {"script": Path(sys.argv[0]).name, "options": vars(options), "machine": machine()}
    this = record["machine"]
    print(f"{this['cpu']}, {this['cores']} cores, load {this['load']}")
    print(", ".join(f"{name} {number}" for name, number in this["versions"].items()))
    return record


def finish(options: argparse.Namespace, record: Mapping[str, Any]) -> None:
    """Writes the record, where that was asked for."""
    if options.json:
        text = json.dumps(record, indent=2, default=lambda value: asdict(value))
        Path(options.json).write_text(text + "\n", encoding="utf-8")


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell, the first aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    print()
    for row in [heads, ["-" * width for width in widths], *rows]:
        first, *others = zip(row, widths, strict=True)
        print("  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip())
    sys.stdout.flush()

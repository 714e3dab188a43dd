"""Interleaved timing, the machine, tables and records: what the scripts in this folder share."""

from __future__ import annotations

import argparse
import os
import platform
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from time import perf_counter
from typing import Any

import record as records

import opsin
from opsin.backends.native import codegen
from opsin.backends.native.host import shown_features
from opsin.backends.native.machine_peak import cpu_model
from opsin.base.caches import cache_sizes
from opsin.base.processors import processors

Step = Callable[[], object]


# -- timing -----------------------------------------------------------------------------------


def interleaved(steps: Mapping[str, Step], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return the seconds per call of each of `steps`, in each of `rounds`.

    In each round every step runs for about `seconds`, so that a slow phase of the machine affects all of them; the
    order changes from round to round. A turn begins with untimed calls, while the threads of the previous turn go to
    sleep and the caches fill.
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
    """Return the number of calls that take `seconds`, at least one, measured after a warm-up."""
    _repeat(step, seconds / 2)
    return max(1, round(seconds / _repeat(step, seconds / 2)))


def _repeat(step: Step, seconds: float) -> float:
    """Call `step` for `seconds`, at least once, and return the seconds per call."""
    begin, calls, passed = perf_counter(), 0, 0.0
    while not calls or passed < seconds:
        step()
        calls += 1
        passed = perf_counter() - begin
    return passed / calls


# -- the machine ------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """Return the processor, its cores and load, and the versions of the packages in use."""
    this = codegen.host()
    packages = [name for name in ("numpy", "llvmlite", "torch") if name in sys.modules]
    return {
        "cpu": f"{cpu_model()} ({', '.join(shown_features(this.enabled))}; code for {this.cpu})",
        "caches": str(cache_sizes()),
        "cores": processors(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "opsin": opsin.__version__,
        **{name: version(name) for name in packages},
    }


# -- tables and records -----------------------------------------------------------------------


def parser(text: str) -> argparse.ArgumentParser:
    """Return a command line with `--json`, described by the docstring `text`."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", metavar="FILE", help="write the results to FILE, in the format of bench/results")
    return made


def begin(options: argparse.Namespace) -> dict[str, Any]:
    """Print the machine and return the beginning of a record."""
    record = {"machine": machine(), **records.provenance(), "options": _without_folders(options)}
    this = record["machine"]
    print(f"{this['cpu']}, {this['caches']}, {this['cores']} cores, load {this['load']}")
    print(", ".join(f"{name} {this[name]}" for name in list(this)[4:]))
    return record


def _without_folders(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options but for the file of the record."""
    return {name: records.without_folder(value) for name, value in vars(options).items() if name != "json"}


def finish(options: argparse.Namespace, record: Mapping[str, Any]) -> None:
    """Write the record if `--json` was given; it needs a table, as `print_table` returns it."""
    if options.json:
        records.write(options.json, record)


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Print columns as wide as their widest cell, the first aligned left; return the table of a record."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    print()
    for row in [heads, ["-" * width for width in widths], *rows]:
        first, *others = zip(row, widths, strict=True)
        print("  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip())
    sys.stdout.flush()
    return records.table(heads, rows)

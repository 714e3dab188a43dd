"""What do networks in C need on microcontrollers: code, flash, RAM, stack, and instructions for a multiply-add?

    python bench/ship_mcu.py [--networks mlperf_tiny_resnet8 …] [--boards Cortex-M4 …] [--precision int8] [--stream]
                             [--json FILE]

Weights are untrained, and ranges for int8 are those of random images; neither changes a size or a count. Each network
is exported, compiled by `arm-none-eabi-gcc -Os`, and run in QEMU, which executes one instruction in each nanosecond of
its own time: instructions are exact, and say nothing about cycles. The self-test compares the bits of eight images.
Code and flash are those of the exported file, with tables and weights, and without the start-up of the board; the
stack is the bound of the self-test. Needs gcc-arm-none-eabi, qemu-system-arm and make.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from common import begin, finish, parser, print_table
from ship_bits import BOARDS, missing
from untrained import observed, untrained

import opsin
from opsin.base.formatting import exact_size
from opsin.export.c.measure import measure_one
from opsin.model.int8 import INT8

COLUMNS = ["network", "processor", "MACs", "code", "flash", "RAM", "stack", "instructions", "a MAC"]


def compiler_options(makefile: str, board: str) -> tuple[str, ...]:
    """Return the options with which the project compiles for a board."""
    (options,) = re.findall(rf"^cpu_{board} = (.*)$", makefile, re.MULTILINE)
    return ("-Os", "-mthumb", *options.split())


def row(network: str, processor: str, folder: Path) -> list[str]:
    """Return the row of the table for a network that was exported to `folder`."""
    board, certificate = BOARDS[processor], json.loads((folder / "certificate.json").read_text())
    line = ["make", "-s", "-C", "cortex-m", "run", f"BOARD={board}"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{network} on a {processor}: the self-test failed\n{done.stdout}{done.stderr}")
    found = re.search(r"instructions of .*_run: (\d+)", done.stdout + done.stderr)
    assert found, done.stdout
    options = compiler_options((folder / "cortex-m" / "Makefile").read_text(), board)
    prefix = certificate["name"]
    measured = measure_one(folder / "src", prefix, "arm-none-eabi-gcc", options)
    macs, count = certificate["macs"], int(found[1])
    sizes = [measured.code, measured.code + measured.constants, certificate["ram_bytes"]]
    return [
        network, processor, f"{macs / 1e6:.2f} M", *(f"{size / 1024:.1f} KiB" for size in sizes),
        exact_size(measured.stack[f"{prefix}_self_test"]), f"{count / 1e6:.2f} M", f"{count / macs:.2f}",
    ]  # fmt: skip


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--networks", nargs="+", default=["mlperf_tiny_resnet8", "mlperf_tiny_vww"])
    options.add_argument("--boards", nargs="+", default=[*BOARDS], choices=[*BOARDS])
    options.add_argument("--precision", default=INT8)
    options.add_argument("--stream", action="store_true", help="networks take their images row by row")
    chosen = options.parse_args()
    record = begin(chosen)
    for processor in chosen.boards:
        if absent := missing(processor):
            sys.exit(f"{processor} needs {absent}, which is not installed")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for network in chosen.networks:
            model, folder = untrained(network), Path(scratch) / network
            if chosen.precision == INT8:
                observed(model)
            opsin.ship(model, "c", folder, precision=chosen.precision, stream=chosen.stream)
            for processor in chosen.boards:
                rows.append(row(network, processor, folder))
                print(*rows[-1], file=sys.stderr, flush=True)
    finish(chosen, {**record, **print_table(COLUMNS, rows)})


if __name__ == "__main__":
    main()

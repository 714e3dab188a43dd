"""How fast are networks in C on this processor, next to the same plan as native code?

    python bench/ship_c_speed.py [--networks mlperf_tiny_resnet8 …] [--rounds 40] [--json FILE]

Untrained networks in float32 are exported, compiled with each of `COMPILERS` that is installed, and called in this
process, one thread, one image. Next to them runs the portable plan as LLVM compiles it for all instructions of this
processor, which `opsin predict --portable` uses; its time includes the call from Python. All take turns. The self-test
of each program compares its bits.
"""

from __future__ import annotations

import ctypes
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import begin, finish, interleaved, parser, print_table
from untrained import untrained

import opsin
from opsin.backends.portable import compile

COMPILERS = ("gcc -O3", "gcc -O3 -march=native", "clang -O3", "clang -O3 -march=native")
SECONDS = 0.02
COLUMNS = ["network", "compiled by", "ms", "native, ms", "ratio of medians (quartiles)", "of the least"]


def compiled(folder: Path, name: str, command: str) -> Any:
    """Return the library of an export."""
    compiler, *flags = command.split()
    target = folder / f"{command.replace(' ', '')}.so"
    line = [compiler, *flags, "-std=c99", "-shared", "-fPIC", f"-I{folder}/src", f"{folder}/src/{name}.c", "-o"]
    subprocess.run([*line, str(target)], check=True)
    library = ctypes.CDLL(str(target))
    if library[f"{name}_self_test"]() != 0:
        sys.exit(f"{name}, {command}: other bits")
    return library


def rows(network: str, rounds: int, scratch: Path) -> list[list[str]]:
    """Return a row for each compiler."""
    model, folder = untrained(network), scratch / network
    opsin.ship(model, "c", folder)
    program = compile(model.graph, 1, 1)
    program.load_state(model.state)
    image = np.random.default_rng(0).standard_normal((1, *model.preprocessing.input_shape), np.float32)
    commands = [command for command in COMPILERS if shutil.which(command.split()[0])]
    libraries = {command: compiled(folder, network, command) for command in commands}
    steps = {command: library[f"{network}_run"] for command, library in libraries.items()}
    times = interleaved({"native": lambda: program.run(inputs=image), **steps}, rounds, SECONDS)
    return [_row(network, command, times["native"], times[command]) for command in commands]


def _row(network: str, command: str, native: list[float], own: list[float]) -> list[str]:
    low, middle, high = statistics.quantiles([a / b for a, b in zip(native, own, strict=True)], n=4)
    milliseconds = [f"{1e3 * statistics.median(t):.3f} ({1e3 * min(t):.3f})" for t in (own, native)]
    return [network, command, *milliseconds, f"{middle:.2f} ({low:.2f} to {high:.2f})", f"{min(native) / min(own):.2f}"]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--networks", nargs="+", default=["mlperf_tiny_resnet8", "mlperf_tiny_vww"])
    options.add_argument("--rounds", type=int, default=40)
    chosen = options.parse_args()
    record = begin(chosen)
    with tempfile.TemporaryDirectory() as scratch:
        table = [row for network in chosen.networks for row in rows(network, chosen.rounds, Path(scratch))]
    finish(chosen, {**record, **print_table(COLUMNS, table)})


if __name__ == "__main__":
    main()

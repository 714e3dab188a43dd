"""Flash and stack of an export, measured with the compilers that are installed.

GCC writes the stack of each function and the graph of calls (`-fcallgraph-info=su`); the bound is the longest path.
Functions of the compiler's own library, which compute with floats on processors that cannot, are not in this graph;
`LIBRARY_STACK` is added for each path that ends in one.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

LIBRARY_STACK = 32
TIMEOUT_SECONDS = 300
COMPILERS: Mapping[str, tuple[str, ...]] = {
    "arm-none-eabi-gcc": ("-Os", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    "gcc": ("-O2",),
}
NODE = re.compile(r'node: \{ title: "([^"]+)" label: "[^"]*?\\n(?:[^"]*?\\n)?(\d+) bytes \(')
EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
SECTION = re.compile(r"^\.(text|rodata|data|bss|eh_frame)\S*\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Measurement:
    """Bytes in flash (`code` and `constants`), static RAM, and a bound of the stack of each function of the header."""

    compiler: str
    options: str
    code: int
    constants: int
    ram: int
    stack: Mapping[str, int]

    def to_data(self) -> dict[str, Any]:
        return asdict(self) | {"flash": self.code + self.constants}


def measure(files: Mapping[str, bytes], prefix: str, compilers: Collection[str]) -> Iterator[Measurement]:
    """Yield a measurement for each of `compilers`, some of `COMPILERS`, that is installed."""
    for name, options in COMPILERS.items():
        if name in compilers and shutil.which(name) and shutil.which(name.removesuffix("gcc") + "size"):
            with tempfile.TemporaryDirectory() as folder:
                for file in (f"{prefix}.c", f"{prefix}.h"):
                    (Path(folder) / file).write_bytes(files[f"src/{file}"])
                yield measure_one(Path(folder), prefix, name, options)


def measure_one(folder: Path, prefix: str, compiler: str, options: tuple[str, ...]) -> Measurement:
    """Compile the sources in `folder`, and return what they need."""
    line = [compiler, *options, "-std=c99", "-ffreestanding", "-fcallgraph-info=su", "-c", f"{prefix}.c", "-o", "a.o"]
    _run(line, folder)
    tool = compiler.removesuffix("gcc") + "size"
    sizes: dict[str, int] = defaultdict(int)
    for section, size in SECTION.findall(_run([tool, "-A", "a.o"], folder)):
        sizes[section] += int(size)
    stack = stack_bounds((folder / "a.ci").read_text(encoding="utf-8"))
    version = _run([compiler, "--version"], folder).splitlines()[0]
    return Measurement(
        version, " ".join(options), sizes["text"], sizes["rodata"] + sizes["data"], sizes["data"] + sizes["bss"], stack
    )


def stack_bounds(graph: str) -> dict[str, int]:
    """Return for each function that other files may call the bytes of stack of its longest path of calls.

    `graph` is GCC's call graph, in which the names of other functions begin with that of their file.
    """
    sizes = {title: int(size) for title, size in NODE.findall(graph)}
    calls: dict[str, set[str]] = defaultdict(set)
    for caller, called in EDGE.findall(graph):
        calls[caller].add(called)

    @cache
    def longest(name: str) -> int:
        if name not in sizes:
            return LIBRARY_STACK
        return sizes[name] + max((longest(called) for called in calls[name]), default=0)

    return {name: longest(name) for name in sorted(sizes) if ":" not in name}


def _run(line: list[str], folder: Path) -> str:
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True)
    return done.stdout

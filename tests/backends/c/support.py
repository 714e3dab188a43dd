"""Compile C files of tests into a library of this process; skip with a reason where there is no compiler."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-builtin")
VARIANTS = {
    "gcc, vectors": ("gcc", "-O2"),
    "gcc, scalars": ("gcc", "-O1", "-DSCALARS"),
    "gcc, fused multiply-add": ("gcc", "-O2", "-std=gnu99", "-march=native"),
    "clang, vectors": ("clang", "-O2"),
    "clang, scalars": ("clang", "-O1", "-DSCALARS"),
}
"""Compilers and options whose results must be bit-identical."""


def compiler(name: str) -> str:
    """Return the path of a compiler, of any version; skip the test if there is none."""
    for candidate in (name, *(f"{name}-{version}" for version in range(20, 10, -1))):
        path = shutil.which(candidate)
        if path:
            return path
    pytest.skip(f"needs {name}")


def library(folder: Path, sources: Mapping[str, str], command: Sequence[str]) -> ctypes.CDLL:
    """Compile files, each by its name, with all warnings as errors, and load them."""
    for name, text in sources.items():
        (folder / name).write_text(text)
    program = compiler(command[0])
    target = folder / f"library{len(list(folder.iterdir()))}.so"
    line = [program, *STRICT, *command[1:], "-shared", "-fPIC", *sources, "-o", str(target)]
    done = subprocess.run(
        line, cwd=folder, capture_output=True, text=True, timeout=300, env={**os.environ, "LC_ALL": "C"}
    )
    assert done.returncode == 0, done.stderr[:4000]
    return ctypes.CDLL(str(target))

"""On an emulated Cortex-M4, bits are equal, and memory and stack are what the certificate says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import opsin
from opsin.export.c.measure import stack_bounds
from opsin.export.c.ram import BORDER_BYTES
from opsin.model import Model

TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm", "make")
BOARD = "mps2-an386"
MAX_GAP = 32
"""Bytes by which a bound of the stack may exceed what was used."""


@pytest.fixture(scope="module", params=[False, True], ids=["whole", "streamed"])
def folder(request: pytest.FixtureRequest, digits: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    for tool in TOOLS:
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}")
    path = tmp_path_factory.mktemp("board") / "digits"
    opsin.ship(digits, "c", path, measure=True, stream=request.param)
    return path


@pytest.fixture(scope="module")
def printed(folder: Path) -> dict[str, int]:
    line = ["make", "-s", "-C", "cortex-m", "run", f"BOARD={BOARD}"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return {name.strip(): int(value) for name, value in re.findall(r"([\w ,]+): (\d+)", done.stdout + done.stderr)}


def test_the_self_test_passes(printed: dict[str, int]) -> None:
    assert printed["state of digits_self_test"] == 0
    assert printed["state of digits_load"] == 0


def test_ram_is_certified_to_the_byte(folder: Path, printed: dict[str, int]) -> None:
    certificate = json.loads((folder / "certificate.json").read_text())
    certified = certificate["ram_bytes"]
    assert printed["RAM, bytes"] == certified
    unwritten = 12 + (BORDER_BYTES if certificate["rows_at_a_time"] else 0)  # loading an image sums its border
    assert certified - unwritten <= printed["RAM, bytes written"] <= certified


def test_the_stack_is_within_its_bound(folder: Path, printed: dict[str, int]) -> None:
    bounds = stack_bounds((folder / "cortex-m" / "build" / f"{BOARD}.ci").read_text())
    for function in ("self_test", "load", "run"):
        used, bound = printed[f"stack of digits_{function}, bytes"], bounds[f"digits_{function}"]
        assert bound - MAX_GAP <= used <= bound + 8, function  # the caller of `run` and `load` saves two registers


def test_flash_is_that_of_the_linker(folder: Path, printed: dict[str, int]) -> None:
    rows = json.loads((folder / "certificate.json").read_text())["compilers"]
    certified = next(row for row in rows if "cortex-m4" in row["options"])
    linked = (folder / "cortex-m" / "build" / f"{BOARD}.map").read_text()
    sections = re.findall(r"^ \.(text|rodata)\S*\s+0x[0-9a-f]+\s+0x([0-9a-f]+) build/" + BOARD, linked, re.MULTILINE)
    assert sum(int(size, 16) for kind, size in sections if kind == "text") == certified["code"]
    assert sum(int(size, 16) for kind, size in sections if kind == "rodata") == certified["constants"]

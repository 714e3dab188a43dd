"""The project for a PC: it builds, names an image, and does nothing that C leaves undefined."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import opsin
from opsin.model import Model
from tests.backends.c.support import compiler

SANITIZERS = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"


@pytest.fixture(scope="module")
def folder(digits: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("make"):
        pytest.skip("needs make")
    path = tmp_path_factory.mktemp("pc") / "digits"
    opsin.ship(digits, "c", path)
    make = ["make", "-s", "-C", "pc", f"CC={compiler('gcc')}", f"CFLAGS={SANITIZERS}"]
    done = subprocess.run(make, cwd=path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return path


def predict(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = ["pc/predict", *arguments]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def test_the_self_test_passes(folder: Path) -> None:
    done = predict(folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "self-test passed\n", "")


@pytest.mark.parametrize(("kind", "shape"), [("P5", (90, 61)), ("P6", (33, 70, 3)), ("P5", (2, 3))])
def test_an_image_gets_its_label(kind: str, shape: tuple[int, ...], folder: Path, digits: Model) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    head = f"{kind}\n# a comment\n{shape[1]} {shape[0]}\n255\n"
    (folder / "image.ppm").write_bytes(head.encode() + pixels.tobytes())
    (answer,) = opsin.load(digits.name).predict(pixels)
    done = predict(folder, "image.ppm")
    assert done.returncode == 0, done.stderr
    assert f" {answer.label} " in done.stdout.splitlines()[0]
    assert ("don't know" in done.stdout) == (answer.reliable is False)


@pytest.mark.parametrize("content", [b"", b"P3\n", b"P5\n0 3\n255\n", b"P5\n4 4\n255\nabc", b"P5 4 4 65535 "])
def test_other_files_are_refused(content: bytes, folder: Path) -> None:
    (folder / "bad.pgm").write_bytes(content)
    done = predict(folder, "bad.pgm")
    assert done.returncode == 2
    assert done.stderr.startswith("bad.pgm ")
    done = predict(folder, "missing.pgm")
    assert (done.returncode, done.stderr) == (2, "missing.pgm cannot be opened\n")


@pytest.mark.parametrize("command", ["gcc -O3", "gcc -Os", "arm-none-eabi-gcc -Os -mcpu=cortex-m0 -mthumb"])
def test_no_function_of_a_library_is_called(command: str, digits: Model, tmp_path: Path) -> None:
    """Only functions of the compiler's own library, which computes what the processor cannot."""
    name, *flags = command.split()
    tool = name.removesuffix("gcc") + "nm"
    if not shutil.which(name) or not shutil.which(tool):
        pytest.skip(f"needs {name} and {tool}")
    opsin.ship(digits, "c", tmp_path)
    line = [name, *flags, "-std=c99", "-ffreestanding", "-c", "src/digits.c", "-o", "a.o"]
    subprocess.run(line, cwd=tmp_path, check=True, timeout=300)
    text = subprocess.run([tool, "-u", "a.o"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    missing = [line.split()[-1] for line in text.splitlines()]
    assert [symbol for symbol in missing if not symbol.startswith("__aeabi_")] == []

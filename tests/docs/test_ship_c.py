"""docs/ship/c.md: its commands and examples, one after the other as a reader runs them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

import opsin
from opsin.apps.cli.main import run
from tests.docs.markdown import ROOT, code_blocks

PAGE = ROOT / "docs" / "ship" / "c.md"
NUMBERS = re.compile(r"\d+(\.\d+)?")
TOOLS = {"make -s -C digits/pc": ("make", "cc"), "digits/pc/predict seven.pgm": ("make", "cc")}
BOARD_TOOLS = ("make", "arm-none-eabi-gcc", "qemu-system-arm")
"""What a command needs."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reader")
    opsin.train("lenet5", opsin.data.load("digits"), epochs=2, seed=1).save(path / "digits.opsin")
    Image.open(ROOT / "docs" / "seven.png").convert("L").save(path / "seven.pgm")
    return path


def masked(lines: list[str]) -> list[str]:
    """Return the lines without their numbers, which depend on training and compilers."""
    return [" ".join(NUMBERS.sub("#", line).replace("kB", "B").split()) for line in lines]


def test_the_commands_print_what_the_page_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    for block in code_blocks(PAGE, "console"):
        for part in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
            command, *expected = part.splitlines()
            if command.startswith("opsin "):
                assert run(command.removeprefix("opsin ").split()) == 0
                printed = capfd.readouterr().out.splitlines()
            elif all(map(shutil.which, TOOLS.get(command, BOARD_TOOLS))):
                line = command.split()
                done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
                assert done.returncode == 0, done.stderr
                printed = (done.stdout + done.stderr).splitlines()
            else:
                continue
            assert masked(printed) == masked(expected), command


def test_the_functions_of_the_page_compile(folder: Path) -> None:
    if not shutil.which("gcc"):
        pytest.skip("needs gcc")
    opsin.ship(opsin.load(folder / "digits.opsin"), "c", folder / "digits", stream=True)
    whole, rows = code_blocks(PAGE, "c")
    for block in (whole, rows):
        (folder / "own.c").write_text(block.code)
        flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-Idigits/src"]
        done = subprocess.run(["gcc", *flags, "own.c"], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or "DIGITS_THRESHOLD" in done.stderr, done.stderr


def test_the_example_runs(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(folder)
    for block in code_blocks(PAGE):
        block.run()
    assert int(capsys.readouterr().out) > 15_000

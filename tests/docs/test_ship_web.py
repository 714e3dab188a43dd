"""docs/ship/web.md: its commands and examples, one after the other as a reader runs them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import opsin
from opsin.apps.cli.main import run
from opsin.training.saving import ModelWriter
from tests.conftest import RECORD
from tests.docs.markdown import ROOT, code_blocks

PAGE = ROOT / "docs" / "ship" / "web.md"
NUMBERS = re.compile(r"\d+(\.\d+)?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reader")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelWriter, "quantize", RECORD)
        opsin.train("lenet5", opsin.data.load("digits"), epochs=1).save(path / "digits.opsin")
    return path


def test_the_commands_print_what_the_page_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    for block in code_blocks(PAGE, "console"):
        command, *expected = block.code.splitlines()
        assert run(command.removeprefix("$ opsin ").split()) == 0
        printed = capfd.readouterr().out.splitlines()
        assert [NUMBERS.sub("#", line) for line in printed] == [NUMBERS.sub("#", line) for line in expected]
    assert (folder / "digits.html").stat().st_size <= 300_000


def test_the_module_runs_in_node(folder: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    opsin.ship(opsin.load(folder / "digits.opsin"), "js", folder / "digits-js")
    (block,) = code_blocks(PAGE, "javascript")
    (folder / "example.mjs").write_text(block.code, encoding="utf-8")
    done = subprocess.run(["node", "example.mjs"], cwd=folder, check=True, capture_output=True, text=True, timeout=60)
    label, probability, known = done.stdout.split()
    assert label in "0123456789" and 0 < float(probability) <= 1 and known in ("true", "false", "null")


def test_the_example_in_python_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for block in code_blocks(PAGE):
        block.run()

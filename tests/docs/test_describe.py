"""docs/describe.md: what its commands print, and its example."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from opsin.apps.cli.main import run
from tests.docs.markdown import ROOT, code_blocks

PAGE = ROOT / "docs" / "describe.md"
TEXT = PAGE.read_text(encoding="utf-8")
SESSIONS = [block.code.removeprefix("$ opsin ").split("\n", 1) for block in code_blocks(PAGE, "console")]
(EXAMPLE,) = code_blocks(PAGE)


@pytest.mark.parametrize(("command", "output"), SESSIONS, ids=[command for command, _ in SESSIONS])
def test_commands_print_what_the_page_says(command: str, output: str, capfd: pytest.CaptureFixture[str]) -> None:
    run(shlex.split(command))
    out, err = capfd.readouterr()
    assert out + err == output


def test_lines_of_the_table_of_resnet152(capfd: pytest.CaptureFixture[str]) -> None:
    run(["describe", "resnet152"])
    lines = capfd.readouterr().out.splitlines()
    told = re.findall(r"^    ((?:layer3|  1–35).*)$", TEXT, re.MULTILINE)
    assert len(told) == 2
    assert set(told) <= set(lines)
    begin, end = (next(n for n, line in enumerate(lines) if line.startswith(name)) for name in ("layer3", "layer4"))
    assert f"takes {end - begin} lines" in TEXT


def test_the_example_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    EXAMPLE.run()
    assert capsys.readouterr().out == "2634\n"
    assert "×4" in (tmp_path / "mine.svg").read_text(encoding="utf-8")

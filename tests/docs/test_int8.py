"""docs/int8.md: its commands and examples, and the limits that it names."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from opsin.apps.cli.main import run
from opsin.model import int8
from opsin.quantization import calibration, comparison
from opsin.training.saving import ModelWriter
from tests.conftest import RECORD
from tests.docs.markdown import ROOT, code_blocks

PAGE = ROOT / "docs" / "int8.md"
TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    opsin (.*)$", TEXT, re.MULTILINE)


def test_commands_and_examples_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ModelWriter, "quantize", RECORD)
    (tmp_path / "photos").mkdir()
    for target in ("seven.png", "photos/seven.png"):
        shutil.copy(ROOT / "docs" / "seven.png", target)
    assert len(COMMANDS) == 7
    for command in COMMANDS:
        extra = ["--no-report"] if command.startswith("train") else []
        assert run([*shlex.split(command), *extra]) == 0, "".join(capsys.readouterr())
    capsys.readouterr()
    names: dict[str, object] = {"__name__": "example"}
    printed = []
    for example in code_blocks(PAGE):
        example.run(names)
        printed.append(capsys.readouterr().out)
    assert re.search(r" won of 36\d images: a drop of ", printed[0])
    assert float(printed[0].splitlines()[1].split()[0]) > 0.95
    images, *drops = printed[1].split()
    assert images == "256" and all(abs(float(drop)) <= 0.5 for drop in drops)


def test_the_limits_are_those_of_the_program() -> None:
    assert comparison.MAX_DROP == 1 and "loses more than one percentage point" in TEXT
    assert f"up to {int8.MAX_IMAGES} training images" in TEXT
    assert f"at least {calibration.SHARED_RANGE} of it" in TEXT


@pytest.mark.parametrize("command", ["predict", "evaluate", "ship"])
def test_the_commands_have_the_options(
    command: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    run([command, "--help"])
    text = capfd.readouterr().out
    assert all(f"{option} " in text for option in ("--precision", "--calibrate"))

"""docs/precision.md: its commands and examples, and what it says of other files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from opsin.apps.cli.main import run
from opsin.planning import precision_choice
from opsin.runs.run import read_config
from tests.docs.markdown import ROOT, code_blocks

PAGE = ROOT / "docs" / "precision.md"
TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    opsin (.*)$", TEXT, re.MULTILINE)


def test_the_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) == 3
    for command in COMMANDS:
        extra = ["--no-report"] if command.startswith("train") else []
        code = run([*shlex.split(command), *extra])
        assert code == 0, "".join(capfd.readouterr())
    assert read_config(tmp_path / "runs" / "narrow")["plan"]["precision"] == "bf16"
    config = read_config(tmp_path / "runs" / "chosen")
    assert "precision" not in config["plan"] and any("284 steps are too few" in reason for reason in config["reasons"])


def test_the_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"__name__": "example"}
    printed = []
    for example in code_blocks(PAGE):
        example.run(names)
        printed.append(capsys.readouterr().out.split())
    precision, accuracy, difference = printed[0]
    assert precision == "float32" and float(accuracy) > 0.9 and 0 < float(difference) < 0.1
    assert abs(float(printed[1][0]) - float(accuracy)) <= 0.01
    full, narrow = (int(size.strip("[],")) for size in printed[2])
    assert narrow < 0.7 * full
    assert printed[3] == ["float32", "[]"]


def test_the_rule_is_the_one_of_the_program() -> None:
    assert f"at least {precision_choice.MIN_SPEEDUP} times as fast" in TEXT
    assert f"{precision_choice.MAX_LOSS_INCREASE:.0%} of the loss" in TEXT
    assert precision_choice.TRIAL_SHARE == 1 / 40 and f", {precision_choice.MAX_TRIAL_STEPS} at most" in TEXT
    assert precision_choice.MIN_TRAINING_SECONDS == 60 and "less than a minute of steps" in TEXT
    assert f"fewer than {precision_choice.MIN_TRIAL_STEPS / precision_choice.TRIAL_SHARE:.0f} steps" in TEXT


@pytest.mark.parametrize("command", ["train", "predict", "profile", "describe", "tune"])
def test_the_commands_of_the_table_have_the_option(
    command: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    run([command, "--help"])
    assert "--precision " in capfd.readouterr().out
    assert re.search(rf"^\| `opsin {command} [^`]*--precision bf16`", TEXT, re.MULTILINE)

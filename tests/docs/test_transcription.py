"""The page about transcripts: its commands and its example, one after the other as a reader runs them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from opsin.apps.cli.main import run
from tests.docs.markdown import ROOT, code_blocks
from tests.tasks.transcription.tones import write_strings

PAGE = ROOT / "docs" / "transcription.md"


def test_commands_and_the_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = write_strings(tmp_path / "strings", 120)
    (tmp_path / "strings" / "1.wav").rename(tmp_path / "strings" / "0001.wav")
    table = tmp_path / "strings" / "strings.csv"
    table.write_text(table.read_text().replace("\n1.wav", "\n0001.wav"))
    commands = [line.strip() for line in PAGE.read_text().splitlines() if line.startswith("    opsin ")]
    assert [shlex.split(command)[1] for command in commands] == ["train", "data", "evaluate", "predict"]
    for command in commands:
        extra = ["--epochs", "20", "--no-report", "--threads", "1"] if " train " in command else []
        assert run([*shlex.split(command)[1:], *extra]) == 0, command
    capsys.readouterr()
    (example,) = code_blocks(PAGE)
    example.run({"__name__": "example"})
    first, *words = capsys.readouterr().out.splitlines()
    assert first == texts[1]
    assert [word.partition(": ")[2] for word in words] == texts[1].split()

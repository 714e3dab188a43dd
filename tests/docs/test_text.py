"""docs/text.md: its commands and its example, one after the other as a reader runs them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from opsin.apps.cli.main import run
from tests.docs.markdown import ROOT
from tests.inputs.sentences import sentences, write_table

PAGE = (ROOT / "docs" / "text.md").read_text()


def test_the_page_as_a_reader_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "reviews.csv", sentences(240))
    commands = [line.strip() for line in PAGE.splitlines() if line.startswith("    opsin ")]
    assert [shlex.split(command)[1] for command in commands] == ["train", "data", "predict", "evaluate"]
    for command in commands:
        extra = ["--epochs", "5", "--no-report"] if " train " in command else []
        assert run([*shlex.split(command)[1:], *extra]) == 0, command
    capsys.readouterr()
    [example] = [block.split("```")[0] for block in PAGE.split("```python")[1:]]
    exec(compile(example, "docs/text.md", "exec"), {})
    assert capsys.readouterr().out.strip() == "good"
    assert (tmp_path / "report.html").is_file()

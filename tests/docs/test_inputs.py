"""The pages of other kinds of input: their commands and examples, one after the other as a reader runs them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from opsin.apps.cli.main import run
from tests.docs.markdown import ROOT
from tests.inputs.films import write_films
from tests.inputs.questions import questions, write_json
from tests.inputs.recordings import write_recordings
from tests.inputs.sentences import sentences, write_table
from tests.inputs.waves import write_signals


def test_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_table(tmp_path / "reviews.csv", sentences(240))
    assert follow("text", ["train", "data", "predict", "evaluate"], tmp_path, monkeypatch, capsys) == "good"


def test_signals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_signals(tmp_path / "movements", 12)
    for label, name in (("slow", "walking"), ("fast", "running")):
        (tmp_path / "movements" / label).rename(tmp_path / "movements" / name)
    answer = follow("signals", ["train", "data", "predict"], tmp_path, monkeypatch, capsys)
    assert answer.endswith(("% walking", "% running"))


def test_sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_recordings(tmp_path / "commands", 12, ("yes", "no"))
    assert follow("sound", ["train", "data", "predict", "evaluate"], tmp_path, monkeypatch, capsys) in ("yes", "no")


def test_several_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shapes = write_json(tmp_path / "rows.json", questions(tmp_path, 80))
    (tmp_path / "images" / "0-0.png").rename(tmp_path / "images" / "1.png")
    shapes.write_text(shapes.read_text().replace("images/0-0.png", "images/1.png"))
    names = ["train", "data", "predict", "predict", "evaluate"]
    assert follow("several-inputs", names, tmp_path, monkeypatch, capsys) in ("yes", "no")


def test_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_films(tmp_path / "actions", 12, ("running", "walking"))
    assert follow("clips", ["train", "data", "predict", "evaluate"], tmp_path, monkeypatch, capsys) in (
        "running", "walking",
    )  # fmt: skip


def follow(
    page: str, names: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """Run the commands of a page and its example in a folder; return what the example prints."""
    monkeypatch.chdir(folder)
    text = (ROOT / "docs" / f"{page}.md").read_text()
    commands = [line.strip() for line in text.splitlines() if line.startswith("    opsin ")]
    assert [shlex.split(command)[1] for command in commands] == names
    for command in commands:
        extra = ["--epochs", "5", "--no-report"] if " train " in command else []
        assert run([*shlex.split(command)[1:], *extra]) == 0, command
    capsys.readouterr()
    [example] = [block.split("```")[0] for block in text.split("```python")[1:]]
    exec(compile(example, page, "exec"), {})
    return capsys.readouterr().out.strip()

"""docs/see.md: its command and its examples, one after the other as a reader runs them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import opsin
from opsin.apps.cli.main import run
from opsin.explain.attribution.registry import METHODS
from opsin.inspection.images import MAX_IMAGES
from opsin.inspection.views.registry import VIEWS
from tests.docs.markdown import ROOT, code_blocks

PAGE = ROOT / "docs" / "see.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reader")
    opsin.train("lenet5", opsin.data.load("digits")).save(path / "digits.opsin")
    (path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "seven.png", path / "docs")
    return path


def test_the_command_prints_what_the_page_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    (block,) = code_blocks(PAGE, "console")
    command, *expected = block.code.splitlines()
    assert run(command.removeprefix("$ opsin ").split()) == 0
    printed = capfd.readouterr().out.splitlines()
    numbers = re.compile(r"\d+\.\d+")
    assert [numbers.sub("#", line) for line in printed] == [numbers.sub("#", line) for line in expected]
    assert (folder / "see.html").stat().st_size < 1_000_000


def test_the_examples_run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(folder)
    names: dict[str, object] = {"__name__": "example"}
    for example in code_blocks(PAGE):
        example.run(names)
    assert "of the logit of '7'" in capsys.readouterr().out
    assert names["value"].is_exact  # type: ignore[attr-defined]


def test_the_page_names_every_view_and_method() -> None:
    assert all(f"{view.title}" in TEXT for view in VIEWS)
    assert all(f"| `{name}` |" in TEXT for name in METHODS)
    assert f"up to {MAX_IMAGES} in all" in TEXT

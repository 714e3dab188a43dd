"""Sizes of terminals that make no sense, and narrow ones."""

from __future__ import annotations

import os
from typing import Any

import pytest

from opsin.apps.cli.terminal import discard_invalid_sizes, is_live

COMMANDS = ["", "train", "predict", "evaluate", "describe", "profile", "tune", "bench", "runs", "data", "data check"]


@pytest.mark.parametrize("columns", ["0", "1", "5", "-3", "abc", "100000", "²", "9" * 5000, ""])
def test_invalid_terminal_sizes_are_ignored(cli: Any, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    for name in ("COLUMNS", "LINES", "TERMINAL_WIDTH"):
        monkeypatch.setenv(name, columns)
    for command in COMMANDS:
        code, out, err = cli(*command.split(), "--help")
        assert (code, err) == (0, "")
        text = " ".join(out.split())
        assert f"Usage: opsin {command}".rstrip() in text
        assert "--help" in text
        assert max(map(len, out.splitlines())) <= 500


@pytest.mark.parametrize("columns", ["20", "40", "79"])
def test_narrow_help_truncates_no_option(cli: Any, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    out = cli("train", "--help").out
    assert "--class-weights / --no-class-weights" in out
    assert "│" not in out
    assert max(map(len, out.splitlines())) < 80
    monkeypatch.setenv("COLUMNS", "80")
    assert "│ --class-weights" in cli("train", "--help").out


@pytest.mark.parametrize("columns", ["0", "1", "abc"])
def test_tables_do_not_depend_on_an_invalid_width(cli: Any, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    expected = cli("profile", "lenet5", "--batch", "1", "--seconds", "0").out.splitlines()
    monkeypatch.setenv("COLUMNS", columns)
    actual = cli("profile", "lenet5", "--batch", "1", "--seconds", "0").out.splitlines()
    assert [line.split()[:1] for line in actual[:1]] == [line.split()[:1] for line in expected[:1]]
    assert len(actual) == len(expected)


def test_valid_terminal_sizes_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "0")
    monkeypatch.delenv("TERMINAL_WIDTH", raising=False)
    discard_invalid_sizes()
    assert os.environ["COLUMNS"] == "120"
    assert "LINES" not in os.environ and "TERMINAL_WIDTH" not in os.environ
    assert not is_live(None)

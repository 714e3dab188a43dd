"""docs/training.md: its example runs, and what it says of options and files is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import opsin
from opsin.errors import UsageError

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def test_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "training.md", "exec"), {"__name__": "example"})
    files = {path.name for path in (tmp_path / "my-run").iterdir()}
    named = {
        name.strip("/")
        for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
        for name in re.findall("`(.*?)`", row)
    }
    assert files <= named
    with pytest.raises(UsageError, match="the run in my-run is finished"):
        opsin.training.resume("my-run")


def test_the_options_are_there() -> None:
    declared = (Path(opsin.__file__).parent / "cli" / "training.py").read_text(encoding="utf-8")
    for option in set(re.findall(r"--[a-z][a-z-]*", PAGE.read_text(encoding="utf-8"))):
        name = option.strip("-").replace("-", "_")
        assert f'"{option}' in declared or f"    {name}: " in declared, option

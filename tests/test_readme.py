"""The README's Python runs as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, code_blocks


def test_the_python_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = code_blocks(ROOT / "README.md")
    assert len(blocks) >= 2
    for block in blocks:
        block.run()
    assert "right" in capsys.readouterr().out
    assert (tmp_path / "digits.opsin").stat().st_size > 200_000

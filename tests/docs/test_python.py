"""docs/python.md: its examples, one after the other as a reader runs them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from opsin.apps.estimator.arrays import MIN_NETWORK_SIDE
from tests.data.files import write_stripes
from tests.docs.markdown import ROOT, code_blocks

PAGE = ROOT / "docs" / "python.md"


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_stripes(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "example"}
    printed = []
    for example in code_blocks(PAGE):
        if "sklearn" in example.code and not find_spec("sklearn"):
            continue
        example.run(names)
        printed.append(capsys.readouterr().out)
    assert "of 1,000 images right" in printed[0]
    assert printed[1].startswith("photos: 40 images of 2 classes")
    assert len(printed[2].splitlines()) == 4 and "(1000, 10)" in printed[2]
    assert (tmp_path / "digits.html").stat().st_size > 100_000 and (
        tmp_path / "runs" / "mine" / "model.opsin"
    ).is_file()
    assert "['lying' 'lying']\n1.0\n" in printed[9]


def test_the_figures_are_the_codes() -> None:
    assert f"sides below {MIN_NETWORK_SIDE} are enlarged" in PAGE.read_text(encoding="utf-8")

"""The examples of docs/networks: each runs by itself, as a reader would run it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, CodeBlock, code_blocks

PAGES = sorted((ROOT / "docs" / "networks").glob("*.md"))


def test_every_page_has_one() -> None:
    assert PAGES and all(map(code_blocks, PAGES))


@pytest.mark.parametrize("example", [block for page in PAGES for block in code_blocks(page)], ids=str)
def test_an_example_runs(example: CodeBlock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example.run()

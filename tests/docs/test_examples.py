"""The examples of docs/networks: each runs by itself, as a reader would run it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "networks"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples() -> Iterator[tuple[str, int, str]]:
    """Each example with its page and the line that it begins in."""
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            yield page.name, text.count("\n", 0, match.start(1)) + 1, match[1]


EXAMPLES = list(examples())


def test_every_page_has_one() -> None:
    assert {page for page, _, _ in EXAMPLES} == {page.name for page in PAGES.glob("*.md")} != set()


@pytest.mark.parametrize(("page", "line", "code"), EXAMPLES, ids=[f"{page}:{line}" for page, line, _ in EXAMPLES])
def test_an_example_runs(page: str, line: int, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # Lines before it, so that a traceback names the page's own.
    exec(compile("\n" * (line - 1) + code, str(PAGES / page), "exec"), {"__name__": "example"})

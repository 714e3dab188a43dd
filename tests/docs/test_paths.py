"""The files that the documentation and docstrings name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT

BASES = (ROOT, ROOT / "src", ROOT / "src" / "opsin")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = [path for folder in ("src", "bench", "tools") for path in sorted((ROOT / folder).rglob("*.py"))]
FILE = re.compile(r"`(?:python )?([\w./-]+\.(?:py|npz|toml))`")
FOLDER = re.compile(r"`([a-z_/.]+/)`")
NAMES = {path.name for folder in ("src", "bench", "tools", "tests") for path in (ROOT / folder).rglob("*.py")}


def missing(paths: list[str]) -> list[str]:
    """Return the paths that do not exist; a name without a folder may be that of any file."""
    return [path for path in paths if path not in NAMES and not any((base / path).exists() for base in BASES)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_in_pages_exist(page: Path) -> None:
    assert not missing(FILE.findall(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_folders_in_pages_exist(page: str) -> None:
    assert not missing(FOLDER.findall((ROOT / page).read_text(encoding="utf-8")))


def test_files_in_docstrings_exist() -> None:
    assert not {path.name: gone for path in CODE if (gone := missing(FILE.findall(path.read_text(encoding="utf-8"))))}


def test_a_missing_file_is_noticed() -> None:
    text = "`data/sources/detect.py`, `flow.py` and `kernels/flow.py`"
    assert missing(FILE.findall(text)) == ["flow.py", "kernels/flow.py"]

"""No tracked text file contains the conflict markers of a merge."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT

MARKERS = re.compile(rb"^(<{7} |>{7} |\|{7} |={7}$)", re.MULTILINE)


def tracked_files() -> list[Path]:
    """Return the files that git tracks; skip the test in a copy without git."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    return [path for name in names.decode().split("\0") if name and (path := ROOT / name).is_file()]


def has_conflict(content: bytes) -> bool:
    return b"\0" not in content and bool(MARKERS.search(content))


def test_no_file_has_conflict_markers() -> None:
    conflicts = [str(path.relative_to(ROOT)) for path in tracked_files() if has_conflict(path.read_bytes())]
    assert not conflicts


def test_markers_are_recognized() -> None:
    assert has_conflict(b"a\n" + b"<" * 7 + b" HEAD\nb\n")
    assert not has_conflict(b"<" * 7 + b" HEAD\0")

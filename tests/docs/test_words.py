"""Words that the writing guide retires stay out of the code and the documentation."""

from __future__ import annotations

import re

import pytest

from tests.docs.markdown import ROOT

RETIRED = {
    r"\bfrom which on\b": "the minimum",
    r"\brooms?\b": "package, or space",
    r"\bwish(es|ed)?\b": "options",
    r"\b(go|goes|going|went) on (with|after|from|to)\b": "continue, resume",
    r"\bat hand\b": "available",
    r"\bper cents?\b": "percent",
    r"\bleft the finite\b": "became NaN or infinite",
    r"\bGF/s\b": "GFLOP/s",
    r"\bmultiply-adds\b": "MACs",
    r"\b(nobody|somebody|anybody)\b": "the thing itself, or the passive",
    r"\banew\b": "again",
    r"\bpictures?\b": "image",
    r"\bthe same bits\b": "bit-identical",
    r"\bbeside\b": "next to, in addition to",
    r"\bnormalis": "normaliz-",
}
"""Retired words, and what to write instead."""

ALLOWED = {
    "docs/README.md": "the whole list is in CONTRIBUTING",
    "CONTRIBUTING.md": "quotes what not to write",
    "src/opsin/_aliases.py": "the names of earlier versions",
    "src/opsin/base/legacy.py": "the keys of earlier versions",
    "src/opsin/interop/weights.py": "a tensor of earlier versions",
    "src/opsin/data/store.py": "the folder and the first bytes of stores",
    "src/opsin/data/sources/arrays.py": "names in users' data",
    "src/opsin/data/sources/names.py": "names in users' data",
    "src/opsin/data/sources/parquet.py": "names in users' data",
    "src/opsin/data/sources/webdataset.py": "names in users' data",
    "src/opsin/tasks/tables/names.py": "names in users' data",
    "tests/docs/test_words.py": "the list itself",
    "tests/apps/cli/test_commands.py": "the keys of earlier versions",
    "tests/compat/test_v0_1_0.py": "the first bytes of stores",
    "tests/data/sources/test_columns.py": "names in users' data",
    "tests/data/test_load.py": "the folder of stores",
    "tests/data/test_version_0_1_0.py": "the keys of earlier versions",
    "tests/planning/test_aliases.py": "the names of earlier versions",
    "tests/zoo/drawn_detections.py": "a seed that the recorded results depend on",
    "tests/zoo/seeding.py": "a seed that the recorded results depend on",
    "bench/intake.py": "the folder of stores",
}
FILES = sorted(
    path
    for pattern in (
        "README.md",
        "docs/**/*.md",
        "src/**/*.py",
        "src/**/*.js",
        "src/**/*.css",
        "tests/**/*.py",
        "bench/*.py",
        "tools/*.py",
    )
    for path in ROOT.glob(pattern)
    if path.relative_to(ROOT).as_posix() not in ALLOWED
)


@pytest.mark.parametrize("word", RETIRED)
def test_retired_words_stay_out(word: str) -> None:
    actual = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(word, line, re.IGNORECASE)
    ]
    assert not actual, f"write {RETIRED[word]}: {actual[:5]}"


def test_percentages_have_one_form() -> None:
    """Programs print 8%, and so does the documentation."""
    pages = [path for path in FILES if path.suffix == ".md"]
    assert not [page.name for page in pages if re.search(r"\d\s%", page.read_text(encoding="utf-8"))]


def test_the_list_finds_what_it_retires() -> None:
    for text in ("the rooms of the house", "It goes on with the run", "a picture", "values left the finite"):
        assert any(re.search(word, text, re.IGNORECASE) for word in RETIRED)

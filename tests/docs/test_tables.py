"""The tables of docs/networks: what `opsin describe` says in all."""

from __future__ import annotations

import re

import pytest

from opsin import nn, zoo
from tests.docs.markdown import ROOT

PAGES = sorted((ROOT / "docs" / "networks").glob("*.md"))
ROW = re.compile(r"^\| `(\w+)` \| ([\d ×]+) \| ([\d,]+) \| ([\d,.]+) M \| ([\d.]+) MB \|$", re.MULTILINE)
ROWS = [row for page in PAGES for row in ROW.findall(page.read_text(encoding="utf-8"))]


def test_there_are_tables() -> None:
    assert len(ROWS) >= 15


@pytest.mark.parametrize(("name", "images", "parameters", "multiply_adds", "memory"), ROWS, ids=lambda part: part)
def test_a_row_is_true(name: str, images: str, parameters: str, multiply_adds: str, memory: str) -> None:
    entry = zoo.find(name)
    table = nn.describe(nn.trace(entry(), entry.input_shape))
    assert images == " × ".join(map(str, entry.input_shape))
    assert parameters == f"{table.parameters:,}"
    assert multiply_adds == f"{table.macs / 1e6:,.1f}"
    assert memory == f"{table.training_memory / 1e6:.1f}"

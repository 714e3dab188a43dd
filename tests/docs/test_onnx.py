"""docs/onnx.md: its examples, one after the other as a reader runs them, and its table of operators."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from opsin.interop.onnx.network import MAX_OPSET, MIN_OPSET
from opsin.interop.onnx.rules import FOLDS, RULES
from tests.docs.markdown import ROOT, code_blocks

DOCS = ROOT / "docs"
PAGE = (DOCS / "onnx.md").read_text(encoding="utf-8")
EXAMPLES = code_blocks(DOCS / "onnx.md")


def test_the_examples_print_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").symlink_to(DOCS)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "example"}
    for example in EXAMPLES:
        example.run(names)
    printed = capsys.readouterr().out.splitlines()
    assert (tmp_path / "digits.opsin").is_file()
    for line in printed[:2]:
        assert f"\n    {line}\n" in PAGE, line
    told = re.findall(r"(\d+)\.\d+% of 1,000 images right", PAGE)
    assert abs(int(printed[2][:2]) - int(told[1])) <= 1  # after training, the last digits depend on the processor
    assert printed[3:] == ["pytorch 2.14.1 17 ['logits']", "11 parameters, 17 variables"]


def test_the_table_has_every_operator_and_no_other() -> None:
    table = PAGE.partition("## Operators")[2].partition("## Agreement")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert len(named) == len(set(named))
    assert set(named) == RULES.keys() | FOLDS.keys()
    assert f"opsets {MIN_OPSET} to {MAX_OPSET}" in PAGE

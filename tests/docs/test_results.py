"""The tables of figures in the documentation are those of recorded results."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("tables", ROOT / "tools" / "tables.py")
assert spec and spec.loader
tables = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tables)


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.name)
def test_tables_are_as_recorded(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert tables.updated(text) == text, "run python tools/tables.py"


@pytest.mark.parametrize("path", sorted(tables.RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_results_say_where_they_come_from(path: Path) -> None:
    result = json.loads(path.read_text(encoding="utf-8"))
    assert {"machine", "date", "command"} <= result.keys()
    assert {"cpu", "cores", "python"} <= result["machine"].keys()
    if "rows" in result:
        assert all(len(row) == len(result["columns"]) for row in result["rows"])
        shown = [page for page in tables.PAGES if f"<!-- table {path.stem}" in page.read_text(encoding="utf-8")]
        assert shown, "no page has this table"


def test_columns_have_different_names() -> None:
    rows = [["VGG-16", "2.1", "2.2"]]
    with pytest.raises(ValueError, match="two columns are named 'direct'"):
        tables.markdown(["network", "direct", "direct"], rows, ["network", "direct", "direct"])
    assert tables.markdown(["a", "b"], [["1", "2"]], ["b"]) == "| b |\n| --- |\n| 2 |\n"


def test_a_changed_figure_is_noticed() -> None:
    text = "<!-- table compile_time -->\n| changed |\n<!-- end -->"
    assert "ResNet-50 | 3.4 s | 0.34 s" in tables.updated(text) != text

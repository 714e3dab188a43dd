"""Write the tables of the documentation from the recorded results in bench/results.

    python tools/tables.py [--check]

A table in a page stands between `<!-- table NAME [COLUMNS] -->` and `<!-- end -->`. NAME is a file in bench/results;
COLUMNS, separated by "|", selects and orders its columns. `--check` writes nothing, and fails if a page differs.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TABLE = re.compile(r"(<!-- table (\w+)(?: ([^>]*?))? -->\n).*?(<!-- end -->)", re.DOTALL)


def table(name: str, columns: str | None) -> str:
    """Return the recorded table as Markdown, with all columns or those named."""
    result = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    names = [column.strip() for column in columns.split("|")] if columns else result["columns"]
    try:
        return markdown(result["columns"], result["rows"], names)
    except ValueError as error:
        raise ValueError(f"bench/results/{name}.json: {error}") from None


def markdown(columns: list[str], rows: list[list[str]], names: list[str]) -> str:
    """Return rows as a Markdown table of the columns named `names`."""
    if duplicates := sorted({column for column in columns if columns.count(column) > 1}):
        raise ValueError(f"two columns are named {duplicates[0]!r}; give each column its own name")
    places = [columns.index(name) for name in names]
    lines = [names, ["---"] * len(names), *([row[place] for place in places] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def updated(text: str) -> str:
    """Return a page with all its tables as recorded."""
    return TABLE.sub(lambda match: match[1] + table(match[2], match[3]) + match[4], text)


def main(check: bool) -> int:
    stale = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if text != (new := updated(text)):
            stale.append(page.relative_to(ROOT).as_posix())
            if not check:
                page.write_text(new, encoding="utf-8")
    if stale:
        print(("differ from bench/results: " if check else "written: ") + ", ".join(stale))
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))

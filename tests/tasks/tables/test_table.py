"""Tables as spreadsheets write them, and damaged ones."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsin.tasks.problems import AnnotationFault
from opsin.tasks.tables import table as tables
from opsin.tasks.tables.table import Table, parse

ROWS = [("a.jpg", "1.5", "cat"), ("b.jpg", "2", "dog")]


def parsed(text: str | bytes) -> Table:
    found = parse("x.csv", text.encode() if isinstance(text, str) else text)
    assert found is not None
    return found


def cells(found: Table) -> list[tuple[str, ...]]:
    return [tuple(row.cells) for row in found.rows]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(delimiter: str) -> None:
    text = "\n".join(delimiter.join(row) for row in [("file", "price", "kind"), *ROWS])
    found = parsed(text)
    assert found.titles == ("file", "price", "kind") and cells(found) == ROWS
    assert found.decimal_comma == (delimiter == ";")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(encoding: str, end: str) -> None:
    text = end.join(["Datei,größe", "ä.jpg,3", "b.jpg,4", ""])
    mark = "\ufeff" if encoding == "utf-16-le" else ""  # other programs write it, Python does not
    found = parsed((mark + text).encode(encoding))
    assert found.titles == ("Datei", "größe") and cells(found) == [("ä.jpg", "3"), ("b.jpg", "4")]


def test_lists_within_cells_do_not_hide_the_delimiter() -> None:
    assert cells(parsed("file,labels\na.jpg,x;y;z\nb.jpg,x;y\nc.jpg,y;z\n"))[0] == ("a.jpg", "x;y;z")
    assert cells(parsed('file,labels\na.jpg,"x,y,z"\nb.jpg,"x,y"\n'))[0] == ("a.jpg", "x,y,z")
    assert cells(parsed("file;labels\na.jpg;x,y\nb.jpg;x,z\n"))[0] == ("a.jpg", "x,y")
    assert cells(parsed("file,labels\na.jpg,x|y\nb.jpg,x|z\n"))[0] == ("a.jpg", "x|y")


def test_lines_are_those_of_the_file() -> None:
    found = parsed('file,text\n\na.jpg,"two\nlines"\n\n  \nb.jpg,"she said ""no"""\n')
    assert [row.line for row in found.rows] == [4, 7]
    assert cells(found)[1] == ("b.jpg", 'she said "no"') and found.place(7) == "x.csv, line 7"


def test_short_and_long_rows() -> None:
    found = parsed("file,price\na.jpg\nb.jpg,2,3,4\n")
    assert [found.rows[0].cell(1), found.rows[1].cell(3), found.rows[1].cell(None)] == ["", "4", ""]
    assert found.titles == ("file", "price", "column 3", "column 4")


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("file,price\na.jpg,2\n", True), ("a.jpg,2\nb.jpg,3\n", False), ("id,price\n1,2\n", True),
        ("1,2\n3,4\n", False),
        ("file,0,1\na.jpg,1,0\n", True), ("img\\a.jpg;x\nimg\\b.jpg;y\n", False), ("a,b\nc,d\n", True),
    ],
)  # fmt: skip
def test_headers(text: str, header: bool) -> None:
    found = parsed(text)
    assert found.header == header
    assert found.titles[0] == (text.split(",")[0] if header else "column 1")


def test_numbers() -> None:
    comma, dot = parsed("file;n\na.jpg;3,5\n"), parsed("file,n\na.jpg,3.5\n")
    assert comma.number("3,5") == dot.number("3.5") == 3.5 and comma.number("-1e3") == -1000
    for text in ("", "3,5", "x", "nan", "inf", "1_0", "0x10", "1,234.5", "٣"):
        assert math.isnan(dot.number(text))
    assert math.isnan(comma.number("1,234,567"))


def test_empty_tables() -> None:
    for text in ("", "\n\n", "file,price\n", "\ufeff"):
        assert parse("x.csv", text.encode()) is None


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AnnotationFault, match="has 5,000 columns; tables of up to 4,096 are read"):
        parse("x.csv", ",".join(f"c{n}" for n in range(5000)).encode() + b"\n1,2\n")
    with pytest.raises(AnnotationFault, match=r"cannot be read after line \d+: field larger than field limit"):
        parse("x.csv", b"file,price\na.jpg,1\n" + b'"' + b"x" * 200_000)
    monkeypatch.setattr(tables, "MAX_TABLE_BYTES", 10)
    with pytest.raises(AnnotationFault, match="has 26 B; tables of up to 10 B are read"):
        parse("x.csv", b"file,price\na.jpg,1\nb.jpg,2")


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_table_or_a_fault(data: bytes) -> None:
    try:
        found = parse("x.csv", data)
    except AnnotationFault as fault:
        assert fault.reason
        return
    if found is not None:
        assert found.rows and len(found.titles) >= 1
        assert all(row.line > 0 and any(row.cells) for row in found.rows)


@given(st.lists(st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n", exclude_categories=["Z"]),
                                    min_size=1, max_size=8)] * 3), min_size=2, max_size=6))  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_quoted_cells_survive(rows: list[tuple[str, ...]]) -> None:
    quoted = "\n".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)
    found = parsed(f'"x.jpg","y","z"\n{quoted}\n')
    assert cells(found)[-len(rows) :] == [tuple(cell.strip() for cell in row) for row in rows]

"""Tables of paths and labels, as spreadsheets, programs and people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsin.base.errors import DataError
from opsin.data import items
from opsin.data.items import FileProblem
from opsin.data.sources import open_source
from opsin.data.sources.table import Row, read_table
from tests.data.files import noise, write_image


def rows(text: str | bytes) -> list[tuple[str, ...]]:
    actual, problems = read_table(text if isinstance(text, bytes) else text.encode(), "t.csv")
    assert not problems
    return [(row.path, row.label) + ((row.split,) if row.split else ()) for row in actual]


TWO = [("a.jpg", "cat"), ("b.jpg", "dog")]


@pytest.mark.parametrize("text", [
    "path,label\na.jpg,cat\nb.jpg,dog\n",
    "a.jpg,cat\nb.jpg,dog",
    "\ufeffimage;class\r\na.jpg;cat\r\nb.jpg;dog\r\n",
    "filename\tspecies\na.jpg\tcat\n\nb.jpg\tdog\n",
    '"file","label"\n"a.jpg","cat"\n"b.jpg","dog"\n',
    "cat,a.jpg\ndog,b.jpg\n",
    "nummer,bild,tier\n1,a.jpg,cat\n2,b.jpg,dog\n".replace("tier", "label"),
    "a.jpg cat\nb.jpg dog\n",
    "bild,tier\na.jpg,cat\nb.jpg,dog\n",
])  # fmt: skip
def test_headers_separators_and_columns(text: str) -> None:
    assert rows(text) == TWO


def test_quotes_commas_and_scripts() -> None:
    assert rows('path,label\n"a, b.jpg","a ""big"" cat"\nфото.jpg,кошка\n') == [
        ("a, b.jpg", 'a "big" cat'), ("фото.jpg", "кошка")]  # fmt: skip
    assert rows("path,label\na.jpg,cat\n".encode("utf-16")) == [("a.jpg", "cat")]


def test_a_column_of_splits() -> None:
    expected = [("a.jpg", "cat", "train"), ("b.jpg", "dog", "validation"), ("c.jpg", "dog", "test")]
    assert rows("path,label,split\na.jpg,cat,train\nb.jpg,dog,val\nc.jpg,dog,Test\n") == expected
    assert rows("a.jpg,train,cat\nb.jpg,valid,dog\nc.jpg,test,dog\n") == expected
    assert rows("path,set\na.jpg,train\nb.jpg,test\n") == [("a.jpg", "train"), ("b.jpg", "test")], "the only labels"


def test_lines_that_cannot_be_used() -> None:
    text = (
        "path,label,split\na.jpg,cat,train\n,cat,train\nb.jpg,,test\na.jpg,dog,train\na.jpg,cat,train\na.jpg,cat,test\n"
    )
    actual, problems = read_table((text + "c.jpg,cat,later\n").encode(), "t.csv")
    assert actual == [Row(2, "a.jpg", "cat", "train")]
    assert problems == [
        FileProblem("t.csv, line 3", "lists no file", items.MISSING),
        FileProblem("b.jpg", "without a label in line 4 of t.csv", items.UNLABELLED),
        FileProblem("a.jpg", "'dog' in line 5 of t.csv, but 'cat' in line 2; the first counts", items.REPEATED),
        FileProblem("a.jpg", "in the test split in line 7 of t.csv, but elsewhere in line 2; the first counts",
                items.REPEATED),
        FileProblem("c.jpg", "in line 8 of t.csv in a split 'later', which is not train, validation or test",
                items.UNLABELLED),
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [
    (b"", "t.csv is empty; give a table with a path and a label in each line"),
    (b"a.jpg\nb.jpg\n", "t.csv has only one column; each line must hold the path of an image and its label"),
    (b"path,label\na.jpg,caf\xe9\n", "t.csv, line 2: this is not UTF-8; save the table as UTF-8 (Unicode)"),
    (b"path,length,width\na.jpg,1,2\nb.jpg,2,3\n", "t.csv has the columns 'path', 'length', 'width'; name the one with "
     "the images' paths 'path' and the one with the classes 'label'"),
])  # fmt: skip
def test_tables_that_cannot_be_used(text: bytes, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        read_table(text, "t.csv")
    assert str(caught.value) == expected


def test_images_of_a_table(tmp_path: Path) -> None:
    for number, name in enumerate(("a.png", "sub/b.png", "../outside.png")):
        write_image(tmp_path / "photos" / name, noise(number, 4, 4))
    absolute = write_image(tmp_path / "else" / "c.png", noise(4, 4, 4))
    (tmp_path / "photos" / "folder.png").mkdir()
    table = tmp_path / "photos" / "labels.csv"
    table.write_text(
        f"path,label\na.png,x\n./a.png,x\nsub\\b.png,y\n../outside.png,x\n{absolute},y\ngone.png,x\nfolder.png,y\n"
        "https://example.org/d.png,x\n"
    )
    for source in (open_source(table), open_source(table.parent)):
        assert [(item.name, item.label) for item in source.items] == [
            ("a.png", "x"), ("sub\\\\b.png", "y"), ("../outside.png", "x"), (str(absolute), "y")]  # fmt: skip
        assert source.read(1) == (tmp_path / "photos" / "sub" / "b.png").read_bytes()
        assert source.read(3) == absolute.read_bytes()
        assert [(problem.name, problem.kind) for problem in source.problems] == [
            ("gone.png", items.MISSING), ("folder.png", items.SPECIAL), ("https://example.org/d.png", items.MISSING),
        ]  # fmt: skip


def test_a_table_for_each_split(tmp_path: Path) -> None:
    for part in ("train", "test"):
        lines = [f"{part}/{n}.png,{'xy'[n % 2]}" for n in range(4)]
        (tmp_path / f"{part}.csv").write_text("\n".join(["image,label", *lines]))
        for n in range(4):
            write_image(tmp_path / part / f"{n}.png", noise(n, 4, 4))
    source = open_source(tmp_path)
    assert [item.split for item in source.items] == ["test"] * 4 + ["train"] * 4
    (tmp_path / "notes.csv").write_text("a,b\n")
    assert len(open_source(tmp_path).items) == 8


def test_a_table_of_nothing_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("path,label\ngone.png,x\n")
    with pytest.raises(DataError) as caught:
        open_source(tmp_path / "a.csv")
    assert str(caught.value) == (
        f"{tmp_path}/a.csv lists no existing image: gone.png, no such file; give a path, relative to the table, "
        "and a label in each line"
    )

"""Which images the rows of a table mean, and to which splits they belong."""

from __future__ import annotations

import pytest

from opsin.tasks.tables.images import ImageTable, TableImages
from opsin.tasks.tables.names import head, name_and_unit, words
from tests.tasks.memory_files import MemoryFiles, image_size, images, numbered


def read(table: str, *paths: str, **more: str) -> tuple[TableImages, ImageTable]:
    found = TableImages.of(MemoryFiles({"x.csv": table}, images(*paths), more), image_size)
    assert len(found.tables) == 1
    return found, found.tables[0]


def rows(found: TableImages, table: ImageTable) -> list[tuple[int, str, str]]:
    return [(row.line, path, split) for row, path, split in found.rows(table)]


def test_columns_of_images_by_extension_name_or_content() -> None:
    assert read("n,file\n1,a.jpg\n", "a.jpg")[1].image == 1
    assert read("price,Image ID\n12,a\n13,b\n", "a.jpg", "b.jpg")[1].image == 1
    assert read("count,who\n1,x7\n1,y9\n2,z3\n", "1.jpg", "x7.jpg", "y9.jpg", "z3.jpg")[1].image == 1
    assert read("a.jpg;2\nb.jpg;3\n", "a.jpg", "b.jpg")[1].columns == (1,)


def test_further_columns_of_images_are_not_targets() -> None:
    _, table = read("center,left,steering\nc/1.jpg,l/1.jpg,0.5\n", "c/1.jpg", "l/1.jpg")
    assert (table.image, table.other_images, table.titles) == (0, (1,), ["steering"])


def test_splits_by_column_table_and_folder() -> None:
    found, table = read("file,split,n\na.jpg,train,1\nb.jpg,val,2\nc.jpg,,3\n", "a.jpg", "b.jpg", "test/c.jpg")
    assert rows(found, table) == [(2, "a.jpg", "train"), (3, "b.jpg", "validation"), (4, "test/c.jpg", "test")]
    assert table.titles == ["n"]
    files = MemoryFiles({"train.csv": "file,n\na.jpg,1\n", "test.csv": "file,n\nb.jpg,1\n"}, images("a.jpg", "b.jpg"))
    found = TableImages.of(files, image_size)
    assert {split for table in found.tables for _, _, split in rows(found, table)} == {"train", "test"}


def test_paths_of_other_machines() -> None:
    found, table = read("file,n\nC:\\me\\drive\\IMG\\1.jpg,1\n/home/me/drive/IMG/2.jpg,2\n", "IMG/1.jpg", "IMG/2.jpg")
    assert [path for _, path, _ in rows(found, table)] == ["IMG/1.jpg", "IMG/2.jpg"]


@pytest.mark.parametrize(
    ("row", "name", "kind"),
    [
        ("z.jpg,1,train", "x.csv, line 3", "missing image"), ("../a.jpg,1,train", "x.csv, line 3", "unsafe path"),
        (",1,train", "x.csv, line 3", "no image named"), ("a.jpg,1,tomorrow", "x.csv, line 3", "unknown split"),
        ("b.jpg,1,train", "x.csv, line 3", "ambiguous image"), ("broken.jpg,1,", "broken.jpg", "unreadable image"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_used_are_named(row: str, name: str, kind: str) -> None:
    found, table = read(f"file,n,split\na.jpg,1,train\n{row}\n", "a.jpg", "c/b.jpg", "d/b.jpg", "broken.jpg")
    assert [path for _, path, _ in rows(found, table)] == ["a.jpg"]
    assert [(problem.name, problem.kind) for problem in found.problems] == [(name, kind)]


def test_damaged_and_other_tables_are_skipped() -> None:
    contents: dict[str, str | bytes | None] = {
        "lost.csv": None, "wide.csv": ",".join(map(str, range(5000))), "other.csv": "a,b\n1,2\n",
        ".hidden.csv": "a.jpg,1",
    }  # fmt: skip
    found = TableImages.of(MemoryFiles(contents, images("a.jpg")), image_size)
    assert not found.tables
    assert [(problem.name, problem.kind) for problem in found.problems] == [
        ("lost.csv", "unreadable file"), ("wide.csv", "unreadable file")
    ]  # fmt: skip


def test_unlisted_images_are_counted() -> None:
    files = MemoryFiles({"x.csv": "file,n\nin/0000.jpg,1\n"}, numbered(4, "in/"), images("elsewhere/a.jpg"))
    found = TableImages.of(files, image_size)
    found.note_unlisted({"in/0000.jpg"}, found.tables)
    assert found.notes == [
        "3 images are in no row of a table, and left out: in/0001.jpg, in/0002.jpg, in/0003.jpg."
    ]  # fmt: skip


def test_titles() -> None:
    assert name_and_unit("price (EUR)") == ("price", "EUR") and name_and_unit("speed [km/h] ") == ("speed", "km/h")
    assert name_and_unit("speed_kmh") == ("speed_kmh", "") and name_and_unit("(EUR)") == ("(EUR)", "")
    assert head("Image ID") == "imageid" and words("steeringAngle_deg") == ["steering", "angle", "deg"]

"""Numbers for images, read from tables."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.base.errors import DataError
from opsin.tasks.annotations import Annotations
from opsin.tasks.regression import Regression
from tests.tasks.memory_files import MemoryFiles, image_size, images, numbered

COUNT = 40
VALUES = np.random.default_rng(1).normal(5, 2, COUNT).round(2).tolist()


def table(header: str = "file,weight", values: list[float] = VALUES) -> str:
    return "\n".join([header, *(f"{number:04}.jpg,{value}" for number, value in enumerate(values))])


def read(text: str, *names: str, **more: str) -> Annotations:
    tables = {"x.csv": text} | {f"{name}.csv": content for name, content in more.items()}
    found = Regression.read(MemoryFiles(tables, numbered(COUNT), images("a.jpg")), image_size, names)
    assert found is not None
    return found


def test_numbers_and_task() -> None:
    found = read(table("file,weight (kg)"))
    assert [image.target.values for image in found.images] == [(value,) for value in VALUES]
    assert found.settings == {"labels": ("weight",), "units": ("kg",)} and not found.problems
    assert found.form == "table of numbers" and {image.split for image in found.images} == {""}
    targets = Regression.load_targets(found.images, MemoryFiles({}), (8, 8), found.settings)
    assert targets.values[:, 0].tolist() == VALUES and targets.positions is None
    task = Regression.of(found.settings, targets)
    assert task.subject() == "weight (kg)" and task.means[0] == pytest.approx(np.mean(VALUES))
    assert task.signed == (False,)


def test_unlisted_images_and_notes() -> None:
    found = read(table())
    assert found.notes == ["1 images are in no row of a table, and left out: a.jpg."]
    two = "\n".join(f"{line},{number % 7 + 0.5}" for number, line in enumerate(table().splitlines()))
    found = read("file,weight,height_m\n" + two.split("\n", 1)[1])
    assert found.settings["labels"] == ("weight", "height_m")
    assert found.notes[0] == (
        "All columns of numbers are learned together: 'weight' and 'height_m'; name columns to learn fewer."
    )
    found = read("file,weight,price\n" + two.split("\n", 1)[1])
    assert found.settings["labels"] == ("price",)
    assert found.notes[0] == (
        "The column 'price' is learned; 'weight' could be as well: name the columns to learn others."
    )
    assert read("file,weight,price\n" + two.split("\n", 1)[1], "weight").settings["labels"] == ("weight",)


@pytest.mark.parametrize(
    ("row", "kind", "reason"),
    [
        ("a.jpg,", "missing number", "has no weight"), ("a.jpg", "missing number", "has no weight"),
        ("a.jpg,NA", "missing number", "has no weight"),
        ("a.jpg,heavy", "invalid number", "the weight 'heavy' is not a number"),
        ("a.jpg,inf", "invalid number", "the weight 'inf' is not a number"),
        ("0000.jpg,-1", "contradicting rows",
         f"gives 0000.jpg weight -1, but x.csv, line 2 gives weight {VALUES[0]:g}; the first counts"),
        ("../a.jpg,1", "unsafe path", "'../a.jpg' is not a path inside the data"),
        ("b.jpg,1", "missing image", "there is no image 'b.jpg'"),
    ],
)  # fmt: skip
def test_problems_are_named_by_table_and_line(row: str, kind: str, reason: str) -> None:
    found = read(f"{table()}\n{row}\n")
    (problem,) = found.problems
    assert (problem.name, problem.kind, problem.reason) == (f"x.csv, line {COUNT + 2}", kind, reason)
    assert len(found.images) == COUNT and found.images[0].target.values == (VALUES[0],)


def test_equal_rows_are_no_problem() -> None:
    assert not read(f"{table()}\n0000.jpg,{VALUES[0]}\n").problems


def test_an_image_in_two_splits() -> None:
    text = "\n".join(f"{line},train" for line in table().splitlines()).replace("weight,train", "weight,split")
    found = read(f"{text}\n0000.jpg,{VALUES[0]},test\n")
    (problem,) = found.problems
    assert problem.kind == "contradicting rows"
    assert problem.reason == "puts 0000.jpg into the test split, but x.csv, line 2 into train; the first counts"


def test_other_tables() -> None:
    other = "file,quality\n0001.jpg,0.5\n0002.jpg,0.25\n"
    found = read(table(), other=other)
    assert found.settings["labels"] == ("weight",) and len(found.images) == COUNT
    assert "Not used: other.csv, which has other columns." in found.notes
    halves = table().splitlines()
    first, second = "\n".join(halves[:21]), "\n".join([halves[0], *halves[21:]])
    files = MemoryFiles({"train.csv": first, "test.csv": second}, numbered(COUNT))
    both = Regression.read(files, image_size)
    assert both is not None and [image.split for image in both.images].count("train") == 20
    assert [image.split for image in both.images].count("test") == 20


def test_the_largest_of_several_tables_says_what_its_columns_hold() -> None:
    tables = {"train.csv": table(), "val.csv": "file,weight\na.jpg,3\nb.jpg,4\n"}
    found = Regression.read(MemoryFiles(tables, numbered(COUNT), images("a.jpg", "b.jpg")), image_size)
    assert found is not None
    assert {image.path: image.target.values for image in found.images if image.split == "validation"} == {
        "a.jpg": (3.0,), "b.jpg": (4.0,)
    }  # fmt: skip


def test_nothing_for_regression() -> None:
    for text in ("file,label\n0000.jpg,cat\n0001.jpg,dog\n", "a,b\n1,2\n", ""):
        assert Regression.read(MemoryFiles({"x.csv": text}, numbered(COUNT)), image_size) is None
    assert Regression.read(MemoryFiles({"x.csv": table()}), image_size) is None


def test_a_column_that_does_not_exist() -> None:
    with pytest.raises(DataError, match=r"x\.csv has no column 'wait'; it has 'weight'; name one of these"):
        read(table(), "wait")
    with pytest.raises(DataError, match="no column 'wait'"):
        read(table(), "weight", "wait")


def test_semicolons_and_decimal_commas() -> None:
    found = read(table("file,weight").replace(",", ";").replace(".", ",").replace(",jpg", ".jpg"))
    assert [image.target.values[0] for image in found.images] == VALUES

"""Which columns of a table are numbers to learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from opsin.tasks.regression.number_columns import NumberColumn, number_columns, preferred
from opsin.tasks.tables.images import TableImages
from tests.tasks.memory_files import MemoryFiles, image_size, numbered

COUNT = 60
RNG = np.random.default_rng(0)
FRACTIONS = [f"{value:.2f}" for value in RNG.normal(10, 5, COUNT)]
COUNTS = [str(value) for value in RNG.integers(0, 500, COUNT)]
FEW = [str(value) for value in RNG.integers(0, 5, COUNT)]
KINDS = [("cat", "dog", "cow")[value] for value in RNG.integers(0, 3, COUNT)]
CLASSES = [str(number % 25) for number in range(COUNT)]


def columns(names: Sequence[str] = (), /, **cells: Sequence[str]) -> list[NumberColumn]:
    titles = [title.replace("__", " ") for title in cells]
    rows = zip(*cells.values(), strict=True)
    lines = [f"{number:04}.jpg,{','.join(row)}" for number, row in enumerate(rows)]
    text = "\n".join([",".join(["file", *titles]), *lines])
    (table,) = TableImages.of(MemoryFiles({"x.csv": text}, numbered(COUNT)), image_size).tables
    return number_columns(table, names)


def names(*args: Sequence[str], **cells: Sequence[str]) -> list[str]:
    return [column.name for column in columns(*args, **cells)]


def test_fractions_and_many_whole_numbers_are_quantities() -> None:
    assert names(weight=FRACTIONS) == ["weight"] and names(cells=COUNTS) == ["cells"]
    assert names(weight=FRACTIONS, cells=COUNTS) == ["weight", "cells"]
    assert names(label=FRACTIONS) == ["label"] and names(y=COUNTS) == ["y"]


def test_classes_are_none() -> None:
    assert not names(label=FEW) and not names(stars=FEW) and not names(species=KINDS)
    assert not names(label=CLASSES)
    assert names(pieces=CLASSES) == ["pieces"]


@pytest.mark.parametrize("title", ["label", "species", "has_cat", "plant_type", "whatever"])
def test_numbers_beside_a_column_of_classes_accompany_it(title: str) -> None:
    assert not names(**{title: KINDS, "blur": FRACTIONS})


def test_several_texts_are_no_classes() -> None:
    assert names(brand=KINDS, town=KINDS[::-1], price=FRACTIONS) == ["price"]
    assert names(brand=KINDS, price=COUNTS) == ["price"]


@pytest.mark.parametrize(
    "title", ["id", "image_id", "index", "Unnamed: 0", "width", "timestamp", "frame_number", "xmin", "bbox_x", "fold"]
)
def test_ids_and_measures_of_the_file_are_none(title: str) -> None:
    assert not names(**{title: COUNTS})


def test_an_index_is_none() -> None:
    assert not names(place=[str(number) for number in range(COUNT)])
    assert not names(same=["1.5"] * COUNT)


def test_a_table_of_boxes_is_none() -> None:
    box = dict.fromkeys(("x1", "y1", "x2", "y2"), COUNTS)
    assert not names(**box, score=FRACTIONS)


def test_units() -> None:
    found = columns(**{"price (EUR)": FRACTIONS, "speed [km/h]": COUNTS})
    assert [(column.name, column.unit) for column in found] == [("price", "EUR"), ("speed", "km/h")]


def test_missing_numbers_and_some_others_do_not_matter() -> None:
    assert names(weight=["", "n/a", "NaN", *FRACTIONS[3:]]) == ["weight"]
    assert names(weight=["?!", "unknown", *FRACTIONS[2:]]) == ["weight"]
    assert not names(weight=["unknown"] * 20 + FRACTIONS[20:])


def test_columns_that_the_user_names() -> None:
    assert names(["stars"], stars=FEW, price=FRACTIONS) == ["stars"]
    assert names(["PRICE", "id"], **{"price (EUR)": FRACTIONS, "id": COUNTS}) == ["price", "id"]
    assert names(["weight"], weight=["unknown"] * 20 + FRACTIONS[20:]) == ["weight"]
    assert not names(["kind"], kind=KINDS, price=FRACTIONS) and not names(["nothing"], price=FRACTIONS)


@pytest.mark.parametrize(
    ("titles", "expected"),
    [
        (["throttle", "brake", "steering"], ["steering"]), (["mileage", "price_usd"], ["price_usd"]),
        (["a", "b"], ["a", "b"]), (["value", "target"], ["target"]), (["steeringAngle", "angle"], ["steeringAngle"]),
        (["account", "b"], ["account", "b"]), (["only"], ["only"]),
    ],
)  # fmt: skip
def test_preferred_names(titles: list[str], expected: list[str]) -> None:
    found = preferred([NumberColumn(place, title) for place, title in enumerate(titles)])
    assert [column.name for column in found] == expected

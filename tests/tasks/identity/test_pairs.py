"""Pairs in the form of LFW: both kinds of line, folds, and faulty files."""

from __future__ import annotations

import pytest

from opsin.base.errors import DataError
from opsin.tasks.identity.pairs import read_pairs

NAMES = [f"faces/{name}/{name}_{number:04d}.jpg" for name in ("Ann", "Val_Bo") for number in (1, 2, 3)]


def test_folds_and_both_forms_of_line() -> None:
    text = "2\t1\nAnn\t1\t2\nAnn\t1\tVal_Bo\t3\nVal_Bo\t1\t3\nVal_Bo\t2\tAnn\t3\n"
    pairs = read_pairs(text, "pairs.txt", NAMES)
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0, 0, 3, 4], [1, 5, 5, 2])
    assert pairs.same.tolist() == [True, False, True, False]
    assert pairs.fold.tolist() == [0, 0, 1, 1]


def test_only_the_images_of_pairs_are_needed() -> None:
    pairs = read_pairs("1\nAnn\t1\t3\nAnn\t1\tVal_Bo\t3\n", "pairs.txt", NAMES)
    assert pairs.images.tolist() == [0, 2, 5]
    fewer = pairs.among(pairs.images)
    assert (fewer.first.tolist(), fewer.second.tolist()) == ([0, 0], [1, 2])


def test_without_folds_pairs_of_each_kind_take_turns() -> None:
    lines = ["Ann\t1\t2"] * 12 + ["Ann\t1\tVal_Bo\t1"] * 12
    pairs = read_pairs("12\n" + "\n".join(lines), "pairs.txt", NAMES)
    assert pairs.fold.tolist() == [*range(10), 0, 1] * 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: '' is not a number of pairs"),
        ("many\nAnn\t1\t2", "line 1: 'many' is not a number of pairs"),
        ("1\nAnn\t1", "pairs.txt, line 2: 'Ann.1' is neither NAME, n, m nor NAME, n, OTHER, m"),
        ("1\nAnn\tone\ttwo", "line 2: .* is neither"),
        ("1\n\n", "lists no pairs"),
        ("1\nAnn\t1\t2", "only pairs of the same identity"),
        ("1\nAnn\t1\tVal_Bo\t2", "only pairs of different ones"),
        (
            "1\nAnn\t1\t9\nAnn\t1\tEve\t1",
            r"names images that are not there, 2 in all: Ann/Ann_0009 \(pairs.txt, line 2\), Eve/Eve_0001 \(pairs.txt, "
            r"line 3\); give the folder",
        ),
    ],
)
def test_faulty_files(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_pairs(text, "pairs.txt", NAMES)

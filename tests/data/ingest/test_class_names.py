"""Names of classes that are hardly to be told apart are pointed out, and kept apart."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from opsin.base.errors import DataError
from opsin.data import load
from opsin.data.ingest.class_names import notes, similar_names
from tests.data.files import PLACES, class_entries, noise, png, write_entries

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


@pytest.mark.parametrize("pair", [
    ("Cat", "cat"), (COMPOSED, DECOMPOSED), ("cat", "cat "), (" cat", "cat"), ("cat", "ｃａｔ"), ("T_shirt", "t-shirt"),
    ("t shirt", "t-shirt"), ("01", "1"), ("class1", "class01"), ("cat", "cat\u200b"), ("cat", "cat\u00a0"),
    ("STRASSE", "Straße"), ("ﬁsh", "fish"), ("cat", "cat."), ("Çat", "çat"), ("サメ", "ｻﾒ"),
])  # fmt: skip
def test_similar_pairs(pair: tuple[str, str]) -> None:
    assert similar_names([*pair, "dog"]) == [tuple(sorted(pair))]


@pytest.mark.parametrize(
    "pair", [("cat", "cats"), ("cat", "car"), ("1", "10"), ("0", "00000 1"), ("é", "e"), ("_", "-1")]
)
def test_pairs_that_do_not(pair: tuple[str, str]) -> None:
    assert similar_names(pair) == []


def test_what_is_said() -> None:
    assert notes(["Cat", "cat", "cat ", "dog"]) == [
        "Different classes with similar names: 'Cat', 'cat', 'cat '. Give them the same name if they are one class."
    ]
    assert f"'{DECOMPOSED}' (U+0301), '{COMPOSED}' (U+00E9)." in notes([COMPOSED, DECOMPOSED])[0]
    assert "'cat' (ASCII), 'cat\u00a0' (U+00A0)." in notes(["cat", "cat\u00a0"])[0]
    many = [name for number in range(8) for name in (f"a{number}", f"A{number}")]
    assert "'A4', 'a4', and 3 more. " in notes(many)[0]
    assert notes(["cat", "dog"]) == []


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("pair", [("Cat", "cat"), (COMPOSED, DECOMPOSED), ("cat ", "cat")])
def test_in_a_receipt(tmp_path: Path, place: str, pair: tuple[str, str]) -> None:
    data = load(write_entries(tmp_path, place, class_entries(classes=(*pair, "dog"))), cache_size=0)
    assert len(data.classes) == 3
    assert data.receipt is not None
    assert "\nDifferent classes with similar names: " in data.receipt.text()
    table = {f"{n}.png": png(n) for n in range(6)}
    rows = "\n".join(f'{n}.png,"{pair[n % 2]}"' for n in range(6))
    if pair[0].strip() != "cat":  # cells of a table are stripped
        data = load(write_entries(tmp_path / "t", place, {**table, "l.csv": f"path,label\n{rows}"}), cache_size=0)
        assert data.receipt is not None
        assert len(data.receipt.notes) == 1


def test_in_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=noise(0, 8, 8, 8), y=np.array(["Cat", "cat"] * 4))
    data = load(tmp_path / "a.npz")
    assert data.receipt is not None
    assert "Different classes with similar names: 'Cat', 'cat'." in data.receipt.text()


@pytest.mark.parametrize("place", PLACES)
def test_a_class_of_the_test_split_is_written_differently(tmp_path: Path, place: str) -> None:
    entries = class_entries("train/{}/{}.png", ("Cat", "dog")) | class_entries("test/{}/{}.png", ("cat", "dog"))
    with pytest.raises(DataError, match="has a class 'cat' that its training split lacks, which has 'Cat' "):
        load(write_entries(tmp_path, place, entries), cache_size=0)

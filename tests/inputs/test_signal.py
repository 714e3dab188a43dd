"""Signals as input: files of measurements, what is wrong with them, and a network that learns from them."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import opsin
from opsin.base.errors import DataError
from opsin.data import load
from opsin.inputs.signal import Signal
from opsin.inputs.signal.augment import ChangedSignals
from opsin.inputs.signal.files import read_signal
from tests.inputs.waves import write_signals


def npy(array: Any) -> bytes:
    file = BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"1,4\n2,5\n3,6\n",
        b"# a comment\ntime;a;b\n0;1,0;4,0\n1;2,0;5,0\n2;3,0;6,0\n",
        b"x\ty\n1\t4\n2\t5\n3\t6",
        b"1 4\n2 5\n3 6\n",
        npy(np.array([[1, 2, 3], [4, 5, 6]])),
        npy(np.array([[1.0, 4], [2, 5], [3, 6]])),
    ],
)
def test_forms_of_files(content: bytes) -> None:
    values, remark = read_signal(content, "x")
    assert (values.tolist(), remark) == ([[1, 2, 3], [4, 5, 6]], "")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"a,b\n", "no rows of numbers"),
        (b"1,2\n3\n4,5\n", "row 2 has 1 values, and the last one 2"),
        (b"a,b\n1,2\n3,high\n", "row 3 has 'high', which is no number"),
        (b"1\n\n,\n", "1 values|missing"),
        (b"1,nan\n2,nan\n", "50% of its values are missing"),
        (b"\x93NUMPY\1\0", "damaged"),
        (npy(np.zeros((2, 3, 4))), "3 dimensions"),
        (npy(np.array([{"a": 1}], object)), "damaged"),
    ],
)
def test_what_cannot_be_read(content: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=f"^x: .*({reason})"):
        read_signal(content, "x")


def test_missing_values_are_interpolated() -> None:
    rows = [f"{number},{2 * number}" for number in range(20)]
    rows[3] = "3,"
    values, remark = read_signal("\n".join(rows).encode(), "x")
    assert values[1].tolist() == [2 * number for number in range(20)]
    assert remark == "missing values are interpolated: 1"


def test_a_folder_of_signals(tmp_path: Path) -> None:
    folder = write_signals(tmp_path / "waves", 12)
    (folder / "slow" / "bad.csv").write_text("time,a,b,c\n0,1,2,3\n")
    data = load(folder)
    kind = data.input
    assert (data.train.kind, data.shape, data.train.pixels.dtype) == ("signal", (2, 1, 66), np.float32)
    assert [problem.reason for problem in data.receipt.problems] == ["it has 3 channels, and the others 2"]
    assert "24 signals of 2 classes" in data.receipt.text()
    normalized = kind.apply(data.train.pixels)
    assert abs(normalized.mean()) < 0.1
    assert abs(normalized.std() - 1) < 0.1
    assert Signal.from_data(json.loads(json.dumps(kind.to_data()))) == kind
    for change in ({"length": 0}, {"mean": [0.0]}, {"std": [1.0, 0.0]}):
        with pytest.raises(DataError, match="no sense"):
            Signal.from_data(kind.to_data() | change)


def test_changes_depend_on_the_position_alone() -> None:
    samples = np.random.default_rng(0).normal(size=(12, 2, 1, 40)).astype(np.float32)
    change = ChangedSignals(0.1, 0.1, 0.05, (1.0, 2.0))
    changed = change(samples, 1, 2, 8)
    assert (change(samples[4:], 1, 2, 12) == changed[4:]).all()
    assert (change(samples, 1, 3, 8) != changed).any()
    assert (ChangedSignals(0.0, 0.0, 0.0, (1.0, 2.0))(samples, 1, 2, 8) == samples).all()


@pytest.mark.parametrize("ending", [".csv", ".npy"])
def test_a_network_learns(tmp_path: Path, ending: str) -> None:
    folder = write_signals(tmp_path / "waves", 40, length=48, ending=ending)
    model = opsin.autotrain(folder, epochs=4, threads=1, out=tmp_path / "m.opsin")
    again = opsin.load(tmp_path / "m.opsin")
    assert again.evaluate(load(folder, again.preprocessing).require_test()).score.metrics["accuracy"] >= 0.9
    array = np.sin(2 * np.pi * 6 * np.linspace(0, 1, 50)) * np.ones((2, 1))
    assert again.predict(array)[0].ranking[0][0] == "fast"
    assert again.predict(folder / "slow" / f"1{ending}")[0].ranking[0][0] == "slow"
    assert model.name == str(tmp_path / "m.opsin")

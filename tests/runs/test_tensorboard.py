"""Curves for TensorBoard: what its event files hold, and the error without the package."""

from __future__ import annotations

import importlib
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsin.base.errors import UsageError
from opsin.runs import tensorboard
from opsin.training import Epoch, Score, Started, Step

STARTED = Started("lenet5", 9, 10, 2, 2, 2, 3, 1, 40)


def points(folder: Path) -> Iterator[tuple[str, int, float]]:
    """Yield (curve, step, value) of all event files: records of a length, its checksum, data, and their checksum."""
    event_pb2 = importlib.import_module("tensorboardX.proto.event_pb2")
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = event_pb2.Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            for value in event.summary.value:
                yield value.tag, event.step, value.simple_value


def test_the_curves(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed; it is an optional extra")
    board = tensorboard.TensorBoard(tmp_path)
    board(STARTED)
    for step in range(41, 41 + 2 * tensorboard.STEPS_PER_POINT + 3):
        board(Step(2, step, float(step), 1, 2))
    board(Epoch("training", 2, 83, 0.5, 0.75, Score.of_classifier(8, 7, 0.25, None), True, 1.0))
    board.close()
    board.close()
    curves = list(points(tmp_path))
    assert [point for point in curves if point[0] == "training/loss"] == [
        ("training/loss", 60, 50.5), ("training/loss", 80, 70.5),
    ]  # fmt: skip
    assert curves[2:] == [
        ("training/accuracy", 83, 0.75), ("validation/accuracy", 83, 0.875), ("validation/loss", 83, 0.25),
    ]  # fmt: skip


def test_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UsageError) as caught:
        tensorboard.require_tensorboard()
    assert str(caught.value) == "curves for TensorBoard need another package: pip install 'opsin[tensorboard]'"

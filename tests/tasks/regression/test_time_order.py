"""Frames in the order of time are found, and split by time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from opsin.tasks.annotations import Annotations
from opsin.tasks.regression import Regression
from opsin.tasks.regression.time_order import TimeOrder, time_order
from tests.tasks.memory_files import MemoryFiles, encoded_image, image_size

COUNT = 200
SIDE = 16


def frames(count: int = COUNT) -> list[bytes]:
    """Return frames of a bright bar that moves slowly over dark noise."""
    noise = np.random.default_rng(0).integers(0, 20, (count, SIDE, SIDE))
    for number, image in enumerate(noise):
        image[:, (number // 8) % SIDE] = 255
    return [encoded_image(image.tolist()) for image in noise]


def clock_names(count: int, step: float = 0.1) -> list[str]:
    start = datetime(2018, 7, 16, 17, 11, 43, tzinfo=UTC)
    times = [start + timedelta(seconds=step * number) for number in range(count)]
    return [f"IMG/center_{time:%Y_%m_%d_%H_%M_%S}_{time.microsecond // 1000:03}.png" for time in times]


def unix_names(count: int, unit: float = 1e9, step: float = 0.1) -> list[str]:
    return [f"{round((1_479_424_215.88 + step * number) * unit)}.png" for number in range(count)]


def number_names(count: int) -> list[str]:
    return [f"frame_{number:05}.png" for number in range(count)]


def found(names: list[str], contents: list[bytes]) -> TimeOrder | None:
    files = dict(zip(names, contents, strict=True))
    return time_order(names, files.__getitem__)


@pytest.mark.parametrize(
    ("names", "seconds"),
    [
        (clock_names(COUNT), 0.1), (clock_names(COUNT, 1.0), 1.0), (unix_names(COUNT), 0.1),
        (unix_names(COUNT, 1e3), 0.1), (number_names(COUNT), None),
    ],
)  # fmt: skip
def test_times_of_frames(names: list[str], seconds: float | None) -> None:
    order = found(names, frames())
    assert order is not None and order.frames == COUNT
    if seconds is None:
        assert order.seconds is None
    else:
        assert order.seconds is not None
        np.testing.assert_allclose(order.seconds, np.arange(COUNT) * seconds, atol=1e-3)


def test_what_is_no_film() -> None:
    names, contents = number_names(COUNT), frames()
    shuffled = [contents[place] for place in np.random.default_rng(1).permutation(COUNT)]
    assert found(names, shuffled) is None
    assert found(names[::-1], contents) is None
    assert found([f"{chr(97 + n // 26)}{chr(97 + n % 26)}.png" for n in range(COUNT)], contents) is None
    assert found(names[:40], contents[:40]) is None
    assert found(names, [b"no image"] * COUNT) is None
    assert found(names, [contents[0]] * COUNT) is None


def test_gaps_take_at_most_half_of_a_part() -> None:
    order = found(clock_names(COUNT), frames())
    assert order is not None
    splits = order.splits()
    assert [splits.count(name) for name in ("train", "validation", "test", "")] == [121, 10, 40, 29]


def test_splits_of_longer_films() -> None:
    order = TimeOrder(1000, np.arange(1000, dtype=np.float64) * 0.1)
    splits = order.splits()
    assert [splits.count(name) for name in ("train", "validation", "test", "")] == [681, 81, 200, 38]
    assert splits[680:701] == ["train", *[""] * 19, "validation"]
    assert splits[780:801] == ["validation", *[""] * 19, "test"]
    unknown = TimeOrder(1000, None).splits()
    assert [unknown.count(name) for name in ("train", "validation", "test", "")] == [690, 90, 200, 20]


def read(rows: list[str], names: list[str], header: str = "path,steering,speed") -> Annotations:
    files = dict(zip(names, frames(len(names)), strict=True))
    result = Regression.read(MemoryFiles({"log.csv": "\n".join([header, *rows])}, files), image_size)
    assert result is not None
    return result


def drive(names: list[str], more: str = "") -> list[str]:
    return [f"{name},{np.sin(number / 9):.3f},{20 + number % 29}{more}" for number, name in enumerate(names)]


def test_the_reader_splits_frames_by_time() -> None:
    names = clock_names(400)
    result = read(drive(names), names)
    assert result.settings["labels"] == ("steering",)
    splits = [image.split for image in result.images]
    assert splits == ["train"] * 261 + ["validation"] * 21 + ["test"] * 80
    assert [image.target.position for image in result.images][259:263] == [259, 260, 280, 281]
    assert result.split_note.startswith("by time, as the images are frames: the first 70% for training")
    assert result.notes[-1] == (
        "The images are frames in the order of time. Between the splits 2 seconds are left out, so that no frame of "
        f"one is nearly a frame of another: {names[261]} to {names[279]} (19) and {names[301]} to {names[319]} (19)."
    )


def test_frames_without_times_leave_a_hundredth_out() -> None:
    names = number_names(400)
    result = read(drive(names), names)
    assert len(result.images) == 392 and "1% of the frames are left out" in result.notes[-1]


def test_splits_of_the_data_come_first() -> None:
    names = number_names(100)
    result = read(drive(names, ",train"), names, "path,steering,speed,split")
    assert {image.split for image in result.images} == {"train"} and result.split_note == ""
    assert "The images are frames in the order of time; the data gives their splits." in result.notes
    targets = Regression.load_targets(result.images, MemoryFiles({}), (8, 8), result.settings)
    assert targets.positions is not None and targets.positions.tolist() == list(range(100))

"""A folder that grows: each file once, when it is complete, in order."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest

from opsin.base.errors import DataError
from opsin.data.decode import read_pixels
from opsin.data.frames import FolderFrames, Frame
from opsin.data.frames.folder_watch import PATIENCE, FolderWatch, natural_order
from opsin.data.items import DAMAGED, FileProblem, ItemError
from tests.data.files import noise, png, write_image
from tests.data.frames.test_backlog import Clock


def error(name: str) -> ItemError:
    return ItemError(f"{name} is damaged", FileProblem(name, "damaged", DAMAGED))


def write(path: Path, content: bytes, time: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time, time))


def test_files_are_complete_when_they_no_longer_change(tmp_path: Path) -> None:
    watch = FolderWatch(tmp_path)
    assert watch.scan() == ([], [])
    write(tmp_path / "b.jpg", b"half", 1)
    write(tmp_path / "empty.jpg", b"", 1)
    write(tmp_path / "a.png", b"whole", 2)
    assert watch.scan() == ([], [])
    write(tmp_path / "b.jpg", b"half and half", 3)
    assert watch.is_waiting
    assert watch.scan() == (["a.png"], [])
    assert watch.scan() == (["b.jpg"], [])
    assert not watch.is_waiting
    write(tmp_path / "b.jpg", b"changed later", 4)
    assert watch.scan() == watch.scan() == ([], [])
    (tmp_path / "b.jpg").unlink()
    watch.scan()
    write(tmp_path / "b.jpg", b"another file of that name", 5)
    assert [watch.scan()[0], watch.scan()[0]] == [[], ["b.jpg"]]


def test_the_order_is_that_of_time_and_name(tmp_path: Path) -> None:
    watch = FolderWatch(tmp_path)
    for name, time in (("frame10.jpg", 7), ("frame9.jpg", 7), ("first.jpg", 8), ("day/1.jpg", 6)):
        write(tmp_path / name, b"x", time)
    watch.scan()
    assert watch.scan()[0] == ["day/1.jpg", "frame9.jpg", "frame10.jpg", "first.jpg"]
    assert sorted(("b2", "b10", "a", "b", "10", "9"), key=natural_order) == ["9", "10", "a", "b", "b2", "b10"]


def test_other_files_are_ignored(tmp_path: Path) -> None:
    watch = FolderWatch(tmp_path, tmp_path / "here" / ".." / "out")
    (tmp_path / "here").mkdir()
    for name in ("notes.txt", ".hidden.jpg", "photo.jpg.part", "out/photo.jpg", ".cache/photo.jpg", "photo.jpg"):
        write(tmp_path / name, b"x", 1)
    watch.scan()
    assert watch.scan()[0] == ["photo.jpg"]


def test_a_file_that_cannot_be_decoded_is_waited_for(tmp_path: Path) -> None:
    clock = Clock()
    watch = FolderWatch(tmp_path, clock=clock)
    for name in ("slow.jpg", "broken.jpg", "deleted.jpg"):
        write(tmp_path / name, b"half", 1)
    watch.scan()
    assert len(watch.scan()[0]) == 3
    for name in ("slow.jpg", "broken.jpg", "deleted.jpg"):
        watch.postpone(name, error(name))
    clock.now += PATIENCE / 2
    assert watch.scan() == ([], [])
    write(tmp_path / "slow.jpg", b"whole file", 2)
    (tmp_path / "deleted.jpg").unlink()
    assert watch.scan() == ([], [])
    assert watch.scan() == (["slow.jpg"], [])
    assert [str(each) for each in watch.unreadable()] == ["broken.jpg is damaged"]
    clock.now += PATIENCE
    names, errors = watch.scan()
    assert (names, [str(each) for each in errors]) == ([], ["broken.jpg is damaged"])
    assert watch.scan() == ([], [])
    assert not watch.unreadable()


def test_the_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the folder .*/none cannot be read: No such file.*; it must exist as long"):
        FolderWatch(tmp_path / "none").scan()
    with pytest.raises(DataError, match="cannot be read"):
        list(FolderFrames(tmp_path / "none", read, Event()))


def read(path: Path, name: str) -> tuple[int, ...]:
    return read_pixels(path, name, (3, 8, 8)).shape


def follow(folder: Path, take: Callable[[Frame[tuple[int, ...]]], object], idle: float | None = 0.0) -> None:
    for frame in FolderFrames(folder, read, Event(), idle=idle):
        take(frame)


def test_files_that_are_there_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path / f"{number}.png", png(number), 100 - number)
    write(tmp_path / "5.jpg", b"no image", 1)
    frames: list[Frame[tuple[int, ...]]] = []
    follow(tmp_path, frames.append)
    assert [Path(frame.name).name for frame in frames] == [*(f"{number}.png" for number in range(12)), "5.jpg"]
    assert {frame.content for frame in frames[:12]} == {(3, 8, 8)}
    assert str(frames[-1].content).startswith(f"{tmp_path}/5.jpg is not an image but text")


def test_files_that_are_written_meanwhile_are_read(tmp_path: Path) -> None:
    """A thread writes the next file, in two parts, when the previous one has been read."""
    is_read, stop = Event(), Event()

    def produce() -> None:
        for number in range(5):
            data = png(number, 64)
            with (tmp_path / f"{number}.png").open("wb", buffering=0) as file:
                file.write(data[:100])
                stop.wait(0.03)
                file.write(data[100:])
            is_read.wait(30)
            is_read.clear()

    thread = Thread(target=produce)
    thread.start()
    names = []
    for frame in FolderFrames(tmp_path, read, stop):
        assert (frame.content, frame.dropped) == ((3, 8, 8), 0)
        names.append(Path(frame.name).stem)
        is_read.set()
        if len(names) == 5:
            stop.set()
    thread.join()
    assert names == ["0", "1", "2", "3", "4"]


def test_late_frames_are_dropped_and_counted(tmp_path: Path) -> None:
    clock = Clock()
    frames: list[Frame[tuple[int, ...]]] = []
    write_image(tmp_path / "0.png", noise(0, 8, 8))

    def slow(path: Path, name: str) -> tuple[int, ...]:
        if path.stem == "0":  # while it is read, nine other files arrive
            for number in range(1, 10):
                write(path.with_name(f"{number}.png"), png(number), number)
            while len(source._backlog._items) < 9:
                Event().wait(0.001)
            clock.now += 1.0
        return read(path, name)

    source = FolderFrames(tmp_path, slow, Event(), idle=0.5, clock=clock)
    for frame in source:
        frames.append(frame)
        clock.now += 1.0
    assert [(Path(frame.name).stem, frame.dropped) for frame in frames] == [("0", 0), ("9", 8)]


def test_a_deleted_file_counts_as_dropped(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"{number}.png", png(number), 1)

    def take(frame: Frame[tuple[int, ...]]) -> None:
        (tmp_path / "1.png").unlink(missing_ok=True)
        frames.append((Path(frame.name).stem, frame.dropped))

    frames: list[tuple[str, int]] = []
    follow(tmp_path, take)
    assert frames == [("0", 0), ("2", 1)]

"""Videos: what is written is read again, and damage is reported."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from PIL import Image

from opsin.base.errors import DataError, UsageError
from opsin.data import video_names
from opsin.data.frames import Video, VideoWriter, camera_frames, video, video_frames, video_writer
from opsin.data.video_names import is_camera, is_video
from tests.data.frames.videos import RATE, grey, levels, write_video


def test_names() -> None:
    assert all(map(is_video, ("a.mp4", "b/C.MOV", "x.y.mkv", "/dev/video0", "/dev/v4l/by-id/usb-camera")))
    assert not any(map(is_video, ("a.jpg", "mp4", "folder/", "-", "/dev/null", "a.mp4.part")))
    assert is_camera("/dev/video12")
    assert not is_camera("video0.mp4")


def test_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DataError, match=r"need PyAV; install it with: pip install 'opsin\[video\]'$"):
        Video("drive.mp4")
    with pytest.raises(DataError, match="need PyAV"):
        VideoWriter(str(tmp_path / "drive.mp4"), RATE)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def av() -> Any:
    return pytest.importorskip("av")


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov"])
def test_a_video_is_read_as_it_was_written(av: Any, tmp_path: Path, ending: str) -> None:
    with Video(str(write_video(tmp_path / f"10:30.{ending}"))) as opened:
        frames = list(opened.frames())
        assert not opened.is_camera
        assert float(opened.rate) == pytest.approx(float(RATE), rel=1e-4)
    assert levels([frame.image for frame in frames]) == list(range(10, 130, 10))
    assert {(frame.image.size, frame.image.mode) for frame in frames} == {((64, 48), "RGB")}
    assert [frame.time for frame in frames] == pytest.approx([number / float(RATE) for number in range(12)], abs=2e-3)
    assert [path.name for path in tmp_path.iterdir()] == [f"10:30.{ending}"]


def test_the_encoder_is_that_for_h264_or_mpeg4(av: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with av.open(str(write_video(tmp_path / "a.mp4"))) as container:
        assert container.streams.video[0].codec_context.name in ("h264", "mpeg4")
    monkeypatch.setattr(video_writer, "ENCODERS", {"mpeg4": {}})
    with av.open(str(write_video(tmp_path / "b.mp4"))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.frames, stream.average_rate) == ("mpeg4", 12, RATE)


def test_times_stay_as_they_are(av: Any, tmp_path: Path) -> None:
    """Frames that were dropped leave gaps, and no frame is lost if two are at the same time."""
    writer = VideoWriter(str(tmp_path / "a.mp4"), Fraction(10))
    for number, time in enumerate((0.0, 0.1, 0.5, 0.52, 1.0)):
        writer.add(grey(10 * number + 10), time)
    writer.commit()
    with Video(str(tmp_path / "a.mp4")) as opened:
        frames = list(opened.frames())
    assert [frame.time for frame in frames] == pytest.approx([0.0, 0.1, 0.5, 0.6, 1.0])
    assert levels([frame.image for frame in frames]) == [10, 20, 30, 40, 50]


def test_the_first_frame_determines_the_size(av: Any, tmp_path: Path) -> None:
    writer = VideoWriter(str(tmp_path / "a.mp4"), RATE)
    for size in ((63, 47), (80, 20), (64, 48)):
        writer.add(grey(200, size), 0.0)
    writer.commit()
    with Video(str(tmp_path / "a.mp4")) as opened:
        frames = [frame.image for frame in opened.frames()]
    assert {frame.size for frame in frames} == {(64, 48)}
    assert [sum(frame.getpixel((10, 40))) // 30 for frame in frames] == [20, 0, 20]  # type: ignore[arg-type]


def test_a_video_that_is_not_finished_leaves_nothing(av: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"as it was")
    writer = VideoWriter(str(path), RATE)
    writer.add(grey(10), 0.0)
    writer.discard()
    assert not VideoWriter(str(path), RATE).commit()  # no frames
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"a.mp4": b"as it was"}
    finished = VideoWriter(str(path), RATE)
    finished.add(grey(10), 0.0)
    assert finished.commit()
    finished.discard()
    assert path.stat().st_size > 100


def test_files_that_cannot_be_written(av: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be written as 'a\.gif'; give it a name that ends in \.mp4"):
        VideoWriter("a.gif", RATE)
    with pytest.raises(UsageError, match=r"none/a\.mp4 cannot be written: No such file"):
        VideoWriter(str(tmp_path / "none" / "a.mp4"), RATE)


def test_rates_have_limits(av: Any, tmp_path: Path) -> None:
    rate = Fraction(2997002997, 100000001)
    with Video(str(write_video(tmp_path / "a.mp4", rate=rate))) as opened:
        assert float(opened.rate) == pytest.approx(float(rate), rel=1e-3)


def test_damaged_videos(av: Any, tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", 30).read_bytes()
    contents = {"empty.mp4": b"", "text.mp4": b"text " * 99, "cut.mp4": whole[: len(whole) // 2]}
    expected = {"empty.mp4": "is empty, not a video", "text.mp4": "is no video, damaged, or cut short",
                "cut.mp4": "is no video, damaged, or cut short"}  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name} {expected[name]}.*; record or copy it again"):
            Video(str(tmp_path / name))
    with pytest.raises(DataError, match=r"none\.mp4: there is no such file; give the path of a video"):
        Video(str(tmp_path / "none.mp4"))
    with pytest.raises(DataError, match=r"video99: there is no such camera; see that it is connected"):
        Video("/dev/video99")


def test_a_video_that_is_cut_short_is_read_as_far_as_possible(av: Any, tmp_path: Path) -> None:
    """The index stands before the frames, as in files for the web."""
    path = tmp_path / "web.mp4"
    source = av.open(str(write_video(tmp_path / "a.mp4", 60)))
    with source, av.open(str(path), "w", options={"movflags": "faststart"}) as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    path.write_bytes(path.read_bytes()[:-300])
    count = 0
    with Video(str(path)) as opened, pytest.raises(DataError, match=r"web\.mp4 is (cut short: it has|damaged)"):
        for _ in opened.frames():
            count += 1
    assert 0 < count < 60


def test_sound_alone_is_no_video(av: Any, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(DataError, match=r"sound\.mp4 has no images, only sound or text"):
        Video(str(tmp_path / "sound.mp4"))


def size(image: Image.Image, name: str) -> tuple[str, tuple[int, int]]:
    return name, image.size


def test_all_frames_of_a_video_are_taken_until_it_is_stopped(av: Any, tmp_path: Path) -> None:
    path, stop = write_video(tmp_path / "a.mp4", rate=Fraction(10)), Event()
    with Video(str(path)) as opened:
        frames = list(video_frames(opened, size, stop))
    assert [frame.number for frame in frames] == list(range(12))
    assert (frames[3].content, str(frames[3])) == ((f"{path} at 0.30 s", (64, 48)), f"{path} at 0.30 s")
    with Video(str(path)) as opened:
        for frame in video_frames(opened, size, stop):
            assert frame.number == 0
            stop.set()


def test_a_camera_gives_the_newest_frames(av: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg's test image stands for a camera; while nothing is taken, frames are dropped."""
    source, stop = "testsrc=size=64x48:rate=100:duration=0.5,realtime", Event()
    monkeypatch.setattr(video_names, "CAMERAS", ("testsrc",))
    monkeypatch.setattr(video, "CAMERA_FORMAT", "lavfi")
    if "lavfi" not in av.formats_available:
        pytest.skip("this FFmpeg has no test images")
    frames = []
    with Video(source) as opened:
        assert opened.is_camera
        for frame in camera_frames(opened, size, stop):
            frames.append(frame)
            Event().wait(0.15)  # in which 15 frames arrive
    assert frames[0].number == 0
    assert frames[-1].number == 49
    assert sum(frame.dropped for frame in frames) == 50 - len(frames) > 20
    assert all(frame.number == round(100 * (frame.time or 0)) for frame in frames)


def test_a_camera_can_be_stopped(av: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Event()
    monkeypatch.setattr(video_names, "CAMERAS", ("testsrc",))
    monkeypatch.setattr(video, "CAMERA_FORMAT", "lavfi")
    if "lavfi" not in av.formats_available:
        pytest.skip("this FFmpeg has no test images")
    with Video("testsrc=size=64x48:rate=100,realtime") as opened:
        for _ in camera_frames(opened, size, stop):
            stop.set()

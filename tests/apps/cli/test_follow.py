"""`opsin predict` of a folder that grows, of videos and of cameras."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from PIL import Image

from opsin import nn, ops
from opsin.apps.cli import follow
from opsin.apps.cli.frame_sinks import fitted
from opsin.apps.cli.frame_statistics import MAX_LATENCIES, FrameStatistics
from opsin.base.errors import DataError
from opsin.data import Preprocessing
from opsin.data.frames import Frame, Video
from opsin.data.frames.backlog import MAX_DELAY
from opsin.ir import BATCH, Graph, input_tensor
from opsin.model import Model
from opsin.tasks.segmentation.task import SemanticSegmentation
from tests.apps.cli.test_process import COMMAND, ENVIRONMENT
from tests.data.files import noise, png, write_image
from tests.data.frames.test_backlog import Clock
from tests.data.frames.videos import levels, write_video


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tells dark from light images."""
    images = input_tensor("inputs", (BATCH, 3, 8, 8))
    signs = ops.constant(np.array([[-9, 9]], np.float32))
    graph = Graph((images,), {"logits": ops.multiply(ops.mean(images, (1, 2, 3))[:, None], signs)})
    preprocessing = Preprocessing(3, 8, 8, (0.5,) * 3, (0.25,) * 3)
    path = tmp_path_factory.mktemp("models") / "light.opsin"
    Model("light", graph, nn.initial_state(graph, 0), preprocessing, ("dark", "light")).save(path)
    return path


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tells dark from light pixels."""
    images = input_tensor("inputs", (BATCH, 3, 8, 8))
    signs = ops.constant(np.array([-9, 9], np.float32).reshape(1, 2, 1, 1))
    graph = Graph((images,), {"logits": ops.multiply(ops.mean(images, 1)[:, None], signs)})
    preprocessing = Preprocessing(3, 8, 8, (0.5,) * 3, (0.25,) * 3)
    path = tmp_path_factory.mktemp("models") / "pixels.opsin"
    task = SemanticSegmentation(("dark", "light"))
    Model("pixels", graph, nn.initial_state(graph, 0), preprocessing, task).save(path)
    return path


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A folder of four frames that are dark and light in turns."""
    for number in range(4):
        level = np.full((48, 64, 3), 20 + number % 2 * 200, np.uint8)
        write_image(tmp_path / "frames" / f"frame{number + 8}.png", level)
    return tmp_path / "frames"


SUMMARY = re.compile(r"(\d+) frames(, \d+ skipped)?, [\d,.]+ frames/s\nlatency [\d.]+ ms \(median\), .* percentile\)\n")


def test_a_line_per_frame_and_a_summary(cli: Any, model: Path, frames: Path) -> None:
    code, out, err = cli("predict", model, frames, "--follow", "--idle", 0)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split("   ")[0] for line in lines[:4]] == [f"{frames}/frame{number}.png" for number in range(8, 12)]
    assert [line.split("   ")[1].split()[0] for line in lines[:4]] == ["dark", "light", "dark", "light"]
    match = SUMMARY.fullmatch("\n".join(lines[4:]) + "\n")
    assert match
    assert match[1] == "4"


def test_json_lines(cli: Any, model: Path, frames: Path) -> None:
    (frames / "broken.png").write_bytes(png(0)[:50])
    code, out, err = cli("predict", model, frames, "--follow", "--idle", 0, "--json")
    assert code == 1
    assert SUMMARY.fullmatch(err)
    results = [json.loads(line) for line in out.splitlines()]
    assert [result.get("label") for result in results] == ["dark", "light", "dark", "light", None]
    assert set(results[0]) == {"image", "label", "probability", "ranked", "skipped", "latency"}
    assert (results[0]["skipped"], results[0]["image"]) == (0, f"{frames}/frame8.png")
    assert 0 < results[0]["latency"] < 60
    assert results[4]["error"].startswith(f"{frames}/broken.png is damaged or cut short")


def test_files_that_cannot_be_read_are_reported(cli: Any, model: Path, tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_text("no image")
    code, out, err = cli("predict", model, tmp_path, "--follow", "--idle", 0)
    assert (code, out) == (1, "no frames\n")
    assert err.startswith(f"Error: {tmp_path}/page.jpg is not an image but text")


def test_annotated_copies(cli: Any, model: Path, frames: Path) -> None:
    """They may be in a folder inside, which is not followed itself."""
    write_image(frames / "more" / "photo.jpg", noise(0, 600, 500, 3))
    write_image(frames / "more" / "photo.bmp", noise(1, 600, 500, 3))
    for _ in range(2):
        code, out, err = cli("predict", model, frames, "--follow", "--idle", 0, "--out", frames / "drawn")
        assert (code, err, len(out.splitlines())) == (0, "", 8)
    drawn = sorted(path for path in (frames / "drawn").rglob("*") if path.is_file())
    names = [path.relative_to(frames / "drawn").as_posix() for path in drawn]
    numbers = sorted(f"frame{number}.answer.png" for number in range(8, 12))
    assert names == [*numbers, "more/photo.answer.jpg", "more/photo.bmp.answer.jpg"]
    with Image.open(drawn[-1]) as image:
        assert (image.format, image.size) == ("JPEG", (500, 600))
        difference = np.abs(np.asarray(image).astype(int) - noise(1, 600, 500, 3)).mean(axis=(1, 2))
    assert difference[-40:].mean() > 1.1 * difference[:100].mean()  # the caption


def test_segmentations_are_drawn(cli: Any, segmenter: Path, frames: Path, tmp_path: Path) -> None:
    code, out, _ = cli("predict", segmenter, frames, "--follow", "--idle", 0, "--out", tmp_path / "out", "--json")
    assert code == 0
    assert [json.loads(line)["classes"][0]["class"] for line in out.splitlines()] == ["dark", "light"] * 2
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_late_frames_are_skipped(cli: Any, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first frame takes longer than frames may wait, a thread writes ten more; most are skipped."""
    answer, begin, end = follow._answer, Event(), Event()
    write_image(tmp_path / "live" / "first.png", noise(0, 8, 8))

    def write() -> None:
        begin.wait(60)
        for number in range(10):
            (tmp_path / "live" / f"{number}.png").write_bytes(png(number, 64))
        end.set()

    def slow(*arguments: Any) -> Any:
        if not begin.is_set():
            begin.set()
            end.wait(60)
            Event().wait(1.5 * MAX_DELAY)
        return answer(*arguments)

    monkeypatch.setattr(follow, "_answer", slow)
    thread = Thread(target=write)
    thread.start()
    code, out, err = cli("predict", model, tmp_path / "live", "--follow", "--idle", 0.2)
    thread.join()
    assert (code, err) == (0, "")
    lines, summary = out.splitlines()[:-2], SUMMARY.search(out)
    assert summary
    skipped = sum(int(each) for each in re.findall(r"\((\d+) skipped before\)", out))
    assert skipped >= 5  # frames that were read already are not skipped
    assert len(lines) + skipped == 11
    assert (summary[1], summary[2]) == (str(len(lines)), f", {skipped} skipped")
    assert lines[0].startswith(f"{tmp_path}/live/first.png   ")
    assert lines[-1].startswith(f"{tmp_path}/live/9.png   ")
    assert lines[-1].endswith(" skipped before)")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("a", "b", "--follow"), 2, "2 inputs: a folder to follow, a video or a camera must be alone"),
        (("a.mp4", "b.jpg"), 2, "2 inputs: a folder to follow, a video or a camera must be alone"),
        (("a.jpg", "--follow"), 1, "a.jpg is not a folder; --follow takes a folder, a video or a camera"),
        ((".", "--follow", "--out", "."), 2, "--out . is what is read; name another file or folder"),
        ((".", "--follow", "--out", "a.mp4"), 2, "--out a.mp4: the frames of a folder are written to a folder"),
        ((".", "--follow", "--out", "file/x"), 2, "--out file/x: no folder can be made there"),
        ((".", "--idle", "-1"), 2, "Invalid value for '--idle'"),
    ],
)  # fmt: skip
def test_invalid_requests(
    cli: Any, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Any, code: int, text: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.chdir(tmp_path)
    result = cli("predict", model, *arguments)
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith(f"Error: {text}")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_ctrl_c_ends_with_a_summary(model: Path, frames: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "predict", str(model), str(frames), "--follow"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, text=True,
    )  # fmt: skip
    assert process.stdout
    lines = [process.stdout.readline() for _ in range(4)]
    assert all(line.startswith(str(frames)) for line in lines)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert SUMMARY.fullmatch(out)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
def test_a_reader_that_stops_ends_it_silently(model: Path, frames: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "predict", str(model), str(frames), "--follow"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, text=True,
    )  # fmt: skip
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()
    number = 0
    while process.poll() is None:
        write_image(frames / f"later{number}.png", noise(number, 8, 8))
        number += 1
        Event().wait(0.05)
    assert (process.returncode, process.stderr.read()) == (141, "")
    process.stderr.close()


def test_a_video(cli: Any, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    path, out = write_video(tmp_path / "drive.mp4", 20, (640, 480)), tmp_path / "drawn.mp4"
    code, text, err = cli("predict", model, path, "--out", out)
    assert (code, err) == (0, "")
    lines = text.splitlines()
    assert [line.split("   ")[0] for line in lines[:2]] == [f"{path} at 0.00 s", f"{path} at 0.03 s"]
    assert [line.split("   ")[1].split()[0] for line in lines[:20]] == ["dark"] * 12 + ["light"] * 8
    with Video(str(out)) as video:
        images = [frame.image for frame in video.frames()]
        assert float(video.rate) == pytest.approx(29.97, abs=0.001)
    assert {image.size for image in images} == {(640, 480)}
    assert levels([image.crop((0, 0, 640, 400)) for image in images]) == list(range(10, 210, 10))
    assert levels([images[-1].crop((10, 450, 60, 470))]) != [200]  # the caption
    results = [json.loads(line) for line in cli("predict", model, path, "--json").out.splitlines()]
    assert [result["frame"] for result in results] == list(range(20))
    assert results[3]["time"] == pytest.approx(0.1, abs=0.001)


def test_a_video_as_images(cli: Any, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    path = write_video(tmp_path / "drive.mkv", 3)
    assert cli("predict", model, path, "--out", tmp_path / "images").code == 0
    assert sorted(each.name for each in (tmp_path / "images").iterdir()) == [
        f"00000{number}.answer.jpg" for number in range(3)
    ]


def test_a_damaged_video(cli: Any, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    (tmp_path / "drive.mp4").write_bytes(b"")
    code, out, err = cli("predict", model, tmp_path / "drive.mp4", "--out", tmp_path / "out.mp4")
    assert (code, out) == (1, "")
    assert err == f"Error: {tmp_path}/drive.mp4 is empty, not a video; record or copy it again\n"
    assert [path.name for path in tmp_path.iterdir()] == ["drive.mp4"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_ctrl_c_leaves_a_video_that_can_be_played(segmenter: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    path, out = write_video(tmp_path / "drive.mp4", 400, (640, 480)), tmp_path / "drawn.mp4"
    process = subprocess.Popen(
        [*COMMAND, "predict", str(segmenter), str(path), "--out", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, text=True,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline().startswith(f"{path} at 0.00 s")
    process.send_signal(signal.SIGINT)
    text, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    with Video(str(out)) as video:
        count = sum(1 for _ in video.frames())
    assert 0 < count == len(text.splitlines()) + 1 - 2 < 400


def test_statistics() -> None:
    clock = Clock()
    statistics = FrameStatistics(clock)
    assert statistics.summary() == ["no frames"]
    for number in range(100):
        arrival = clock.now
        clock.now += 0.02 if number < 90 else 0.1
        statistics.add(Frame("a.jpg", None, arrival, dropped=number == 50))
    assert statistics.status() == "35.6 frames/s, 1 skipped"  # between the first answer and the last
    assert statistics.summary() == [
        "100 frames, 1 skipped, 35.7 frames/s",
        "latency 20.0 ms (median), 100.0 ms (95th percentile)",
    ]
    assert statistics.latency == pytest.approx(0.1)
    clock.now += 1000
    statistics.add(Frame("a.jpg", DataError("damaged"), clock.now))
    assert (statistics.frames, statistics.errors) == (100, 1)
    for _ in range(2 * MAX_LATENCIES):
        statistics.add(Frame("a.jpg", None, clock.now))
    assert len(statistics._latencies) == MAX_LATENCIES


def test_the_current_rate_forgets() -> None:
    clock = Clock()
    statistics = FrameStatistics(clock)
    for step in [1.0] * 10 + [0.1] * 40:
        clock.now += step
        statistics.add(Frame("a.jpg", None, clock.now))
    assert statistics.status() == "10.0 frames/s"


def test_legends_cover_the_lower_edge() -> None:
    drawn = Image.new("L", (20, 14), 0)
    drawn.paste(255, (0, 10, 20, 14))
    result = fitted(drawn, (20, 10))
    assert result.size == (20, 10)
    assert np.asarray(result)[:, 0].tolist() == [0] * 6 + [255] * 4
    enlarged = fitted(drawn.resize((40, 28), Image.Resampling.NEAREST), (20, 10))
    assert enlarged.size == (40, 20)
    assert fitted(drawn, (20, 14)) is drawn

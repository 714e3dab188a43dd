"""Clips as input: frames by time, what is wrong with files, groups of one source, and a network that learns."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import opsin
from opsin import nn, zoo
from opsin.base.errors import DataError, ShapeError, UsageError
from opsin.data import load
from opsin.data.ingest.sample_groups import joined, sample_groups
from opsin.data.items import Item
from opsin.inputs.kind import Files
from opsin.inputs.video import Clips
from opsin.inputs.video.augment import ChangedClips
from opsin.inputs.video.decode import clip_info
from tests.inputs.films import SIDE, film, square, write_films


def levels(count: int) -> list[Any]:
    """Frames that are 10, 20, 30, … everywhere."""
    return [np.full((SIDE, SIDE, 3), 10 * (number % 24 + 1), np.uint8) for number in range(count)]


@pytest.mark.parametrize(
    ("format", "codec"), [("mp4", "mpeg4"), ("avi", "mpeg4"), ("matroska", "mpeg4"), ("mpegts", "mpeg2video")]
)
def test_frames_are_taken_by_time(format: str, codec: str) -> None:
    clip, rate = Clips(4, 32, 0.8), 25 if format == "mpegts" else 10
    data = film(levels(24), rate, format, codec)
    info = clip_info(data, "x")
    assert len(info.times) == 24 and info.seconds == pytest.approx(24 / rate, abs=0.01)
    frames = clip.read(data, "x").reshape(3, 4, 32, 32).mean((0, 2, 3))
    expected = np.floor(12 + np.array([-0.3, -0.1, 0.1, 0.3]) * rate)  # the middle is 12 frames from the beginning
    assert np.abs(frames / 10 - 1 - expected).max() <= 0.4


def test_the_same_time_at_every_rate() -> None:
    clip = Clips(4, 32, 1.0)
    slow, fast = levels(10), [frame for frame in levels(10) for _ in range(3)]
    difference = clip.read(film(slow, 10), "x").astype(int) - clip.read(film(fast, 30), "x")
    assert np.abs(difference).max() <= 12


def test_short_clips_stand_still_at_their_ends() -> None:
    frames = Clips(8, 32, 4.0).read(film(levels(10)), "x").reshape(3, 8, -1).mean((0, 2))
    assert frames[0] == frames[1] == frames[2] < frames[4] < frames[5] == frames[7]


def test_a_long_film_is_read_from_its_middle() -> None:
    pixels = [np.full((SIDE, SIDE, 3), 10 * (number // 10) + 5, np.uint8) for number in range(200)]
    (middle,) = Clips(1, 32, 1.0).read(film(pixels), "x").reshape(3, 1, -1).mean((0, 2))
    assert middle == pytest.approx(105, abs=4)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"no film at all", "not a video|no video"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "not a video|no video"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n", "not a video|no video"),
        (b"ffconcat version 1.0\nfile '/etc/hostname'\n", "not a video|no video"),
    ],
)
def test_what_is_no_video(data: bytes, reason: str) -> None:
    pytest.importorskip("av")
    with pytest.raises(DataError, match=f"^x: .*({reason})"):
        Clips(4, 32, 1.0).read(data, "x")


def test_cut_and_odd_films() -> None:
    clip, data = Clips(4, 32, 1.0), film(levels(40), format="avi")
    with pytest.raises(DataError, match=r"^x: .*(cut short|damaged)"):
        clip.read(data[: len(data) // 3], "x")
    assert clip.read_with_remark(film(levels(1)), "x")[1] == "it has a single frame"
    assert clip.read_with_remark(film(levels(1) * 10), "x")[1] == "nothing moves"
    assert clip.read_with_remark(film(square(True, 10, np.random.default_rng(0))), "x")[1] == ""


def test_sound_without_images() -> None:
    av = pytest.importorskip("av")
    file = BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(DataError, match="no images, only sound"):
        clip_info(file.getvalue(), "x")


def test_settings_follow_from_the_files() -> None:
    films = [film(levels(count)) for count in (8, 10, 30)]
    files = Files(["a", "b", "c"], films.__getitem__)
    assert Clips.fitted(files) == Clips(16, 128, 1.0)
    options = {"frames": "4", "side": "64", "seconds": "2"}
    kind = Clips.fitted(Files(["a"], films.__getitem__, options))
    assert kind == Clips(4, 64, 2.0) == Clips.from_data(json.loads(json.dumps(kind.to_data())))
    assert kind.describe() == "4 frames of 64 × 64 from the 2 s in the middle of each"
    with pytest.raises(UsageError, match="frames of clips is a whole number from 1 to 64"):
        Clips.fitted(Files(["a"], films.__getitem__, {"frames": "0"}))
    for change in ({"count": 0}, {"side": "wide"}, {"seconds": float("nan")}):
        with pytest.raises(DataError, match="clips"):
            Clips.from_data(kind.to_data() | change)


def test_changes_depend_on_the_position_alone() -> None:
    samples = np.random.default_rng(0).integers(0, 256, (8, 3, 64, 32)).astype(np.uint8)
    change = ChangedClips(32, 0.8, 0.1)
    changed = change(samples, 1, 2, 8)
    assert changed.dtype == np.uint8 and (change(samples[4:], 1, 2, 12) == changed[4:]).all()
    assert (change(samples, 1, 3, 8) != changed).any()
    still = np.tile(samples[:, :, :32], (1, 1, 2, 1))
    first, second = np.split(change(still, 1, 2, 8), 2, axis=2)
    assert (first == second).all()  # all frames change in the same way


def test_key_frames_and_hidden_frames() -> None:
    kind = Clips(8, 32, 1.0)
    sample = kind.read(film(levels(10)), "x")
    assert kind.render(sample).shape == (128, 192, 3)
    hidden = kind.occluded(sample)
    assert hidden.shape == (8, *kind.shape)
    assert [int((copy != sample).any((0, 2)).sum()) for copy in hidden] == [32] * 8


def test_groups_of_one_source_stay_together(tmp_path: Path) -> None:
    folder = write_films(tmp_path / "films", 12)
    rows = [f"{label}/{n}.mp4,{label},film{n // 2}" for label in ("moving", "still") for n in range(12)]
    (folder / "sources.csv").write_text("\n".join(["path,label,group", *rows]))
    for options in ({}, {"groups": r"(\d)\.mp4"}):
        data = load(folder, input_options={"frames": 2, "side": 32} | options)
        sources = [
            {int(Path(name).stem) // 2 if not options else Path(name).stem[-1] for name in split.names or ()}
            for split in data.splits.values()
        ]
        assert len(sources) == 3
        assert sum(map(len, sources)) == len(set.union(*sources))
        assert "of one source stay together" in data.receipt.text()
    with pytest.raises(UsageError, match="no regular expression"):
        load(folder, input_options={"groups": "("})
    with pytest.raises(UsageError, match="matches no name"):
        load(folder, input_options={"groups": "(x)y"})


def test_groups_of_numbered_names() -> None:
    items = [Item(f"Run/v_Run_g{group:02}_c0{clip}.avi", "Run", "") for group in (1, 2) for clip in (1, 2)]
    groups, options = sample_groups(items, {"frames": 2})
    assert options == {"frames": 2} and groups == ["Run/v_Run_g01"] * 2 + ["Run/v_Run_g02"] * 2
    assert joined(np.array([0, 1, 0, 3]), ["", "a", "b", "a"]).tolist() == [0, 1, 0, 1]
    assert joined(np.array([0, 0, 2]), ["a", "b", "b"]).tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", ["c3d", "r2plus1d", "tcn_efficientnet_lite0"])
@pytest.mark.parametrize("count", [1, 8])
def test_networks_of_the_zoo(name: str, count: int) -> None:
    graph = nn.trace(zoo.find(name)(3), (3, 32 * count, 32))
    assert graph.outputs["logits"].shape[1] == 3
    with pytest.raises(ShapeError, match="square frames"):
        nn.trace(zoo.find(name)(3), (3, 40, 32))


def test_a_network_learns(tmp_path: Path) -> None:
    folder = write_films(tmp_path / "films", 30)
    (folder / "moving" / "bad.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(50))
    options = {"frames": 4, "side": 32}
    model = opsin.autotrain(
        folder, network="r2plus1d", epochs=5, threads=1, out=tmp_path / "m.opsin", input_options=options
    )
    again = opsin.load(tmp_path / "m.opsin")
    data = load(folder, again.preprocessing)
    assert [problem.name.rpartition("/")[2] for problem in data.receipt.problems] == ["bad.mp4"]
    assert again.evaluate(data.require_test()).score.metrics["accuracy"] >= 0.9
    path = folder / "moving" / "1.mp4"
    array = model.input.read(path, "x").reshape(3, 4, 32, 32).transpose(1, 2, 3, 0)
    answers = [model.predict(value)[0].ranking for value in (path, str(path), path.read_bytes(), array)]
    assert all(answer == answers[0] for answer in answers) and answers[0][0][0] == "moving"

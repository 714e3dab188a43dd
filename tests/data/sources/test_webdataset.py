"""The files of an example in a shard: compound endings, several images, and where the label is."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from opsin.base.errors import DataError
from opsin.data import Dataset
from opsin.data.sources import open_source
from opsin.data.sources.webdataset import images_of, label_ending, samples
from tests.data.files import png, write_entries

KEYS = [f"{n:04}" for n in range(6)]


def shard(folder: Path, *files: tuple[str, object]) -> Path:
    """For each key, files of these endings: images for None, otherwise what is given, "#" being the class."""
    entries: dict[str, bytes | str | None] = {}
    for number, key in enumerate(KEYS):
        for ending, content in files:
            if content is None:
                data: bytes | str = png(100 * len(ending) + number)
            else:
                data = content if isinstance(content, str) else json.dumps(content)
                data = data.replace("#", "xy"[number % 2])
            entries[ending.format(key)] = gzip.compress(data.encode()) if ending.endswith(".gz") else data  # type: ignore[union-attr]
    return write_entries(folder, "tar", entries)


@pytest.mark.parametrize("files", [
    [("{}.input.png", None), ("{}.target.cls", "#")], [("{}.img.jpg", None), ("{}.label.txt", "#")],
    [("{}.image.png", None), ("{}.class.json", {"class_name": "#"})], [("{}.ppm", None), ("{}.cls", "#\n")],
    [("{}.input.png", None), ("{}.mask.png", None), ("{}.target.cls", "#")],
    [("{}.png", None), ("{}.depth.png", None), ("{}.cls", "#")], [("{}.png", None), ("{}.json", {"label": "#"})],
    [("{}.png", None), ("{}.txt", "a caption"), ("{}.json", {}), ("{}.cls", "#")],
    [("{}.png", None), ("{}.cls.gz", "#")], [("{}.png", None), ("{}.json.gz", ["#"])],
    [("./v1.0/a.b/{}.png", None), ("./v1.0/a.b/{}.cls", "#")], [("img.{}.png", None), ("img.{}.cls", "#")],
    [("d\\{}.input.png", None), ("d\\{}.target.cls", "#")], [("{}.INPUT.PNG", None), ("{}.Target.CLS", "#")],
    [("{}.png", None), ("._{}.png", "x"), ("{}.cls", "#"), ("__{}__", "x"), ("._{}.cls", "?")],
])  # fmt: skip
def test_endings(tmp_path: Path, files: list[tuple[str, object]]) -> None:
    source = open_source(shard(tmp_path, *files))
    assert not isinstance(source, Dataset)
    assert Counter(item.label for item in source.items) == {"x": 3, "y": 3}
    assert not source.problems
    assert {source.read(n) for n in range(6)} == {png(100 * len(files[0][0]) + n) for n in range(6)}


def test_several_images_without_a_name_for_the_input(tmp_path: Path) -> None:
    path = shard(tmp_path, ("{}.left.png", None), ("{}.right.png", None), ("{}.cls", "#"))
    with pytest.raises(DataError) as caught:
        open_source(path)
    assert str(caught.value) == (
        "data holds no labelled images; shards must hold KEY.jpg and KEY.cls, KEY.txt or KEY.json\n"
        "data.tar/0000: several images (.left.png, .right.png), none of which is called input or image"
    )


@pytest.mark.parametrize("ending", ["tar.gz", "tgz", "TAR.GZ"])
def test_a_folder_of_compressed_shards(tmp_path: Path, ending: str) -> None:
    for part in ("train", "val"):
        path = shard(tmp_path / part, ("{}.input.png", None), ("{}.target.cls", "#"))
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / f"{part}-000.{ending}").write_bytes(gzip.compress(path.read_bytes()))
    for where in (tmp_path / "set", tmp_path / "set" / f"*.{ending}"):
        source = open_source(where)
        assert not isinstance(source, Dataset)
        assert Counter(item.split for item in source.items) == {"train": 6, "validation": 6}


def test_keys_and_their_files() -> None:
    paths = [
        "a.b/1.png",
        "a.b/1.cls",
        "c.1.png",
        "c.1.cls",
        "c.2.png",
        "c.2.cls",
        "d.input.png",
        "d.target.cls",
        "__key__",
    ]
    actual = {key: sorted(files) for key, files in samples(paths)}
    assert actual == {
        "a.b/1": [".cls", ".png"], "c.1": [".cls", ".png"], "c.2": [".cls", ".png"],
        "d": [".input.png", ".target.cls"],
    }  # fmt: skip


def test_the_image_and_the_label_of_several_files() -> None:
    def select(*endings: str) -> tuple[list[str], str | None]:
        files = dict.fromkeys(endings, 0)
        return images_of(files), label_ending(files)

    assert select(".jpg", ".mask.png", ".txt", ".label.txt") == ([".jpg"], ".label.txt")
    assert select(".seg.png", ".rgb.png", ".input.txt", ".json") == ([".rgb.png"], ".json")
    assert select(".a.jpg", ".b.jpg", ".target.cls") == ([".a.jpg", ".b.jpg"], ".target.cls")
    assert select(".view.jpg", ".depth.png") == ([".view.jpg"], None)

"""WebDataset shards: keys, labels, parts, patterns, damage, and memory."""

from __future__ import annotations

import io
import json
import tarfile
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest

from opsin.base.errors import DataError
from opsin.data import items
from opsin.data.sources import open_source
from opsin.data.sources.annotated import AnnotatedSource
from opsin.data.sources.detect import TaskRequest


def shard(path: Path, files: Iterable[tuple[str, bytes | str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in files:
            content = data.encode() if isinstance(data, str) else data
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def samples(first: int, count: int) -> list[tuple[str, bytes | str]]:
    return [entry for n in range(first, first + count)
            for entry in ((f"{n:06}.jpg", b"\xff\xd8\xff%d" % n), (f"{n:06}.cls", str(n % 3)))]  # fmt: skip


def test_a_folder_of_shards(tmp_path: Path) -> None:
    for part, start in (("train", 0), ("train", 4), ("val", 8)):
        shard(tmp_path / "set" / f"{part}-{start:05}.tar", samples(start, 4))
    (tmp_path / "set" / "dataset.json").write_text("{}")
    source = open_source(tmp_path / "set")
    assert source.name == "set"
    assert [item.name for item in source.items][:2] == ["train-00000.tar/000000", "train-00000.tar/000001"]
    assert [item.split for item in source.items] == ["train"] * 8 + ["validation"] * 4
    assert [item.label for item in source.items] == [str(n % 3) for n in range(12)]
    assert [source.read(n) for n in (11, 0)] == [b"\xff\xd8\xff11", b"\xff\xd8\xff0"]
    assert len({source.stamp(n) for n in range(12)}) == 12


@pytest.mark.parametrize("pattern", ["s-{0..2}.tar", "s-*.tar", "s-{0,1,2}.tar", "s-[0-2].tar", "{s-0,s-{1..2}}.tar"])
def test_patterns(tmp_path: Path, pattern: str) -> None:
    for n in range(3):
        shard(tmp_path / f"s-{n}.tar", samples(4 * n, 4))
    if pattern.count("{") > 1:
        with pytest.raises(DataError, match="there is no such file, nor any that matches this pattern"):
            open_source(tmp_path / pattern)
        return
    assert len(open_source(tmp_path / pattern).items) == 12


def test_numbers_keep_their_zeros_and_are_not_endless(tmp_path: Path) -> None:
    shard(tmp_path / "a-007.tar", samples(0, 2))
    assert len(open_source(tmp_path / "a-{005..010}.tar").items) == 2
    with pytest.raises(DataError, match=r"\{0\.\.99999999\} stands for 100,000,000 names; give at most 1,000,000"):
        open_source(tmp_path / "a-{0..99999999}.tar")


def test_labels_of_every_kind(tmp_path: Path) -> None:
    files: list[tuple[str, bytes | str]] = []
    for key, ending, label in [
        ("a", "cls", "cat\n"), ("b", "txt", "a cat"), ("c", "json", json.dumps({"class": "dog", "x": 1})),
        ("d", "json", "7"), ("e", "cls", b"\xff\xff"), ("f", "json", "{"), ("g", "json", "{}"), ("h", "cls", ""),
        ("dir/a", "label.txt", "dog"),
    ]:  # fmt: skip
        files += [(f"{key}.{ending}", label), (f"{key}.png", b"x")]
    files += [("i.png", b"x"), ("j.cls", "cat"), ("k.left.jpg", b"k"), ("k.cls", "cat")]
    source = open_source(shard(tmp_path / "a.tar", files))
    assert {item.name.removeprefix("a.tar/"): item.label for item in source.items} == {
        "a": "cat", "b": "a cat", "c": "dog", "d": "7", "dir/a": "dog", "k": "cat"}  # fmt: skip
    assert {problem.name.removeprefix("a.tar/"): problem.kind for problem in source.problems} == {
        **dict.fromkeys("efghi", items.UNLABELLED), "j": items.MISSING}  # fmt: skip


def test_a_tar_of_class_folders_is_no_shard(tmp_path: Path) -> None:
    source = open_source(shard(tmp_path / "a.tar", [("cat/1.jpg", b"1"), ("dog/1.jpg", b"2"), ("dog/notes.txt", "x")]))
    assert [item.label for item in source.items] == ["cat", "dog", "dog"]


def test_shards_without_labels(tmp_path: Path) -> None:
    shard(tmp_path / "s" / "1.tar", [("a.jpg", b"1"), ("b.jpg", b"1")])
    with pytest.raises(DataError, match=r"holds no labelled images; shards must hold KEY\.jpg and KEY\.cls"):
        open_source(tmp_path / "s")


def test_memory_is_that_of_names_and_offsets(tmp_path: Path) -> None:
    """Not of the images: 400 of them with 8 MB are listed in a fraction of that."""
    files = [entry for n in range(400) for entry in ((f"{n:06}.jpg", bytes(20_000)), (f"{n:06}.cls", str(n % 3)))]
    shard(tmp_path / "s" / "1.tar", files)
    del files
    tracemalloc.start()
    source = open_source(tmp_path / "s")
    assert len(source.items) == 400
    assert tracemalloc.get_traced_memory()[0] < 400 * 3000
    tracemalloc.reset_peak()
    for n in range(400):
        assert len(source.read(n)) == 20_000
    assert tracemalloc.get_traced_memory()[1] < 400 * 3000
    tracemalloc.stop()


def test_images_without_labels(tmp_path: Path) -> None:
    request = TaskRequest("self-supervised")
    for number, folder in enumerate(("", "sea/")):
        shard(tmp_path / "set" / f"train-{number}.tar", [(f"{folder}{n:03}.jpg", b"%d" % n) for n in range(20)])
    with pytest.raises(DataError, match="holds no labelled images"):
        open_source(tmp_path / "set")
    source = open_source(tmp_path / "set", request=request)
    assert isinstance(source, AnnotatedSource)
    assert [image.target for image in source.annotations.images] == [""] * 20 + ["sea"] * 20
    assert source.items[39].name == "train-1.tar/sea/019" and source.read(39) == b"19"
    pairs = [(f"{n:03}.{side}.jpg", side) for n in range(20) for side in ("left", "right")]
    both = open_source(shard(tmp_path / "a.tar", [("a.jpg", b""), ("a.cls", b"\xff"), *pairs]), request=request)
    assert len(both.items) == 41 and both.items[2].name == "a.tar/000.right.jpg" and both.read(2) == b"right"
    shard(tmp_path / "none" / "b.tar", [("a.cls", "1")])
    with pytest.raises(DataError, match=r"none holds no images; shards must hold KEY\.jpg, KEY\.png or the like"):
        open_source(tmp_path / "none", request=request)

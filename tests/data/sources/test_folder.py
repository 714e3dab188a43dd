"""Walking a folder: order, links, things that are no files; and reading what was found."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from opsin.base.errors import DataError
from opsin.data import items
from opsin.data.file_io import MAX_IMAGE_BYTES, read_file
from opsin.data.items import ItemError, Source
from opsin.data.sources import image_files, open_source
from opsin.data.sources.folder import FolderWalk
from tests.data.corrupted import GOOD, write_corrupted
from tests.data.files import noise, write_image, write_stripes


def opened(path: Path) -> Source:
    source = open_source(path)
    assert not isinstance(source, type) and hasattr(source, "items")
    return source  # type: ignore[return-value]


def test_items_stamps_and_bytes(tmp_path: Path) -> None:
    source = opened(write_stripes(tmp_path / "stripes", 3))
    assert source.name == "stripes"
    assert [item.name for item in source.items] == [
        f"{kind}/{n}.png" for kind in ("lying", "standing") for n in range(3)
    ]
    path = tmp_path / "stripes" / source.items[4].name
    assert source.read(4) == path.read_bytes()
    before = source.stamp(4)
    assert before == source.stamp(4) != source.stamp(3)
    write_image(path, noise(1, 9, 9))
    assert source.stamp(4) != before
    path.unlink()
    assert source.stamp(4) == ""
    with pytest.raises(ItemError, match=r"standing/1\.png: there is no such file") as caught:
        source.read(4)
    assert caught.value.problem.kind == items.MISSING


def test_a_corrupted_folder_is_listed_whole(tmp_path: Path) -> None:
    made = {entry.name: entry.kind for entry in write_corrupted(tmp_path / "photos")}
    source = opened(tmp_path / "photos")
    listed = [item.name for item in source.items] + [problem.name for problem in source.problems]
    assert sorted(listed) == sorted(made)
    assert {problem.name: problem.kind for problem in source.problems} == {
        name: kind for name, kind in made.items() if kind in (items.SPECIAL, items.LOOP, items.MISSING)
    }
    for index, item in enumerate(source.items):
        if made[item.name] == GOOD:
            assert source.read(index)


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    write_stripes(tmp_path / "store", 2)
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "lying").symlink_to(tmp_path / "store" / "lying")
    (photos / "standing").symlink_to(tmp_path / "store" / "standing")
    (photos / "upright").symlink_to(tmp_path / "store" / "standing")
    (photos / "all").symlink_to("/")
    source = opened(photos)
    assert Counter(item.label for item in source.items) == {"lying": 2, "standing": 2}
    assert {(problem.name, problem.kind) for problem in source.problems} == {
        ("upright", items.REPEATED), ("all", items.LOOP)}  # fmt: skip


def test_folders_that_link_to_each_other_come_to_an_end(tmp_path: Path) -> None:
    for one in "abcdefgh":
        write_image(tmp_path / one / "1.png", noise(0, 4, 4))
        for other in "abcdefgh":
            (tmp_path / one / f"to-{other}").symlink_to(f"../{other}")
    walk = FolderWalk(tmp_path)
    assert len(walk.files) < 8 * 9
    assert {"a/1.png", "h/1.png"} <= set(walk.files)


def test_ignored_files_are_not_images(tmp_path: Path) -> None:
    folder = write_stripes(tmp_path, 3)
    for name in ("lying/.DS_Store", "lying/Thumbs.db", "readme.txt", "lying/._0.png"):
        (folder / name).touch()
    (folder / ".cache").mkdir()
    assert len(opened(folder).items) == 6
    assert image_files(folder / "lying") == [folder / "lying" / f"{n}.png" for n in range(3)]


def test_too_many_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    os.truncate(tmp_path / "a.png", MAX_IMAGE_BYTES + 1)
    with pytest.raises(ItemError, match=r"^a has 128 MiB; images of up to 128 MiB are read, so make it smaller first$"):
        read_file(tmp_path / "a.png", "a")


def test_what_is_no_file_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, text in (
        (tmp_path / "pipe", "x is a pipe"),
        (Path("/dev/zero"), "x is a device"),
        (tmp_path, "x is a folder"),
    ):
        with pytest.raises(ItemError, match=f"^{text}, not an image$"):
            read_file(path, "x")


def test_forbidden_folders_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so that the system's refusal is played."""
    write_stripes(tmp_path / "photos", 1)
    scandir = os.scandir

    def refusing(path: Path) -> object:
        if Path(path).name == forbidden:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    forbidden = "standing"
    source = opened(tmp_path / "photos")
    assert [(problem.name, problem.kind) for problem in source.problems] == [("standing/", items.FORBIDDEN)]
    forbidden = "photos"
    with pytest.raises(DataError, match="photos: reading this folder is not permitted; change its permissions"):
        open_source(tmp_path / "photos")

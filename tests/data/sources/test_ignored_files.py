"""What systems and programs leave among images: passed over everywhere, and mentioned once."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsin.base.errors import DataError
from opsin.data import load
from opsin.data.sources import image_files
from opsin.data.sources.ignored_files import IgnoredFiles
from tests.data.files import PLACES, class_entries, png, write_entries

LEFT = [
    "cat/@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg", "@eaDir/x.png", "cat/0.png@SynoEAStream", "#recycle/cat/1.png",
    "#snapshot/cat/1.png", "cat/@Recycle/1.png", "cat/.@__thumb/1.png", "@Recently-Snapshot/1.png",
    "$RECYCLE.BIN/S-1/1.png", "System Volume Information/1.png", "cat/Thumbs.db", "dog/ehthumbs.db",
    "dog/desktop.ini", "dog/.picasa.ini", "dog/Picasa.ini", "lost+found/1.png", ".Trash-1000/files/1.png",
    "cat/.thumbnails/1.png", ".git/objects/1.png", "cat/.ipynb_checkpoints/0-checkpoint.png", ".AppleDouble/1.png",
    "__MACOSX/cat/._0.png", "cat/._0.png", ".DS_Store", "cat/.DS_Store", "Network Trash Folder/1.png",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", LEFT)
def test_each_is_ignored(tmp_path: Path, place: str, name: str) -> None:
    data = load(write_entries(tmp_path, place, class_entries() | {name: png(999)}), cache_size=0)
    assert data.receipt is not None
    assert data.receipt.totals == {"cat": 3, "dog": 3}
    assert not data.receipt.problems
    assert len(data.receipt.notes) == 1
    assert data.receipt.notes[0].startswith("Ignored, because they are hidden or left by other programs: ")


@pytest.mark.parametrize("place", PLACES)
def test_it_is_mentioned_once(tmp_path: Path, place: str) -> None:
    thumbnails = {f"{c}/@eaDir/{n}.png/SYNOPHOTO_THUMB_M.jpg": png(500 + n) for c in ("cat", "dog") for n in range(3)}
    doubles = {f"cat/._{n}.png": b"x" for n in range(3)}
    entries = class_entries() | thumbnails | doubles | {"cat/Thumbs.db": b"x"}
    data = load(write_entries(tmp_path, place, entries), cache_size=0)
    assert data.receipt is not None
    text = data.receipt.text()
    assert "\nIgnored, because they are hidden or left by other programs: 3 × ._*, 2 × @eaDir, Thumbs.db.\n" in text
    assert text.count("@eaDir") == 1
    assert data.receipt.to_data()["notes"] == data.receipt.notes


def test_folders_to_predict_have_none_either(tmp_path: Path) -> None:
    folder = write_entries(tmp_path, "folder", class_entries() | dict.fromkeys(LEFT, b"x"))
    assert len(image_files(folder)) == 6


@pytest.mark.parametrize("place", PLACES)
def test_where_nothing_else_is_there_it_is_said(tmp_path: Path, place: str) -> None:
    path = write_entries(tmp_path, place, class_entries(".data/{}/{}.png"))
    with pytest.raises(DataError, match=r"\nIgnored, because they are hidden or left by other programs: \.data\.$"):
        load(path)


def test_many_kinds_are_cut_short_and_odd_names_stay_on_a_line() -> None:
    litter = IgnoredFiles()
    for number in range(20):
        litter.add("", f".a{number:02}\n")
    assert litter.note().startswith("Ignored, because they are hidden or left by other programs: .a00\\n, .a01\\n, ")
    assert litter.note().endswith(".a15\\n, ….")
    assert IgnoredFiles().note() == ""

"""The names in archives as programs write them: separators, roots, code pages, and what climbs out."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import pytest

from opsin.base.errors import DataError
from opsin.data import items, load
from opsin.data.items import Source
from opsin.data.sources import open_source
from opsin.data.sources.names import normalized
from tests.data.files import class_entries, png, write_entries

ARCHIVES = ("zip", "tar")


def opened(path: Path) -> Source:
    source = open_source(path)
    assert hasattr(source, "items")
    return source  # type: ignore[return-value]


def counts(path: Path) -> dict[str, int]:
    return dict(Counter(item.label for item in opened(path).items))


@pytest.mark.parametrize("place", ARCHIVES)
@pytest.mark.parametrize("pattern", [
    "photos\\{}\\{}.png", "{}\\{}.png", "photos\\{}/{}.png", "photos/{}\\{}.png", "./photos/{}/{}.png",
    ".\\photos\\{}\\{}.png", "C:\\Users\\me\\photos\\{}\\{}.png", "d:/photos/{}/{}.png", "/home/me/{}/{}.png",
    "\\\\server\\share\\{}\\{}.png", "\\\\?\\C:\\photos\\{}\\{}.png", "photos//{}//{}.png", "a/../{}/{}.png",
])  # fmt: skip
def test_separators_and_roots(tmp_path: Path, place: str, pattern: str) -> None:
    path = write_entries(tmp_path, place, class_entries(pattern))
    assert counts(path) == {"cat": 3, "dog": 3}
    source = opened(path)
    assert {source.read(n) for n in range(6)} == set(class_entries().values())
    assert all("\\" not in item.name for item in source.items)
    assert not source.problems


@pytest.mark.parametrize("place", ARCHIVES)
def test_splits_by_backslashes(tmp_path: Path, place: str) -> None:
    entries = class_entries("set\\train\\{}\\{}.png") | class_entries("set\\test\\{}\\{}.png")
    source = opened(write_entries(tmp_path, place, entries))
    assert Counter(item.split for item in source.items) == {"train": 6, "test": 6}


def test_folders_of_backslashes_are_no_files(tmp_path: Path) -> None:
    entries = {"photos\\": b"", "photos\\bird\\": b"", **class_entries("photos\\{}\\{}.png")}
    for place in ARCHIVES:
        data = load(write_entries(tmp_path, place, entries), cache_size=0)
        assert data.receipt is not None
        assert (data.classes, data.receipt.empty_classes, data.receipt.problems) == (("cat", "dog"), ("bird",), ())


def test_a_folder_into_which_backslashes_were_unpacked_as_names(tmp_path: Path) -> None:
    path = write_entries(tmp_path, "folder", class_entries("photos\\{}\\{}.png"))
    assert len(list(path.iterdir())) == 6
    assert counts(path) == {"cat": 3, "dog": 3}


@pytest.mark.parametrize("place", ARCHIVES)
def test_paths_that_lead_out_are_refused(tmp_path: Path, place: str) -> None:
    entries = class_entries() | {"../../etc/cat/9.png": png(1), "..\\dog\\9.png": png(2), "cat/../../x/1.png": png(3)}
    source = opened(write_entries(tmp_path, place, entries))
    assert len(source.items) == 6
    assert [(problem.name, problem.reason, problem.kind) for problem in source.problems] == [
        (f"data.{place}/{name}", "its path leads out of the archive", items.SPECIAL)
        for name in ("../../etc/cat/9.png", "..\\\\dog\\\\9.png", "cat/../../x/1.png")
    ]
    only = write_entries(tmp_path / "only", place, class_entries("../{}/{}.png"))
    with pytest.raises(DataError, match=rf"data\.{place}/\.\./cat/0\.png: its path leads out of the archive"):
        open_source(only)


@pytest.mark.parametrize("place", ARCHIVES)
def test_one_path_written_in_two_ways(tmp_path: Path, place: str) -> None:
    entries = class_entries() | {"cat\\1.png": b"later"}
    source = opened(write_entries(tmp_path, place, entries))
    assert len(source.items) == 6
    assert source.read(1) == b"later"
    assert list(source.notes) == [  # type: ignore[attr-defined]
        "1 × a path that the archive holds several times; the last file counts."
    ]


def test_cleaned_paths() -> None:
    for written, path in {
        "a/b": "a/b", "a.b/.c": "a.b/.c", "a/": "a", "./": ".", "": ".", "a/./b": "a/b", "C:x": "C:x", "C:/": ".",
        "..": None, "a/../..": None, "..\\a": None, "..a/b": "..a/b",
    }.items():  # fmt: skip
        assert normalized(written) == path, written


# -- letters -----------------------------------------------------------------------------------


def coded(path: Path, encoding: str, names: list[str], extra: bool = False) -> Path:
    """A zip whose names are in a code page and said to be nothing; `extra` tells them in Info-ZIP's field, too."""
    raw = [name.encode(encoding) for name in names]
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(raw):
            info = zipfile.ZipInfo("x")
            info.filename = f"{number:02}".ljust(len(name), "#")
            if extra:
                body = b"\1" + struct.pack("<I", zlib.crc32(name)) + names[number].encode()
                info.extra = struct.pack("<HH", 0x7075, len(body)) + body
            archive.writestr(info, png(number))
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 30), (b"PK\1\2", 46)):
        at = 0
        for name in raw:
            at = data.index(signature, at) + offset
            data[at : at + len(name)] = name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("separator", ["/", "\\"])
@pytest.mark.parametrize(("encoding", "classes", "words"), [
    ("cp932", ("表", "ソース"), "Shift-JIS"), ("cp932", ("犬", "猫1"), "Shift-JIS"), ("utf-8", ("表", "猫"), ""),
    ("cp866", ("кошка", "собака"), "cp866"), ("gb2312", ("狗", "猫"), "GB 2312"), ("cp437", ("Küche", "Öl"), ""),
    ("cp437", ("España", "Größe"), ""), ("cp437", ("café", "thé"), ""),
])  # fmt: skip
def test_code_pages(tmp_path: Path, encoding: str, classes: tuple[str, str], words: str, separator: str) -> None:
    """Shift-JIS has letters whose second byte is a backslash, such as 表 and ソ."""
    names = [f"{name}{separator}{number}.png" for name in classes for number in range(3)]
    path = coded(tmp_path / "a.zip", encoding, names)
    assert counts(path) == dict.fromkeys(classes, 3)
    source = opened(path)
    actual = {item.name.removeprefix("a.zip/"): source.read(n) for n, item in enumerate(source.items)}
    assert actual == {name.replace("\\", "/"): png(number) for number, name in enumerate(names)}
    said = [f"The zip does not say how its names are encoded; they are read as {words}."] if words else []
    assert list(source.notes) == said  # type: ignore[attr-defined]


def test_names_in_the_extra_field(tmp_path: Path) -> None:
    names = [f"{name}\\{number}.png" for name in ("고양이", "개") for number in range(3)]
    assert counts(coded(tmp_path / "a.zip", "cp949", names, extra=True)) == {"고양이": 3, "개": 3}


def test_an_archive_that_is_locked(tmp_path: Path) -> None:
    path = write_entries(tmp_path, "zip", class_entries())
    data, at = bytearray(path.read_bytes()), 0
    while (at := data.find(b"PK\1\2", at + 1)) >= 0:
        data[at + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"6 of its files .* data\.zip/cat/0\.png: encrypted"):
        load(path, cache_size=0)


def test_a_zip_of_more_than_four_gigabytes_by_its_headers(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, data in class_entries("photos\\{}\\{}.png").items():
            info = zipfile.ZipInfo("x")
            info.filename = name
            with archive.open(info, "w", force_zip64=True) as member:
                member.write(data)
    assert counts(tmp_path / "a.zip") == {"cat": 3, "dog": 3}
    assert opened(tmp_path / "a.zip").read(0) == png(0)

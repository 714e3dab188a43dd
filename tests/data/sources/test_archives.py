"""Zips and tars, read in place: class folders, tables, and what can be wrong with an archive."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from opsin.base.errors import DataError
from opsin.data import items
from opsin.data.items import ItemError
from opsin.data.sources import open_source, tars
from tests.data.files import noise, write_image, write_stripes

PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def zipped(folder: Path, path: Path, root: str = "", compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for inside in sorted(folder.rglob("*")):
            file.write(inside, root + inside.relative_to(folder).as_posix())
    return path


def tarred(folder: Path, path: Path, root: str = "") -> Path:
    with tarfile.open(path, "w") as file:
        for inside in sorted(folder.rglob("*")):
            file.add(inside, root + inside.relative_to(folder).as_posix(), recursive=False)
    return path


def packed(folder: Path, kind: str) -> Path:
    if kind == "zip":
        return zipped(folder, folder.with_suffix(".zip"))
    path = tarred(folder, folder.with_suffix(".tar"))
    if kind != "tar":
        path = path.with_suffix(f".tar.{kind}")
        path.write_bytes(PACKERS[kind](path.with_suffix("").read_bytes()))
    return path


KINDS = ("zip", "tar", *PACKERS)


@pytest.mark.parametrize("kind", KINDS)
def test_class_folders_in_an_archive(tmp_path: Path, kind: str) -> None:
    folder = write_stripes(tmp_path / "photos", 3)
    (folder / "lying" / ".hidden").touch()
    path = packed(folder, kind)
    before = path.stat()
    source = open_source(path)
    assert source.name == "photos"
    assert [(item.name, item.label, item.split) for item in source.items] == [
        (f"{path.name}/{kind}/{n}.png", kind, "") for kind in ("lying", "standing") for n in range(3)
    ]
    with ThreadPoolExecutor(4) as pool:
        actual = list(pool.map(source.read, [5, 0, 3, 1] * 20))
    expected = [(folder / source.items[n].name.removeprefix(path.name + "/")).read_bytes() for n in (5, 0, 3, 1)]
    assert actual == expected * 20
    assert len({source.stamp(n) for n in range(6)}) == 6
    assert [open_source(path).stamp(n) for n in range(6)] == [source.stamp(n) for n in range(6)]
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (before.st_mtime_ns, before.st_size)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(
        {"photos", path.name, *(["photos.tar"] if kind in PACKERS else [])}
    )


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_splits_and_a_folder_around_them(tmp_path: Path, kind: str) -> None:
    for part, count in (("train", 3), ("val", 2), ("test", 1)):
        write_stripes(tmp_path / "in" / "photos" / part, count)
    source = open_source(packed(tmp_path / "in", kind))
    assert [sum(item.split == part for item in source.items) for part in items.SPLITS] == [6, 4, 2]


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_table_in_an_archive(tmp_path: Path, kind: str) -> None:
    for n in range(4):
        write_image(tmp_path / "in" / "data" / "images" / f"{n}.png", noise(n, 4, 4))
    lines = [f"images/{n}.png,{'xy'[n % 2]}" for n in range(5)]
    (tmp_path / "in" / "data" / "labels.csv").write_text("\n".join(["path,label", *lines]))
    path = packed(tmp_path / "in", kind)
    source = open_source(path)
    assert [(item.name, item.label) for item in source.items] == [
        (f"{path.name}/images/{n}.png", "xy"[n % 2]) for n in range(4)
    ]
    assert source.read(3) == (tmp_path / "in" / "data" / "images" / "3.png").read_bytes()
    assert [(problem.name, problem.kind) for problem in source.problems] == [
        (f"{path.name}/images/4.png", items.MISSING)
    ]


def test_names_that_are_unicode_without_saying_so(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for kind in ("кошка", "собака"):
            info = zipfile.ZipInfo("x")
            info.filename = f"{kind}/1.png"
            file.writestr(info, b"x")
    data = (tmp_path / "a.zip").read_bytes()
    for at in (6, data.index(b"PK\1\2") + 8):  # the flag of the first member, here and in the directory
        assert data[at + 1] & 8
        data = data[: at + 1] + bytes([data[at + 1] & ~8]) + data[at + 2 :]
    (tmp_path / "a.zip").write_bytes(data)
    assert {item.label for item in open_source(tmp_path / "a.zip").items} == {"кошка", "собака"}


def test_damaged_members_of_a_zip(tmp_path: Path) -> None:
    path = zipped(write_stripes(tmp_path / "photos", 2), tmp_path / "a.zip", compression=zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 9] ^= 0xFF  # in the first image
    path.write_bytes(data)
    source = open_source(path)
    with pytest.raises(ItemError, match=r"^a\.zip/lying/0\.png is damaged in the archive \(Bad CRC-32") as caught:
        source.read(0)
    assert caught.value.problem.kind == items.DAMAGED
    assert source.read(1)


def test_locked_and_overlarge_members_of_a_zip(tmp_path: Path) -> None:
    path = zipped(write_stripes(tmp_path / "photos", 1), tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("lying/bomb.png", bytes(2**27 + 1), compresslevel=1)
        link = zipfile.ZipInfo("lying/link.png")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "0.png")
    source = open_source(path)
    assert [(problem.name, problem.kind) for problem in source.problems] == [("a.zip/lying/link.png", items.SPECIAL)]
    place = next(n for n, item in enumerate(source.items) if item.name.endswith("bomb.png"))
    with pytest.raises(ItemError, match="has 128 MiB; images of up to 128 MiB are read") as caught:
        source.read(place)
    assert caught.value.problem.kind == items.TOO_LARGE

    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    data[data.index(b"PK\1\2", data.index(b"PK\1\2") + 1) + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(ItemError, match="is encrypted; create the archive again without a password") as caught:
        open_source(path).read(0)
    assert caught.value.problem.kind == items.FORBIDDEN


def test_links_and_special_members_of_a_tar(tmp_path: Path) -> None:
    path = tarred(write_stripes(tmp_path / "photos", 1), tmp_path / "a.tar")
    with tarfile.open(path, "a") as file:
        for name, kind, target in (
            ("lying/soft.png", tarfile.SYMTYPE, "../standing/0.png"),
            ("lying/hard.png", tarfile.LNKTYPE, "lying/0.png"), ("lying/gone.png", tarfile.SYMTYPE, "nowhere.png"),
            ("lying/a.png", tarfile.SYMTYPE, "b.png"),
            ("lying/b.png", tarfile.SYMTYPE, "a.png"), ("lying/pipe.png", tarfile.FIFOTYPE, ""),
        ):  # fmt: skip
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            file.addfile(member)
    source = open_source(path)
    read = {item.name.removeprefix("a.tar/"): source.read(n) for n, item in enumerate(source.items)}
    assert read["lying/soft.png"] == read["standing/0.png"]
    assert read["lying/hard.png"] == read["lying/0.png"]
    assert {(problem.name.removeprefix("a.tar/"), problem.kind) for problem in source.problems} == {
        ("lying/gone.png", items.MISSING), ("lying/a.png", items.LOOP), ("lying/b.png", items.LOOP),
        ("lying/pipe.png", items.SPECIAL),
    }  # fmt: skip


def test_a_tar_cut_short(tmp_path: Path) -> None:
    path = tarred(write_stripes(tmp_path / "photos", 3), tmp_path / "a.tar")
    whole = path.read_bytes()
    last = whole.rindex(b"standing/2.png")
    path.write_bytes(whole[: last + 512 + 100])
    source = open_source(path)
    assert len(source.items) == 5
    assert {problem.kind for problem in source.problems} == {items.DAMAGED}
    assert "a.tar/standing/2.png" in {problem.name for problem in source.problems}
    os.truncate(path, whole.rindex(b"IEND", 0, last))
    with pytest.raises(ItemError, match=r"is cut short, as .*a\.tar has become shorter; fetch the archive again"):
        source.read(4)


@pytest.mark.parametrize("kind", PACKERS)
def test_compressed_tars_that_are_damaged(tmp_path: Path, kind: str) -> None:
    path = packed(write_stripes(tmp_path / "photos", 2), kind)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(
        DataError, match=rf"photos\.tar\.{kind} is damaged or cut short \(.*\); fetch the archive again"
    ):
        open_source(path)
    path.write_bytes(PACKERS[kind](b"no tar" * 500))
    with pytest.raises(DataError, match="is not a tar, or damaged"):
        open_source(path)


def test_compressed_tars_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(write_stripes(tmp_path / "photos", 2), "gz")
    monkeypatch.setattr(tars, "MAX_UNPACKED_BYTES", 4096)
    monkeypatch.setattr(tars, "COPY_BYTES", 1024)
    with pytest.raises(
        DataError, match=r"photos\.tar\.gz has more than 0\.0 GiB decompressed, too much for a temporary file"
    ):
        open_source(path)


def test_damaged_zips_and_empty_ones(tmp_path: Path) -> None:
    path = zipped(write_stripes(tmp_path / "photos", 2), tmp_path / "a.zip")
    data = path.read_bytes()
    path.write_bytes(data[:-30])
    with pytest.raises(DataError, match=r"a\.zip is damaged or cut short \(.*\); fetch the zip again"):
        open_source(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "nothing")
    with pytest.raises(DataError, match="holds no images in class folders and no table of them; put each class's"):
        open_source(path)


def test_the_last_of_two_members_of_one_name_counts(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name, data in (("x/1.png", b"old"), ("y/1.png", b"other"), ("x/1.png", b"new")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    (tmp_path / "a.tar").write_bytes(buffer.getvalue())
    source = open_source(tmp_path / "a.tar")
    assert [source.read(n) for n in range(2)] == [b"new", b"other"]

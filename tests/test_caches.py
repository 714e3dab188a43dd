"""The sizes of caches, on each system."""

from __future__ import annotations

import ctypes
import struct
import sys
from pathlib import Path

import pytest

from opsin.base.caches import CacheSizes, Record, cache_sizes, data_caches

LINUX = {"index0": ("1", "Data", "48K"), "index1": ("1", "Instruction", "32K"), "index2": ("2", "Unified", "2048K"),
         "index3": ("3", "Unified", "260M")}  # fmt: skip


def write_sysfs(root: Path, caches: dict[str, tuple[str, str, str]]) -> None:
    for index, texts in caches.items():
        folder = root / "sys/devices/system/cpu/cpu0/cache" / index
        folder.mkdir(parents=True)
        for name, text in zip(("level", "type", "size"), texts, strict=True):
            (folder / name).write_text(text + "\n")


def test_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache_sizes(tmp_path) == CacheSizes()
    write_sysfs(tmp_path, LINUX)
    sizes = cache_sizes(tmp_path)
    assert sizes == CacheSizes(48 * 2**10, 2 * 2**20, 260 * 2**20)
    assert str(sizes) == "L1d 48 KiB, L2 2 MiB, L3 260 MiB"


def test_caches_that_are_hidden_or_not_numbers_are_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    write_sysfs(tmp_path, {"index0": ("1", "Data", "32K"), "index2": ("2", "Unified", "many")})
    (tmp_path / "sys/devices/system/cpu/cpu0/cache/index3").mkdir()
    assert cache_sizes(tmp_path) == CacheSizes(32 * 2**10)
    assert str(CacheSizes()) == "caches unknown"


def test_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {b"hw.perflevel0.l1dcachesize": 128 * 2**10, b"hw.l1dcachesize": 64 * 2**10, b"hw.l2cachesize": 4 * 2**20}

    class Library:
        def __init__(self, name: None) -> None:
            pass

        @staticmethod
        def sysctlbyname(name: bytes, value: object, length: object, new: None, new_length: int) -> int:
            if name not in known:
                return -1
            value._obj.value = known[name]  # type: ignore[attr-defined]
            return 0

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", Library)
    assert cache_sizes() == CacheSizes(128 * 2**10, 4 * 2**20, None)


@pytest.mark.skipif(struct.calcsize("P") != 8, reason="the records are those of 64-bit Windows")
def test_windows_records() -> None:
    caches = [(2, 1, 8, 64, 32768, 1), (2, 1, 8, 64, 49152, 2), (2, 2, 16, 64, 2**21, 0), (0, 0, 0, 0, 0, 0)]
    data = b"".join(struct.pack("<Qi4xBBHIi4x", 1, *fields) for fields in caches)
    records = (Record * len(caches)).from_buffer_copy(data)
    assert list(data_caches(records)) == [(1, 49152), (2, 2**21)]


def test_this_machine() -> None:
    assert all(size is None or size >= 2**12 for size in vars(cache_sizes()).values())

"""The sizes of the processor's data caches, as the operating system tells them. Containers may hide them."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}
SYSCTL_NAMES = ("hw.l1dcachesize", "hw.l2cachesize", "hw.l3cachesize")
"""Names of macOS; `hw.perflevel0.…` are those of the fast cores, where there are two kinds."""
RELATION_CACHE, INSTRUCTION = 2, 1
"""Numbers of Windows: the kind of a record, and the type of a cache that holds no data."""


@dataclass(frozen=True)
class CacheSizes:
    """Bytes of the first processor's L1 data cache, L2 and L3; None where the size is unknown or there is no cache.

    L3 is shared by several cores, L2 on some processors.
    """

    l1d: int | None = None
    l2: int | None = None
    l3: int | None = None

    def __str__(self) -> str:
        sizes = zip(("L1d", "L2", "L3"), astuple(self), strict=True)
        return ", ".join(f"{name} {_size(size)}" for name, size in sizes if size) or "caches unknown"


def cache_sizes(root: Path = Path("/")) -> CacheSizes:
    """Return the sizes of caches; `root` contains Linux's /sys."""
    systems = {"darwin": _from_sysctl, "win32": _from_windows}
    sizes: dict[int, int] = {}
    for level, size in systems[sys.platform]() if sys.platform in systems else _from_sysfs(root):
        sizes.setdefault(level, size)
    return CacheSizes(*(sizes.get(level) for level in (1, 2, 3)))


def _size(size: int) -> str:
    return f"{size / 2**20:g} MiB" if size >= 2**20 else f"{size / 2**10:g} KiB"


def _from_sysfs(root: Path) -> Iterator[tuple[int, int]]:
    """Yield (level, bytes) from Linux's description of processor 0."""
    for folder in sorted((root / "sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
            if kind != "Instruction":
                yield int(level), int(size.rstrip("KMG")) * UNITS.get(size[-1:], 1)
        except (OSError, ValueError):
            continue


def _from_sysctl() -> Iterator[tuple[int, int]]:
    """Yield (level, bytes) from macOS."""
    sysctl = ctypes.CDLL(None).sysctlbyname
    for level, name in enumerate(SYSCTL_NAMES, 1):
        for prefix in ("hw.perflevel0.", "hw."):
            value, length = ctypes.c_int64(), ctypes.c_size_t(8)
            path = (prefix + name.removeprefix("hw.")).encode()
            if not sysctl(path, ctypes.byref(value), ctypes.byref(length), None, 0) and value.value > 0:
                yield level, value.value
                break


class _Cache(ctypes.Structure):
    """CACHE_DESCRIPTOR of Windows."""

    _fields_ = (
        ("level", ctypes.c_ubyte), ("associativity", ctypes.c_ubyte), ("line", ctypes.c_uint16),
        ("size", ctypes.c_uint32), ("type", ctypes.c_int32),
    )  # fmt: skip


class _Details(ctypes.Union):
    """What a record says about a cache, in the size of all kinds of records."""

    _fields_ = (("cache", _Cache), ("reserved", ctypes.c_uint64 * 2))


class Record(ctypes.Structure):
    """SYSTEM_LOGICAL_PROCESSOR_INFORMATION of Windows."""

    _fields_ = (("mask", ctypes.c_size_t), ("relation", ctypes.c_int32), ("details", _Details))


def _from_windows() -> Iterator[tuple[int, int]]:
    """Yield (level, bytes) of each cache from Windows, those of processor 0 first."""
    query = ctypes.WinDLL("kernel32").GetLogicalProcessorInformation  # type: ignore[attr-defined,unused-ignore]
    length = ctypes.c_uint32()
    query(None, ctypes.byref(length))
    records = (Record * (length.value // ctypes.sizeof(Record)))()
    if query(records, ctypes.byref(length)):
        yield from data_caches(records)


def data_caches(records: Iterable[Record]) -> Iterator[tuple[int, int]]:
    """Yield (level, bytes) of the caches in Windows' records that hold data."""
    for record in records:
        cache = record.details.cache
        if record.relation == RELATION_CACHE and cache.type != INSTRUCTION:
            yield cache.level, cache.size

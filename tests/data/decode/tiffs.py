"""Writes small TIFF files of every kind, byte by byte, as Pillow writes few of them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

GREY, RGB = 1, 2
DEFLATE = 8


def tiff(
    values: NDArray[Any],
    photometric: int = GREY,
    extra: tuple[int, ...] = (),
    *,
    order: str = "<",
    compression: int = 1,
    predictor: int = 1,
    planar: bool = False,
    rows: int | None = None,
    tile: int | None = None,
    big: bool = False,
    bits: int | None = None,
    **fields: Any,
) -> bytes:
    """`values` H×W×bands in their own type; `bits` packs whole numbers. `fields` t320=(…) add or replace tags."""
    height, width, bands = values.shape
    kind = {"u": 1, "i": 2, "f": 3}.get(values.dtype.kind, 6)
    depth = bits or 8 * values.dtype.itemsize
    planes = np.moveaxis(values, 2, 0)[..., None] if planar else values[None]
    blocks = [block for plane in planes for block in _blocks(plane, rows or height, tile)]
    chunks = [_packed(block, order, predictor, bits) for block in blocks]
    if compression == DEFLATE:
        chunks = [zlib.compress(chunk) for chunk in chunks]
    head = 16 if big else 8
    offsets = [head + sum(len(chunk) for chunk in chunks[:number]) for number in range(len(chunks))]
    sizes = [len(chunk) for chunk in chunks]
    tags: dict[int, tuple[int, ...]] = {
        256: (width,), 257: (height,), 258: (depth,) * bands, 259: (compression,), 262: (photometric,), 277: (bands,),
        284: (2 if planar else 1,), 317: (predictor,), 339: (kind,) * bands,
    }  # fmt: skip
    if tile:
        tags |= {322: (tile,), 323: (tile,), 324: tuple(offsets), 325: tuple(sizes)}
    else:
        tags |= {273: tuple(offsets), 278: (rows or height,), 279: tuple(sizes)}
    if extra:
        tags[338] = extra
    tags |= {int(name[1:]): value for name, value in fields.items()}
    tags = {tag: value for tag, value in tags.items() if value}
    data = b"".join(chunks)
    mark = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}H", 43 if big else 42)
    place = head + len(data)
    begin = struct.pack(f"{order}2HQ", 8, 0, place) if big else struct.pack(f"{order}I", place)
    return mark + begin + data + _directory(tags, place, order, big)


def _blocks(plane: NDArray[Any], rows: int, tile: int | None) -> Iterator[NDArray[Any]]:
    height, width, bands = plane.shape
    if tile is None:
        yield from (plane[top : top + rows] for top in range(0, height, rows))
        return
    full = np.zeros((-(-height // tile) * tile, -(-width // tile) * tile, bands), plane.dtype)
    full[:height, :width] = plane
    for top in range(0, height, tile):
        yield from (full[top : top + tile, left : left + tile] for left in range(0, width, tile))


def _packed(block: NDArray[Any], order: str, predictor: int, bits: int | None) -> bytes:
    height, width, bands = block.shape
    if bits:
        numbers = block.reshape(height, -1, 1).astype(np.uint64)
        ones = (numbers >> np.arange(bits - 1, -1, -1, dtype=np.uint64)) & np.uint64(1)
        return np.packbits(ones.astype(np.uint8).reshape(height, -1), axis=1).tobytes()
    if predictor == 2:
        whole = block.view(f"u{block.dtype.itemsize}")
        differences = whole.copy()
        differences[:, 1:] -= whole[:, :-1]
        return differences.astype(f"{order}u{block.dtype.itemsize}").tobytes()
    if predictor == 3:
        size = block.dtype.itemsize
        apart = block.astype(f">f{size}").view(np.uint8).reshape(height, width * bands, size).transpose(0, 2, 1)
        flat = np.ascontiguousarray(apart).reshape(height, -1)
        differences = flat.copy()
        differences[:, bands:] -= flat[:, :-bands]
        return differences.tobytes()
    return block.astype(block.dtype.newbyteorder(order)).tobytes()


def _directory(tags: dict[int, tuple[int, ...]], place: int, order: str, big: bool) -> bytes:
    """Return entries of 32-bit numbers, followed by the values that do not fit into an entry."""
    count, word, size = ("Q", "Q", 20) if big else ("H", "I", 12)
    table = struct.pack(order + count, len(tags))
    behind, end = b"", place + len(table) + size * len(tags) + struct.calcsize("=" + word)
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        capacity = struct.calcsize("=" + word)
        if len(packed) > capacity:
            packed, behind = struct.pack(order + word, end + len(behind)), behind + packed
        table += struct.pack(f"{order}2H{word}", tag, 4, len(values)) + packed.ljust(capacity, b"\0")
    return table + struct.pack(order + word, 0) + behind

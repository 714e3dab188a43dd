"""The numbers of a TIFF that Pillow has no mode for: many bands, fractions, and more than eight bits a channel.

libtiff unpacks the bytes, through Pillow, as those of a grey image that is so many times as wide; what they mean is
decided here. JPEG's kinds of compression are not of bytes, and left to Pillow.
"""

from __future__ import annotations

import struct
from io import BytesIO
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import TiffImageFile

from opsin.data.decode import tiff
from opsin.data.decode.bit_depth import Samples
from opsin.data.decode.tiff import TiffLayout

REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
BLOCK_VALUES = 2**22


class UnsupportedImage(Exception):
    """The file is sound, but of a kind that is not read; the text is the kind."""


def samples(data: bytes, form: TiffLayout) -> Samples:
    """The image of a TIFF of grey or RGB, not yet turned. Any error of Python's where the file is damaged."""
    values = numbers(data, form)
    if form.photometric == tiff.WHITE_IS_ZERO:
        values = _negative(values, form)
    colours = form.colours
    kind = next((at for at, what in enumerate(form.extra) if what in (tiff.ASSOCIATED, tiff.UNASSOCIATED)), None)
    if kind is None and not form.extra and form.bands == colours + 1:
        kind = 0
        return Samples(values[..., :colours], values[..., colours])
    if kind is None:
        return Samples(values[..., :colours])
    return Samples(values[..., :colours], values[..., colours + kind], form.extra[kind] == tiff.ASSOCIATED)


def _negative(values: NDArray[Any], form: TiffLayout) -> NDArray[Any]:
    """Where 0 is white: the largest number that there can be, minus each."""
    if values.dtype.kind != "u":
        return values
    made = values.copy()
    made[..., 0] = 2**form.bits - 1 - made[..., 0]
    return made


def numbers(data: bytes, form: TiffLayout) -> NDArray[Any]:
    """H×W×bands, as the file has them."""
    to_planes = form.bands if form.planar else 1
    across = form.bands // to_planes
    made = [_plane(data, form, plane, to_planes, across) for plane in range(to_planes)]
    return np.concatenate(made, axis=2) if to_planes > 1 else made[0]


def _plane(data: bytes, form: TiffLayout, plane: int, to_planes: int, across: int) -> NDArray[Any]:
    tiled = tiff.TILE_OFFSETS in form.tags
    width = form.first(tiff.TILE_WIDTH, 0) if tiled else form.width
    rows = form.first(tiff.TILE_LENGTH, 0) if tiled else min(form.first(tiff.STRIP_ROWS, form.height), form.height)
    if min(width, rows) < 1 or width > 4 * form.width + 1024 or rows > 4 * form.height + 1024:
        raise ValueError("strips or tiles of no possible size")
    columns, lines = ceil(form.width / width), ceil(form.height / rows)
    offsets, sizes = (
        form.tags[tag]
        for tag in ((tiff.TILE_OFFSETS, tiff.TILE_BYTES) if tiled else (tiff.STRIP_OFFSETS, tiff.STRIP_BYTES))
    )
    count = columns * lines
    offsets, sizes = offsets[plane * count : (plane + 1) * count], sizes[plane * count : (plane + 1) * count]
    if len(offsets) < count or len(sizes) < count:
        raise ValueError("truncated list of strips or tiles")
    stride = ceil(width * across * form.bits / 8)
    height = lines * rows if tiled else form.height
    if form.compression == 1:
        raw = _uncompressed(data, form, offsets, stride, rows, columns, height)
    else:
        raw = _decompress(
            data, form, offsets, sizes, (columns * stride, height), (stride, rows) if tiled else None, rows
        )
    blocks = [_to_numbers(raw[:, at * stride : (at + 1) * stride], form, width, across) for at in range(columns)]
    whole = np.concatenate(blocks, axis=1) if columns > 1 else blocks[0]
    return whole[: form.height, : form.width]


def _uncompressed(
    data: bytes, form: TiffLayout, offsets: tuple[int, ...], stride: int, rows: int, columns: int, height: int
) -> NDArray[np.uint8]:
    """Bytes that are not compressed: rows of `columns` blocks of `stride` bytes."""
    made = np.empty((height, columns * stride), np.uint8)
    for number, offset in enumerate(offsets):
        top, left = number // columns * rows, number % columns * stride
        lines = min(rows, height - top)
        block = data[offset : offset + lines * stride]
        if len(block) < lines * stride:
            raise EOFError("truncated strip or tile")
        if form.first(tiff.FILL_ORDER, 1) == 2:
            block = block.translate(REVERSED_BITS)
        made[top : top + lines, left : left + stride] = np.frombuffer(block, np.uint8).reshape(lines, stride)
    return made


def _decompress(
    data: bytes, form: TiffLayout, offsets: tuple[int, ...], sizes: tuple[int, ...], size: tuple[int, int],
    tile: tuple[int, int] | None, rows: int,
) -> NDArray[np.uint8]:  # fmt: skip
    """Bytes that libtiff has unpacked, as the pixels of a grey image of `size` (width, height)."""
    fields: list[tuple[int, tuple[int, ...]]] = [
        (tiff.WIDTH, (size[0],)), (tiff.LENGTH, (size[1],)), (tiff.BITS, (8,)), (tiff.COMPRESSION, (form.compression,)),
        (tiff.PHOTOMETRIC, (tiff.BLACK_IS_ZERO,)), (tiff.BANDS, (1,)),
        (tiff.FILL_ORDER, (form.first(tiff.FILL_ORDER, 1),)),
    ]  # fmt: skip
    if tile:
        fields += [
            (tiff.TILE_WIDTH, tile[:1]),
            (tiff.TILE_LENGTH, tile[1:]),
            (tiff.TILE_OFFSETS, offsets),
            (tiff.TILE_BYTES, sizes),
        ]
    else:
        fields += [(tiff.STRIP_OFFSETS, offsets), (tiff.STRIP_ROWS, (rows,)), (tiff.STRIP_BYTES, sizes)]
    start = max(len(data), 8)
    lists = start + 2 + 12 * len(fields) + 4
    table, behind = struct.pack("<H", len(fields)), b""
    for tag, values in sorted(fields):
        packed = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            place, behind = lists + len(behind), behind + packed
            packed = struct.pack("<I", place)
        table += struct.pack("<2HI", tag, 4, len(values)) + packed
    file = b"".join((b"II*\0", struct.pack("<I", start), data[8:], table, bytes(4), behind))
    with TiffImageFile(BytesIO(file)) as image:
        return np.array(image)


def _to_numbers(raw: NDArray[np.uint8], form: TiffLayout, width: int, across: int) -> NDArray[Any]:
    """Numbers H×`width`×`across` of the bytes of rows; a predictor's differences are summed up."""
    if form.predictor == 3:
        return _undo_float_predictor(raw, form, width, across)
    if form.bits not in (8, 16, 32, 64):
        return _unpack_bits(raw, form, width, across)
    letter = {2: "i", 3: "f"}.get(form.format, "u")
    stored = np.dtype(f"{form.order}{letter}{form.bits // 8}")
    flat = np.ascontiguousarray(raw).view(stored).reshape(len(raw), width, across)
    if form.predictor != 2:
        return flat.astype(stored.newbyteorder("="), copy=False)
    whole = flat.view(np.dtype(f"{form.order}u{form.bits // 8}")).astype(f"=u{form.bits // 8}")
    np.cumsum(whole, axis=1, dtype=whole.dtype, out=whole)
    return whole.view(stored.newbyteorder("="))


def _undo_float_predictor(raw: NDArray[np.uint8], form: TiffLayout, width: int, across: int) -> NDArray[Any]:
    """Adobe's predictor 3: the numbers' bytes lie apart, the highest first, each the difference to the one before."""
    count = form.bits // 8
    summed = np.cumsum(raw.reshape(len(raw), width * count, across), axis=1, dtype=np.uint8)
    apart = summed.reshape(len(raw), count, width * across)
    concatenate = np.ascontiguousarray(apart.transpose(0, 2, 1)).view(f">f{count}")
    return concatenate.astype(f"=f{count}").reshape(len(raw), width, across)


def _unpack_bits(raw: NDArray[np.uint8], form: TiffLayout, width: int, across: int) -> NDArray[Any]:
    """Numbers of any other number of bits, which follow each other without gaps within a row."""
    kind, used = np.dtype(form.kind), width * across * form.bits
    made = np.empty((len(raw), width * across), kind)
    lines = max(1, BLOCK_VALUES // max(1, used))
    for first in range(0, len(raw), lines):
        bits = np.unpackbits(raw[first : first + lines], axis=1)[:, :used].reshape(-1, width * across, form.bits)
        part = np.zeros(bits.shape[:2], kind)
        for place in range(form.bits):
            part = part << 1 | bits[:, :, place]
        made[first : first + lines] = part
    return made.reshape(len(raw), width, across)

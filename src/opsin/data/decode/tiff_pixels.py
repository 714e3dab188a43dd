"""Read TIFF samples for which Pillow has no mode: many bands, floating point, and more than eight bits per channel.

libtiff decompresses the bytes through Pillow as if they were a wider grey image, and they are interpreted here. Files
with JPEG compressions, which do not preserve bytes, are left to Pillow.
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
from opsin.data.decode.bit_depth import PixelValues
from opsin.data.decode.tiff import TiffLayout

REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
BLOCK_BITS = 2**22
"""The number of bits per block when bits are unpacked."""


class UnsupportedImage(Exception):
    """The file is valid, but not supported; the text describes it."""


def read_samples(data: bytes, layout: TiffLayout) -> PixelValues:
    """Return the samples of a grey or RGB TIFF, before it is made upright. Damaged files raise various errors."""
    values = read_values(data, layout)
    if layout.photometric == tiff.WHITE_IS_ZERO:
        values = _inverted(values, layout)
    colours = layout.colours
    alpha = next((at for at, kind in enumerate(layout.extra) if kind in (tiff.ASSOCIATED, tiff.UNASSOCIATED)), None)
    if alpha is None and not layout.extra and layout.bands == colours + 1:
        return PixelValues(values[..., :colours], values[..., colours])
    if alpha is None:
        return PixelValues(values[..., :colours])
    return PixelValues(values[..., :colours], values[..., colours + alpha], layout.extra[alpha] == tiff.ASSOCIATED)


def _inverted(values: NDArray[Any], layout: TiffLayout) -> NDArray[Any]:
    """Invert unsigned samples of an image in which 0 is white."""
    if values.dtype.kind != "u":
        return values
    result = values.copy()
    result[..., 0] = 2**layout.bits - 1 - result[..., 0]
    return result


def read_values(data: bytes, layout: TiffLayout) -> NDArray[Any]:
    """Return the values as stored, H×W×bands."""
    planes = layout.bands if layout.planar else 1
    bands = layout.bands // planes
    values = [_plane(data, layout, plane, bands) for plane in range(planes)]
    return np.concatenate(values, axis=2) if planes > 1 else values[0]


def _plane(data: bytes, layout: TiffLayout, plane: int, bands: int) -> NDArray[Any]:
    tiled = tiff.TILE_OFFSETS in layout.tags
    width = layout.first(tiff.TILE_WIDTH, 0) if tiled else layout.width
    rows = (
        layout.first(tiff.TILE_LENGTH, 0) if tiled else min(layout.first(tiff.STRIP_ROWS, layout.height), layout.height)
    )
    if min(width, rows) < 1 or width > 4 * layout.width + 1024 or rows > 4 * layout.height + 1024:
        raise ValueError("impossible size of strips or tiles")
    columns, lines = ceil(layout.width / width), ceil(layout.height / rows)
    offsets, sizes = (
        layout.tags[tag]
        for tag in ((tiff.TILE_OFFSETS, tiff.TILE_BYTES) if tiled else (tiff.STRIP_OFFSETS, tiff.STRIP_BYTES))
    )
    count = columns * lines
    offsets, sizes = offsets[plane * count : (plane + 1) * count], sizes[plane * count : (plane + 1) * count]
    if len(offsets) < count or len(sizes) < count:
        raise ValueError("truncated list of strips or tiles")
    stride = ceil(width * bands * layout.bits / 8)
    height = lines * rows if tiled else layout.height
    if layout.compression == 1:
        raw = _uncompressed(data, layout, offsets, stride, rows, columns, height)
    else:
        raw = _decompress(
            data, layout, offsets, sizes, (columns * stride, height), (stride, rows) if tiled else None, rows
        )
    blocks = [_to_samples(raw[:, at * stride : (at + 1) * stride], layout, width, bands) for at in range(columns)]
    image = np.concatenate(blocks, axis=1) if columns > 1 else blocks[0]
    return image[: layout.height, : layout.width]


def _uncompressed(
    data: bytes, layout: TiffLayout, offsets: tuple[int, ...], stride: int, rows: int, columns: int, height: int
) -> NDArray[np.uint8]:
    """Return uncompressed bytes as rows of `columns` blocks of `stride` bytes."""
    rows_of_bytes = np.empty((height, columns * stride), np.uint8)
    for number, offset in enumerate(offsets):
        top, left = number // columns * rows, number % columns * stride
        lines = min(rows, height - top)
        block = data[offset : offset + lines * stride]
        if len(block) < lines * stride:
            raise EOFError("truncated strip or tile")
        if layout.first(tiff.FILL_ORDER, 1) == 2:
            block = block.translate(REVERSED_BITS)
        rows_of_bytes[top : top + lines, left : left + stride] = np.frombuffer(block, np.uint8).reshape(lines, stride)
    return rows_of_bytes


def _decompress(
    data: bytes, layout: TiffLayout, offsets: tuple[int, ...], sizes: tuple[int, ...], size: tuple[int, int],
    tile: tuple[int, int] | None, rows: int,
) -> NDArray[np.uint8]:  # fmt: skip
    """Return bytes that libtiff decompresses as the pixels of a grey image of `size` (width, height)."""
    fields: list[tuple[int, tuple[int, ...]]] = [
        (tiff.WIDTH, (size[0],)), (tiff.LENGTH, (size[1],)), (tiff.BITS, (8,)),
        (tiff.COMPRESSION, (layout.compression,)), (tiff.PHOTOMETRIC, (tiff.BLACK_IS_ZERO,)), (tiff.BANDS, (1,)),
        (tiff.FILL_ORDER, (layout.first(tiff.FILL_ORDER, 1),)),
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
    table, arrays = struct.pack("<H", len(fields)), b""
    for tag, values in sorted(fields):
        content = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            offset = lists + len(arrays)
            arrays += content
            content = struct.pack("<I", offset)
        table += struct.pack("<2HI", tag, 4, len(values)) + content
    file = b"".join((b"II*\0", struct.pack("<I", start), data[8:], table, bytes(4), arrays))
    with TiffImageFile(BytesIO(file)) as image:
        return np.array(image)


def _to_samples(raw: NDArray[np.uint8], layout: TiffLayout, width: int, bands: int) -> NDArray[Any]:
    """Convert the bytes of rows to samples H×`width`×`bands`, and undo the horizontal predictor."""
    if layout.predictor == 3:
        return _undo_float_predictor(raw, layout, width, bands)
    if layout.bits not in (8, 16, 32, 64):
        return _unpack_bits(raw, layout, width, bands)
    letter = {2: "i", 3: "f"}.get(layout.format, "u")
    sample_type = np.dtype(f"{layout.order}{letter}{layout.bits // 8}")
    samples = np.ascontiguousarray(raw).view(sample_type).reshape(len(raw), width, bands)
    if layout.predictor != 2:
        return samples.astype(sample_type.newbyteorder("="), copy=False)
    image = samples.view(np.dtype(f"{layout.order}u{layout.bits // 8}")).astype(f"=u{layout.bits // 8}")
    np.cumsum(image, axis=1, dtype=image.dtype, out=image)
    return image.view(sample_type.newbyteorder("="))


def _undo_float_predictor(raw: NDArray[np.uint8], layout: TiffLayout, width: int, bands: int) -> NDArray[Any]:
    """Undo Adobe's predictor 3: the bytes of the samples are separated, highest first, and stored as differences."""
    count = layout.bits // 8
    summed = np.cumsum(raw.reshape(len(raw), width * count, bands), axis=1, dtype=np.uint8)
    separated = summed.reshape(len(raw), count, width * bands)
    floats = np.ascontiguousarray(separated.transpose(0, 2, 1)).view(f">f{count}")
    return floats.astype(f"=f{count}").reshape(len(raw), width, bands)


def _unpack_bits(raw: NDArray[np.uint8], layout: TiffLayout, width: int, bands: int) -> NDArray[Any]:
    """Unpack samples with any other number of bits, which follow each other without gaps within a row."""
    dtype, row_bits = np.dtype(layout.dtype), width * bands * layout.bits
    samples = np.empty((len(raw), width * bands), dtype)
    lines = max(1, BLOCK_BITS // max(1, row_bits))
    for first in range(0, len(raw), lines):
        bits = np.unpackbits(raw[first : first + lines], axis=1)[:, :row_bits].reshape(-1, width * bands, layout.bits)
        block = np.zeros(bits.shape[:2], dtype)
        for position in range(layout.bits):
            block = block << 1 | bits[:, :, position]
        samples[first : first + lines] = block
    return samples.reshape(len(raw), width, bands)

"""Image files of a few kilobytes or megabytes whose pixels would fill the memory: 30,000 × 30,000."""

from __future__ import annotations

import struct
import zlib
from itertools import repeat

SIDE = 30_000


def png(side: int = SIDE, colours: int = 2, bits: int = 8) -> bytes:
    """A complete, valid PNG of zeros. `colours` is PNG's colour type: 0 is grey, 2 RGB, 6 RGBA."""
    samples = {0: 1, 2: 3, 6: 4}[colours]
    count = side * (1 + -(-side * samples * bits // 8))
    head = struct.pack(">2I5B", side, side, bits, colours, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zeros(count)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def zeros(count: int) -> bytes:
    """`count` zero bytes as a zlib stream, without ever compressing more than a block of them."""
    block = 1 << 20
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    deflate.compress(bytes(block))
    deflate.flush(zlib.Z_FULL_FLUSH)
    second = deflate.compress(bytes(block)) + deflate.flush(zlib.Z_FULL_FLUSH)  # stands alone, so can be repeated
    rest = zlib.compressobj(9, zlib.DEFLATED, -15)
    last = rest.compress(bytes(count % block)) + rest.flush()
    adler = (count % 65521) << 16 | 1
    return b"".join((b"\x78\xda", *repeat(second, count // block), last, struct.pack(">I", adler)))


def jpeg(side: int = SIDE, progressive: bool = False, complete: bool = True) -> bytes:
    """A grey JPEG; a complete one is valid, at two bits for each block of 8 × 8 pixels."""
    table = bytes([1] + [0] * 15) + b"\0"  # Huffman code "0" for "no difference" and for "end of block"
    tables = _segment(0xDB, b"\0" + b"\1" * 64) + _segment(0xC4, b"\0" + table) + _segment(0xC4, b"\x10" + table)
    frame = _segment(0xC2 if progressive else 0xC0, struct.pack(">B2HB3B", 8, side, side, 1, 1, 0x11, 0))
    scan = _segment(0xDA, bytes([1, 1, 0, 0, 0 if progressive else 63, 0]))
    blocks = (-(-side // 8)) ** 2
    data = bytes(-(-blocks // 4)) if complete else bytes(9)
    return b"\xff\xd8" + tables + frame + scan + data + b"\xff\xd9"


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">2BH", 0xFF, marker, len(data) + 2) + data


def gif(side: int = SIDE, frame: int = SIDE) -> bytes:
    """A GIF whose screen is `side` and whose only frame is `frame` pixels wide and high."""
    screen = struct.pack("<2H3B", side, side, 0x80, 0, 0) + bytes(6)
    return b"GIF89a" + screen + b"," + struct.pack("<4HB", 0, 0, frame, frame, 0) + b"\2\2\x44\1\0;"


def tiff(side: int = SIDE) -> bytes:
    """A complete, valid RGB TIFF of zeros in one compressed strip."""
    strip = zeros(3 * side * side)
    fields = [(256, 4, side), (257, 4, side), (258, 3, 8), (259, 3, 8), (262, 3, 2), (273, 4, 8), (277, 3, 3),
              (278, 4, side), (279, 4, len(strip))]  # fmt: skip
    directory = struct.pack("<H", len(fields)) + b"".join(
        struct.pack("<2HII", tag, kind, 1, v) for tag, kind, v in fields
    )
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + directory + bytes(4)


def bmp(side: int = SIDE) -> bytes:
    """A run-length coded BMP that ends at once: valid, and black."""
    head = struct.pack("<I2i2H6I", 40, side, side, 1, 8, 1, 2, 0, 0, 2, 0)
    return b"BM" + struct.pack("<I2HI", 64, 0, 0, 62) + head + bytes(8) + b"\0\1"


def webp(side: int = 16_384) -> bytes:
    """A WebP that promises a canvas of `side` and holds a frame of nothing."""
    canvas = struct.pack("<I", side - 1)[:3] * 2
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + canvas + b"VP8L" + struct.pack("<I", 6) + b"\x2f" + bytes(5)
    return b"RIFF" + struct.pack("<I", len(body)) + body

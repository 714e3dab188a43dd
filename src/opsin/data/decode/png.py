"""PNG (W3C, third edition): pass only the chunks that determine the pixels to the decoder.

Text, colour profiles, animation and private chunks are skipped, whatever their size. Only the orientation is kept, as
an eXIf chunk before the image data, where it is found without decoding. PixelValues of 16 bits are decoded completely;
Pillow alone would keep their upper halves.
"""

from __future__ import annotations

import re
import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile

from opsin.data.decode.bit_depth import PixelValues

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KEPT_CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")

GREY, COLOUR, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 4, 6
"""Colour types."""

MAX_TEXT_BYTES = 2**20
"""Bytes that are read of a text chunk that may hold the orientation."""

RAW_EXIF = b"Raw profile type exif"
XMP = b"XML:com.adobe.xmp"
XMP_ORIENTATION = re.compile(rb"tiff:Orientation(?:=\"|>)([1-8])")


class Png:
    """The chunks of a PNG that determine its pixels. Damage is detected by the decoder."""

    def __init__(self, data: bytes) -> None:
        self.transparent: tuple[int, ...] | None = None
        self.colours = self.bits = 0
        self._exif: bytes | None = None
        self._raw: bytes | None = None
        self._xmp: bytes | None = None
        head, body = bytearray(SIGNATURE), bytearray()
        self._walk(data, head, body)
        self.data = b"".join((head, self._metadata(), body))

    def _walk(self, data: bytes, head: bytearray, body: bytearray) -> None:
        """Copy header and palette to `head` and image data to `body`; truncated chunks too, for the decoder."""
        place, size = len(SIGNATURE), len(data)
        while place < size:
            length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
            stop = place + 12 + length
            if kind in KEPT_CHUNKS:
                if kind == b"IHDR" and length >= 13 and not self.bits:
                    self.bits, self.colours = data[place + 16], data[place + 17]
                (body if body or kind in (b"IDAT", b"IEND") else head).extend(data[place:stop])
            elif not kind.isalpha():
                body += data[place:]
                return
            elif kind == b"tRNS" and not body:
                head += self._transparency(data[place:stop])
            elif kind == b"eXIf" or kind in TEXT_CHUNKS:
                self._note(kind, data, place + 8, min(stop - 4, size))
            if kind == b"IEND":
                return
            place = stop

    def _transparency(self, chunk: bytes) -> bytes:
        """Return the tRNS chunk with its grey value scaled to 8 bits, as the decoder scales pixels of 2 and 4 bits."""
        words = {GREY: 1, COLOUR: 3}.get(self.colours, 0)
        content = chunk[8:-4]
        if not words or len(content) < 2 * words:
            return chunk
        values = struct.unpack(f">{words}H", content[: 2 * words])
        if self.bits == 16:
            self.transparent = values
            return b""
        if self.bits in (2, 4) and self.colours == GREY:
            return _chunk(b"tRNS", struct.pack(">H", values[0] * (255 // (2**self.bits - 1))))
        return chunk

    def _note(self, kind: bytes, data: bytes, first: int, last: int) -> None:
        """Store metadata that may hold the orientation."""
        if kind == b"eXIf":
            self._exif = self._exif or data[first:last]
        elif data[first : first + len(RAW_EXIF) + 1] == RAW_EXIF + b"\0":
            self._raw = _text(kind, data[first:last], len(RAW_EXIF)) or self._raw
        elif data[first : first + len(XMP) + 1] == XMP + b"\0":
            self._xmp = _text(kind, data[first:last], len(XMP)) or self._xmp

    def _metadata(self) -> bytes:
        """Return an eXIf chunk with the orientation, if there is one; that of XMP is used if EXIF has none."""
        xmp = XMP_ORIENTATION.search(self._xmp or b"")
        exif = self._exif or _exif(self._raw)
        metadata = _chunk(b"eXIf", exif) if exif else b""
        if xmp and not exif:
            metadata = _chunk(b"eXIf", struct.pack("<4sIH2HI2HI", b"II*\0", 8, 1, 0x0112, 3, 1, int(xmp[1]), 0, 0))
        elif xmp:
            metadata += _chunk(b"iTXt", XMP + b'\0\0\0\0\0tiff:Orientation="' + xmp[1] + b'"')
        return metadata

    @property
    def depth(self) -> str:
        """The sample type if it has more than eight bits, otherwise ""."""
        return "uint16" if self.bits == 16 else ""

    @property
    def channels(self) -> int:
        return {COLOUR: 3, GREY_ALPHA: 2, COLOUR_ALPHA: 4}.get(self.colours, 1)

    def samples(self) -> PixelValues:
        """Return the 16-bit samples, before the image is made upright."""
        if self.colours in (GREY, GREY_ALPHA):
            return self._greys()
        letters = "RGBA" if self.colours == COLOUR_ALPHA else "RGB"
        values = self._decode(f"{letters};16B").astype(np.uint16)
        values <<= 8
        values |= self._decode(f"{letters};16L")
        if self.transparent is not None:
            opaque = (values != np.array(self.transparent, np.uint16)).any(axis=2)
            return PixelValues(values, np.where(opaque, np.uint16(65535), np.uint16(0)))
        return PixelValues(values[..., :3], values[..., 3]) if letters == "RGBA" else PixelValues(values)

    def _greys(self) -> PixelValues:
        """Decode 16-bit grey (and alpha) as twice as many 8-bit channels, which works because PNG filters bytes."""
        bytewise = GREY_ALPHA if self.colours == GREY else COLOUR_ALPHA
        place = len(SIGNATURE) + 8
        head = bytearray(self.data[place : place + 13])
        head[8], head[9] = 8, bytewise
        data = self.data[: place - 8] + _chunk(b"IHDR", bytes(head)) + self.data[place + 17 :]
        with PngImageFile(BytesIO(data)) as image:
            pairs = np.asarray(image)
        values = pairs[..., 0::2].astype(np.uint16) << 8 | pairs[..., 1::2]
        if self.colours == GREY_ALPHA:
            return PixelValues(values[..., :1], values[..., 1])
        if self.transparent is None:
            return PixelValues(values)
        return PixelValues(values, np.where(values[..., 0] != self.transparent[0], np.uint16(65535), np.uint16(0)))

    def _decode(self, rawmode: str) -> NDArray[np.uint8]:
        """Return the upper or the lower halves of the samples.

        Pillow keeps the second byte of 16-bit samples that are declared as little-endian.
        """
        with PngImageFile(BytesIO(self.data)) as image:
            image.tile = [_with_mode(tile, rawmode) for tile in image.tile]
            return np.array(image)


def _with_mode(tile: Any, rawmode: str) -> Any:
    """Return the tile, a named tuple or before Pillow 11 a plain one, with another raw mode."""
    fields = (*tile[:3], rawmode)
    return type(tile)(*fields) if hasattr(tile, "_fields") else fields


def _text(kind: bytes, content: bytes, key: int) -> bytes:
    """Return up to `MAX_TEXT_BYTES` of a text chunk after its keyword; b"" if it is invalid."""
    payload = content[key + 1 :]
    if kind == b"tEXt":
        return payload[:MAX_TEXT_BYTES]
    is_compressed = kind == b"zTXt" or payload[:1] == b"\1"
    payload = payload[1:] if kind == b"zTXt" else payload[2:].split(b"\0", 2)[-1]
    if not is_compressed:
        return payload[:MAX_TEXT_BYTES]
    try:
        return zlib.decompressobj().decompress(payload, MAX_TEXT_BYTES)
    except zlib.error:
        return b""


def _exif(raw: bytes | None) -> bytes:
    """Decode EXIF as ImageMagick stores it in text: a name, a length, and lines of hexadecimal digits."""
    try:
        return bytes.fromhex("".join((raw or b"").decode("ascii").split("\n")[3:])).removeprefix(b"Exif\0\0")
    except ValueError:
        return b""


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

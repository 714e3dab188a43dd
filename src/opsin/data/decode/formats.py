"""Recognise image formats by their first bytes, never by file names, and read the declared size.

Only the formats below and in `pillow_plugins` are decoded, although Pillow supports more. Sizes are read here if
opening the image would already allocate memory in proportion to them: JPEG (ITU-T T.81, annex B), WebP (RFC 9649),
JPEG 2000 and icons.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from opsin.base.file_types import HEAD, absent
from opsin.data.decode import pillow_plugins

DECODERS: dict[str, type[ImageFile]] = pillow_plugins.Decoders(
    {
        "JPEG": JpegImageFile,
        "PNG": PngImageFile,
        "GIF": GifImageFile,
        "BMP": BmpImageFile,
        "WebP": WebPImageFile,
        "TIFF": TiffImageFile,
    }
)

SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)

HEIC = (b"ftyphei", b"ftyphev", b"ftypmif1")
"""The bytes of HEIC files from byte 4 on."""

OTHER_FILE_TYPES = (
    (0, b"%PDF", "a PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"PK\3\4", "a zip archive"),
    (0, b"\x1f\x8b", "compressed data"),
    (0, b"\x7fELF", "a program"),
    (0, b"8BPS", "a Photoshop file"),
    (8, b"WAVE", "a sound"),
    (8, b"AVI ", "a film"),
    (4, b"ftyp", "a film"),
)
"""Other files that are often found among images: offset and bytes of their signatures."""

MIN_BMP_BYTES = 26


def recognise(data: bytes) -> str | None:
    """Return the key in `DECODERS` of a file with these first bytes."""
    for signature, format in SIGNATURES:
        if data.startswith(signature):
            return format
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[:2] == b"BM" and len(data) >= MIN_BMP_BYTES and data[14:18] in (b"\x0c\0\0\0", *BMP_HEADER_SIZES):
        return "BMP"
    return pillow_plugins.recognise(data)


BMP_HEADER_SIZES = tuple(bytes((size, 0, 0, 0)) for size in (40, 52, 56, 64, 108, 124))
"""Sizes of the second header of a BMP file, one for each version of the format."""


def unsupported(data: bytes) -> str | None:
    """Return what an image of a format that cannot be read is, and what to do; None for other files."""
    if description := pillow_plugins.describe(data):
        return description
    return "a HEIC image, which is not read: save it as JPEG" if data.startswith(HEIC, 4) else None


def describe(data: bytes) -> str | None:
    """Return what a file that is not an image seems to be; None if that is unknown."""
    for offset, signature, description in OTHER_FILE_TYPES:
        if data[offset : offset + len(signature)] == signature:
            return description
    head = data[:512]
    lowered = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if lowered.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if b"<svg" in lowered:
        return "an SVG drawing, which is not read: save it as PNG"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # byte order mark of UTF-16
        return "text"
    if any(data[:HEAD]) and (kind := absent(data[:HEAD])):
        return f"{kind.what}: {kind.advice}"
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # the last character may be incomplete
    except UnicodeDecodeError:
        return None
    return "text" if text and all(character.isprintable() or character.isspace() for character in text) else None


@dataclass(frozen=True)
class DeclaredSize:
    """The size of an image according to its header.

    `whole`: decoding needs memory for the whole image at once. `unsupported` describes an image that cannot be decoded
    here; it is "" for others.
    """

    width: int
    height: int
    whole: bool
    unsupported: str = ""


def declared_size(data: bytes, format: str) -> DeclaredSize | None:
    """Return the size that the header declares, or None for other formats and damaged headers."""
    try:
        if format == "JPEG":
            return _jpeg(data)
        if format == "WebP":
            return _webp(data)
        size = pillow_plugins.size(data, format)
        return DeclaredSize(*size, whole=True) if size else None
    except IndexError:
        return None


def _jpeg(data: bytes) -> DeclaredSize | None:
    """Read frame and first scan header. With several scans, coefficients of the whole image are held in memory."""
    place, frame = 2, None
    while data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
            continue
        length = data[place + 2] << 8 | data[place + 3]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):  # a frame
            height, width = (data[place + at] << 8 | data[place + at + 1] for at in (5, 7))
            if kind := _unsupported_jpeg(marker, data[place + 4], data[place + 9]):
                return DeclaredSize(width, height, True, kind)
            frame = DeclaredSize(width, height, marker not in (0xC0, 0xC1)), data[place + 9]
        elif marker == 0xDA and frame:  # the first scan
            size, components = frame
            return DeclaredSize(size.width, size.height, size.whole or data[place + 4] < components)
        place += 2 + length
    return None


def _unsupported_jpeg(marker: int, bits: int, components: int) -> str:
    """Describe a JPEG that is not supported, or return "". Impossible values are damage, which the decoder reports."""
    if marker == 0xF7:
        return "a JPEG-LS image"
    if marker in (0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF):
        return "a hierarchical JPEG"
    if bits in (12, 16) or (marker in (0xC3, 0xCB) and 2 <= bits <= 16 and bits != 8):
        return f"a JPEG of {bits} bits a channel"
    return "a JPEG of 2 channels" if components == 2 else ""


def _webp(data: bytes) -> DeclaredSize | None:
    kind = data[12:16]
    if kind == b"VP8X":
        sides = [int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27)]
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        sides = [(bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1]
    elif kind == b"VP8 ":
        sides = [int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28)]
    else:
        return None
    return DeclaredSize(sides[0], sides[1], whole=True)

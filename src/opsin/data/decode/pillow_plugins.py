"""Rarer formats: their signatures, their declared sizes, and the Pillow plugins that decode them, if installed.

PNM (https://netpbm.sourceforge.net/doc/), JPEG 2000 (ITU-T T.800), AVIF (https://aomediacodec.github.io/av1-avif/),
Windows icons, Truevision's TGA 2.0, DirectDraw surfaces, SGI, PCX, QOI (https://qoiformat.org) and Sun raster files.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module

import PIL
from PIL import features
from PIL.ImageFile import ImageFile

PLUGINS = {
    "PNM": ("opsin.data.decode.pnm", "PnmImageFile"),
    "JPEG 2000": ("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "ICO": ("PIL.IcoImagePlugin", "IcoImageFile"),
    "TGA": ("PIL.TgaImagePlugin", "TgaImageFile"),
    "DDS": ("PIL.DdsImagePlugin", "DdsImageFile"),
    "SGI": ("PIL.SgiImagePlugin", "SgiImageFile"),
    "PCX": ("PIL.PcxImagePlugin", "PcxImageFile"),
    "QOI": ("PIL.QoiImagePlugin", "QoiImageFile"),
    "Sun raster": ("PIL.SunImagePlugin", "SunImageFile"),
}
"""Modules and classes of the decoders. A module is imported when the first file of its format is read."""

OPTIONAL = {"AVIF": ("avif", "11.3"), "JPEG 2000": ("jpg_2000", "2.4")}
"""Formats that Pillow may have been built without: the name of the feature, and the first version that has it."""

PNM_SIGNATURE = re.compile(rb"(P[1-6]|Pf)(\s|#[^\r\n]*[\r\n])+[1-9]\d*(\s|#[^\r\n]*[\r\n])+[1-9]")
J2K, JP2 = b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"
ICO, PNG_MARK = b"\0\0\1\0", b"\x89PNG\r\n\x1a\n"
TGA_DEPTHS = {1: (8, 16), 2: (16, 24, 32), 3: (1, 8, 16), 9: (8, 16), 10: (16, 24, 32), 11: (8, 16)}
"""Bits per pixel of each TGA image type: palette, colour, grey, and the same three run-length encoded."""


class Decoders(dict[str, type[ImageFile]]):
    """The given decoders, and the rarer ones, which are imported on first use."""

    def __missing__(self, format: str) -> type[ImageFile]:
        module, name = PLUGINS[format]
        self[format] = getattr(import_module(module), name)
        return self[format]


def recognise(data: bytes) -> str | None:
    """Return the format of a file with these first bytes, if it can be decoded here."""
    format = _format(data)
    return format if format and available(format) else None


@cache
def available(format: str) -> bool:
    """Return whether the installed Pillow decodes this format."""
    if format not in OPTIONAL:
        return True
    try:
        import_module(PLUGINS[format][0])
    except ImportError:
        return False
    return bool(features.check(OPTIONAL[format][0]))


def describe(data: bytes) -> str | None:
    """Describe an image of these or similar formats that cannot be decoded here."""
    format = _format(data)
    if format in OPTIONAL:
        version = OPTIONAL[format][1]
        return (
            f"{'an' if format[0] == 'A' else 'a'} {format} image, which Pillow {PIL.__version__} as it is installed "
            f"does not decode: install Pillow {version} or later with {format}, or save it as PNG"
        )
    if re.match(rb"P7\s", data):
        return "a PAM image, which is not read: save it as PNG"
    if re.match(rb"PF\s+\d", data):
        return "a colour PFM image, which is not read: save it as PNG"
    if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")):
        return "a JPEG XL image, which is not read: save it as PNG"
    return None


def _format(data: bytes) -> str | None:
    if data.startswith((J2K, JP2)):
        return "JPEG 2000"
    if data[4:8] == b"ftyp" and b"avif" in _brands(data) | {data[8:12].replace(b"avis", b"avif")}:
        return "AVIF"
    for signature, format in ((b"DDS ", "DDS"), (b"qoif", "QOI"), (b"\x59\xa6\x6a\x95", "Sun raster")):
        if data.startswith(signature):
            return format
    if data[:2] == b"\x01\xda" and len(data) > 12 and data[2] < 2 and data[3] in (1, 2) and data[5] in (1, 2, 3):
        return "SGI"
    if data[:1] == b"\n" and len(data) > 128 and data[1] in (0, 2, 3, 5) and data[2] == 1 and data[3] in (1, 2, 4, 8):
        return "PCX"
    if PNM_SIGNATURE.match(data):
        return "PNM"
    if data.startswith(ICO) and _icons(data):
        return "ICO"
    return "TGA" if _is_tga(data) else None


def _brands(data: bytes) -> set[bytes]:
    """Return the compatible brands of an ISO base media file."""
    size = min(int.from_bytes(data[:4], "big"), len(data), 512)
    return {data[at : at + 4] for at in range(16, size - 3, 4)}


def _is_tga(data: bytes) -> bool:
    """Check every field of the header, since TGA files do not begin with a signature."""
    if len(data) <= 18:
        return False
    palette, kind, depth, flags = data[1], data[2], data[16], data[17]
    width, height = (data[at] | data[at + 1] << 8 for at in (12, 14))
    if kind not in TGA_DEPTHS or depth not in TGA_DEPTHS[kind] or not (width and height) or flags & 0xC0:
        return False
    colours = data[5] | data[6] << 8
    if palette == 1:
        valid = data[7] in (15, 16, 24, 32) and 0 < colours <= 65535
    else:
        valid = palette == 0 and kind not in (1, 9) and not any(data[3:8])
    available_bytes = len(data) - 18 - data[0] - palette * colours * ((data[7] + 7) // 8)
    pixels = width * height
    min_bytes = pixels * depth // 8 if kind < 9 else (pixels + 127) // 128 * 2
    is_complete = available_bytes >= min_bytes or b"TRUEVISION-XFILE" in data[-26:] or available_bytes > 0
    return valid and (flags & 15) in (0, 1, 8) and is_complete


def size(data: bytes, format: str) -> tuple[int, int] | None:
    """Return width and height if opening the image would decode it, or if its frame may declare too small a size."""
    if format == "ICO":
        return max(_icons(data), key=lambda size: size[0] * size[1], default=None)
    at = data.find(J2K, 0, 2**20) if format == "JPEG 2000" else -1
    if at < 0 or len(data) < at + 24:
        return None
    right, bottom, left, top = (int.from_bytes(data[at + n : at + n + 4], "big") for n in (8, 12, 16, 20))
    return right - left, bottom - top


def _icons(data: bytes) -> list[tuple[int, int]]:
    """Return the declared sizes of the images in an icon file; none if its table is invalid."""
    count, sizes = int.from_bytes(data[4:6], "little"), []
    for place in range(6, 6 + 16 * count, 16):
        length, start = (int.from_bytes(data[place + at : place + at + 4], "little") for at in (8, 12))
        head = data[start : start + 24]
        if len(head) < 24 or not length or start < 6 + 16 * count:
            return []
        if head.startswith(PNG_MARK):
            sizes.append((int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")))
        else:
            width, height = (abs(int.from_bytes(head[at : at + 4], "little", signed=True)) for at in (4, 8))
            sizes.append((width, height))
    return sizes

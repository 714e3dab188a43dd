"""TIFF (Adobe, revision 6.0, and its BigTIFF): what a file's first image is made of, by the tags of its directory.

Only the tags named here are read, so that no profile, text or thumbnail takes memory.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, ORIENTATION, BANDS, STRIP_ROWS, STRIP_BYTES, PLANAR = 273, 274, 277, 278, 279, 284
PREDICTOR, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES, EXTRA, FORMAT = 317, 322, 323, 324, 325, 338, 339
SUBFILE, SUBSAMPLING = 254, 530
TAGS = frozenset((
    WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, STRIP_OFFSETS, ORIENTATION, BANDS, STRIP_ROWS,
    STRIP_BYTES, PLANAR, PREDICTOR, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES, EXTRA, FORMAT, SUBFILE,
    SUBSAMPLING,
))  # fmt: skip

TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
"""The numbers' types, as `struct` writes them."""

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
COLOUR_BANDS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3, LAB: 3}
"""How many bands a kind of image has, without those beside the colour."""

KINDS = {
    WHITE_IS_ZERO: "grey", BLACK_IS_ZERO: "grey", RGB: "RGB", PALETTE: "palette", 4: "mask", CMYK: "CMYK",
    YCBCR: "YCbCr", LAB: "CIE L*a*b*", 9: "ICC L*a*b*", 10: "ITU L*a*b*", 32803: "colour filter array",
    32844: "LogL", 32845: "LogLuv", 34892: "linear raw",
}  # fmt: skip

COMPRESSION_NAMES = {
    6: "old-style JPEG", 7: "JPEG", 9: "JBIG", 10: "JBIG", 32809: "ThunderScan", 33003: "JPEG 2000",
    33005: "JPEG 2000", 34661: "JBIG", 34676: "SGI LogLuv", 34677: "SGI LogLuv", 34712: "JPEG 2000", 34887: "LERC",
    34892: "lossy JPEG", 34925: "LZMA", 34926: "Zstandard", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL",
    52546: "JPEG XL",
}  # fmt: skip
BYTE_COMPRESSIONS = {1, 5, 8, 32773, 32946, 34925, 50000}
"""Compressions of bytes, whatever the bytes are: none, LZW, Deflate, PackBits, Deflate's old number, LZMA, zstd."""

FAX_COMPRESSIONS = {2, 3, 4}
"""Compressions of black and white."""

COMPLEX_FORMATS = (5, 6)
"""Sample formats of complex numbers."""

UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2
"""What a band beside the colours is; alpha that the colours are multiplied by, and alpha that they are not."""

MAX_PAGES = 10_000
MAX_BANDS = 4096
MAX_BITS = 128
THUMBNAIL_OR_MASK = 0b101


@dataclass(frozen=True)
class TiffLayout:
    """The first image of a file. `bits` are those of a number, all alike; `extra` what each band beside the colours
    is. `pages`: how many images of full size the file holds. `tags` are the numbers of each tag.
    """

    order: str
    width: int
    height: int
    bits: int
    bands: int
    format: int
    photometric: int
    compression: int
    extra: tuple[int, ...]
    pages: int
    tags: dict[int, tuple[int, ...]]

    def first(self, tag: int, default: int) -> int:
        return self.tags.get(tag, (default,))[0]

    @property
    def orientation(self) -> int:
        return self.first(ORIENTATION, 1)

    @property
    def planar(self) -> bool:
        return self.first(PLANAR, 1) == 2 and self.bands > 1

    @property
    def predictor(self) -> int:
        return self.first(PREDICTOR, 1)

    @property
    def kind(self) -> str:
        """The type of a number, as NumPy calls it: "uint16"; of odd numbers of bits the next larger one."""
        width = next((size for size in (8, 16, 32, 64) if self.bits <= size), 64)
        return f"{ {2: 'int', 3: 'float'}.get(self.format, 'uint') }{width}"

    @property
    def colours(self) -> int:
        """How many bands are colours; 0 where that is not known."""
        return COLOUR_BANDS.get(self.photometric, 0)

    @property
    def words(self) -> str:
        """For people: "a TIFF of 5 bands of uint16"."""
        what = self.kind if self.bits in (8, 16, 32, 64) else f"{self.bits}-bit numbers"
        if self.format in COMPLEX_FORMATS:
            what = "complex numbers"
        if not self.bits:
            what = "different depths"
        name = KINDS.get(self.photometric, f"photometric interpretation {self.photometric}")
        plain = self.compression in BYTE_COMPRESSIONS or self.compression in FAX_COMPRESSIONS
        packed = "" if plain else COMPRESSION_NAMES.get(self.compression, f"method {self.compression}")
        words = f"a TIFF of {self.bands} band{'s' * (self.bands > 1)} of {what}"
        words += "" if name == "grey" and self.bands > 1 else f" ({name})"
        return words + (f", compressed with {packed}" if packed else "")

    @property
    def sound(self) -> bool:
        """Whether its tags make sense, so that it is a kind of image and not damage where it cannot be read."""
        depth = self.format in (0, 1, 2, 3, 4, *COMPLEX_FORMATS)
        return depth and self.photometric in KINDS and self.predictor in (1, 2, 3) and self.bands >= self.colours


def layout(data: bytes) -> TiffLayout | None:
    """What the file's directory says; None where it is damaged."""
    try:
        reader = _Reader(data)
        tags = reader.directory(reader.first)
        pages = reader.pages()
        photometric = tags.get(PHOTOMETRIC, (WHITE_IS_ZERO,))[0]
        bands = tags.get(BANDS, (3 if tags.get(COMPRESSION) == (6,) and photometric in (RGB, YCBCR) else 1,))[0]
        bits = _common_value(tags[BITS][:bands] if bands > 1 else tags.get(BITS, (1,)))
        format = _common_value(tags.get(FORMAT, (1,))[:bands])
        colours = COLOUR_BANDS.get(photometric, bands)
        extra = tags.get(EXTRA, ())[: max(0, bands - colours)]
        made = TiffLayout(
            reader.order, tags[WIDTH][0], tags[LENGTH][0], bits, bands, format, photometric,
            tags.get(COMPRESSION, (1,))[0], extra, pages, tags,
        )  # fmt: skip
    except (struct.error, KeyError, IndexError, ValueError):
        return None
    return made if min(made.width, made.height, bands) > 0 and bands <= MAX_BANDS else None


def _common_value(numbers: tuple[int, ...]) -> int:
    """The number that all of them are, 0 where they differ; `ValueError` where there cannot be such."""
    if not all(0 < number <= MAX_BITS for number in numbers):
        raise ValueError("numbers of no possible size")
    return numbers[0] if len(set(numbers)) == 1 else 0


class _Reader:
    """Directories of a file; an error of Python's where there are none."""

    def __init__(self, data: bytes) -> None:
        self.data, self.order = data, "<" if data[:2] == b"II" else ">"
        self.big = struct.unpack_from(f"{self.order}H", data, 2)[0] == 43
        self.word, self.size, self.count = ("Q", 20, "Q") if self.big else ("I", 12, "H")
        self.first = int(self._unpack(self.word, 8 if self.big else 4)[0])

    def _unpack(self, form: str, place: int) -> tuple[Any, ...]:
        return struct.unpack_from(self.order + form, self.data, place)

    def directory(self, place: int, only: frozenset[int] = TAGS) -> dict[int, tuple[int, ...]]:
        """The numbers of each tag that is known."""
        (entries,) = self._unpack(self.count, place)
        begin = place + struct.calcsize(self.count)
        found: dict[int, tuple[int, ...]] = {}
        for at in range(begin, begin + min(entries, 2**16) * self.size, self.size):
            tag, kind, number = self._unpack("HH" + self.word, at)
            if tag not in only or kind not in TYPES or not number:
                continue
            form = f"{number}{TYPES[kind]}"
            length = struct.calcsize("=" + form)
            if length > len(self.data):
                raise ValueError("more numbers than bytes")
            within = at + 4 + struct.calcsize(self.word)
            if length > struct.calcsize(self.word):
                within = self._unpack(self.word, within)[0]
            found[tag] = self._unpack(form, within)
        return found

    def pages(self) -> int:
        """Images of full size; what is damaged behind the first one is not looked at."""
        place, seen, count = self.first, set[int](), 0
        while place and place not in seen and len(seen) < MAX_PAGES:
            seen.add(place)
            try:
                (entries,) = self._unpack(self.count, place)
                subfile = self.directory(place, frozenset((SUBFILE,))).get(SUBFILE, (0,))[0]
                count += not subfile & THUMBNAIL_OR_MASK or len(seen) == 1
                (place,) = self._unpack(self.word, place + struct.calcsize(self.count) + entries * self.size)
            except (struct.error, ValueError):
                break
        return count

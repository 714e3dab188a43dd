"""Read the layout of the first image in a TIFF or BigTIFF file (Adobe, revision 6.0) from the tags of its directory.

Only the tags named here are read, so profiles, texts and thumbnails take no memory.
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
"""The types of tag values, as format characters of `struct`."""

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
COLOUR_BANDS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3, LAB: 3}
"""Number of colour bands by photometric interpretation, without extra bands."""

PHOTOMETRIC_NAMES = {
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
"""Compressions of arbitrary bytes: none, LZW, Deflate, PackBits, Deflate (old number), LZMA, Zstandard."""

FAX_COMPRESSIONS = {2, 3, 4}
"""Compressions of black-and-white images."""

COMPLEX_FORMATS = (5, 6)
"""Sample formats of complex numbers."""

UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2
"""Kinds of extra bands: unspecified, premultiplied alpha, and alpha that is not premultiplied."""

MAX_PAGES = 10_000
MAX_BANDS = 4096
MAX_BITS = 128
THUMBNAIL_OR_MASK = 0b101


@dataclass(frozen=True)
class TiffLayout:
    """The layout of the first image in a file.

    `bits` is the number of bits per sample, 0 if bands differ. `extra` are the kinds of the extra bands, `pages` is the
    number of full-size images in the file, and `tags` are the values of all tags.
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
    def dtype(self) -> str:
        """The sample type in NumPy's terms, such as "uint16"; for an odd number of bits the next larger one."""
        width = next((size for size in (8, 16, 32, 64) if self.bits <= size), 64)
        return f"{ {2: 'int', 3: 'float'}.get(self.format, 'uint') }{width}"

    @property
    def colours(self) -> int:
        """The number of colour bands; 0 if unknown."""
        return COLOUR_BANDS.get(self.photometric, 0)

    @property
    def description(self) -> str:
        """A description for messages: "a TIFF of 5 bands of uint16"."""
        samples = self.dtype if self.bits in (8, 16, 32, 64) else f"{self.bits}-bit numbers"
        if self.format in COMPLEX_FORMATS:
            samples = "complex numbers"
        if not self.bits:
            samples = "different depths"
        name = PHOTOMETRIC_NAMES.get(self.photometric, f"photometric interpretation {self.photometric}")
        is_known = self.compression in BYTE_COMPRESSIONS or self.compression in FAX_COMPRESSIONS
        method = "" if is_known else COMPRESSION_NAMES.get(self.compression, f"method {self.compression}")
        text = f"a TIFF of {self.bands} band{'s' * (self.bands > 1)} of {samples}"
        text += "" if name == "grey" and self.bands > 1 else f" ({name})"
        return text + (f", compressed with {method}" if method else "")

    @property
    def is_valid(self) -> bool:
        """Whether the tags are valid: a file with valid tags that cannot be read is unsupported, others are damaged."""
        known_format = self.format in (0, 1, 2, 3, 4, *COMPLEX_FORMATS)
        return (
            known_format
            and self.photometric in PHOTOMETRIC_NAMES
            and self.predictor in (1, 2, 3)
            and self.bands >= self.colours
        )


def read_layout(data: bytes) -> TiffLayout | None:
    """Return the layout of the first image, or None if the directory is damaged."""
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
        layout = TiffLayout(
            reader.order, tags[WIDTH][0], tags[LENGTH][0], bits, bands, format, photometric,
            tags.get(COMPRESSION, (1,))[0], extra, pages, tags,
        )  # fmt: skip
    except (struct.error, KeyError, IndexError, ValueError):
        return None
    return layout if min(layout.width, layout.height, bands) > 0 and bands <= MAX_BANDS else None


def _common_value(numbers: tuple[int, ...]) -> int:
    """Return the common value, or 0 if the values differ. Raise `ValueError` for impossible values."""
    if not all(0 < number <= MAX_BITS for number in numbers):
        raise ValueError("impossible number of bits per sample")
    return numbers[0] if len(set(numbers)) == 1 else 0


class _Reader:
    """Reads the directories of a file. Damaged files raise various errors of Python."""

    def __init__(self, data: bytes) -> None:
        self.data, self.order = data, "<" if data[:2] == b"II" else ">"
        self.big = struct.unpack_from(f"{self.order}H", data, 2)[0] == 43
        self.word, self.entry_size, self.count_format = ("Q", 20, "Q") if self.big else ("I", 12, "H")
        self.first = int(self._unpack(self.word, 8 if self.big else 4)[0])

    def _unpack(self, format: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack_from(self.order + format, self.data, offset)

    def directory(self, offset: int, only: frozenset[int] = TAGS) -> dict[int, tuple[int, ...]]:
        """Return the values of the tags in `only`."""
        (entries,) = self._unpack(self.count_format, offset)
        begin = offset + struct.calcsize(self.count_format)
        values: dict[int, tuple[int, ...]] = {}
        for at in range(begin, begin + min(entries, 2**16) * self.entry_size, self.entry_size):
            tag, type_code, count = self._unpack("HH" + self.word, at)
            if tag not in only or type_code not in TYPES or not count:
                continue
            format = f"{count}{TYPES[type_code]}"
            length = struct.calcsize("=" + format)
            if length > len(self.data):
                raise ValueError("more values than bytes in the file")
            value_offset = at + 4 + struct.calcsize(self.word)
            if length > struct.calcsize(self.word):
                value_offset = self._unpack(self.word, value_offset)[0]
            values[tag] = self._unpack(format, value_offset)
        return values

    def pages(self) -> int:
        """Count the full-size images; stop at damage after the first one."""
        offset, visited, count = self.first, set[int](), 0
        while offset and offset not in visited and len(visited) < MAX_PAGES:
            visited.add(offset)
            try:
                (entries,) = self._unpack(self.count_format, offset)
                subfile = self.directory(offset, frozenset((SUBFILE,))).get(SUBFILE, (0,))[0]
                count += not subfile & THUMBNAIL_OR_MASK or len(visited) == 1
                (offset,) = self._unpack(
                    self.word, offset + struct.calcsize(self.count_format) + entries * self.entry_size
                )
            except (struct.error, ValueError):
                break
        return count

"""Readers of image files: they know the header of an open file, and decode its pixels on request."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import COMPRESSION_INFO, IMAGELENGTH, IMAGEWIDTH, TiffImageFile

from opsin.data.decode import tiff, tiff_pixels
from opsin.data.decode.bit_depth import PixelRange, PixelValues, single_image_range, to_image, value_range
from opsin.data.decode.convert import SWAPPED_ORIENTATIONS, TRANSPOSES, exif_transpose, is_grey, orientation, to_mode
from opsin.data.decode.formats import DECODERS
from opsin.data.decode.png import Png

HIGH_DEPTH_MODES = {"I": "int32", "F": "float32"}
"""Pillow's modes with more than eight bits, apart from those that begin with I;16."""

MAX_TILE_PIXELS = 2**26
"""Largest number of pixels of a tile in a TIFF."""

BANDS_REMARK = "of its {bands} bands, only {name} are used"
PAGES_REMARK = "of its {pages} images, only the first is used"


@dataclass(frozen=True)
class ImageHeader:
    """The properties of an image file before it is decoded; height and width are those of the upright image.

    `depth` is the sample type if it has more than eight bits and needs a range to become bytes ("uint16", "float32",
    …), otherwise "". `remark` says which content of the file is ignored; "" if none is.
    """

    height: int
    width: int
    grey: bool
    depth: str = ""
    remark: str = ""


class ImageReader:
    """Reads an image that Pillow has opened."""

    def __init__(self, image: Image.Image, depth: str = "", remark: str = "") -> None:
        self.image = image
        width, height = _upright_size(image)
        depth = depth or HIGH_DEPTH_MODES.get(image.mode, "uint16" if image.mode.startswith("I;16") else "")
        self.header = ImageHeader(height, width, is_grey(image.mode), depth, remark)

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height of the decoded image, before it is made upright."""
        return self.image.size

    @property
    def decoded_bytes(self) -> int:
        """Bytes of the decoded samples if they have more than eight bits."""
        return 4 * self.image.width * self.image.height if self.header.depth else 0

    def draft(self, min_side: int) -> None:
        """Let a JPEG be decoded at a reduced size with sides of at least `min_side`."""
        self.image.draft(None, (min_side, min_side))

    def decode(self, mode: str, pixel_range: PixelRange | None) -> tuple[Image.Image, PixelRange | None]:
        """Return the upright image in `mode` L or RGB, and if it has more than eight bits, its value range."""
        if not self.header.depth:
            self.image.load()
            return to_mode(exif_transpose(self.image), mode), None
        image, values = _to_8_bits(self.samples(), self.header.depth, pixel_range)
        image = transpose_by(image, orientation(self.image))
        return image if image.mode == mode else image.convert(mode), values

    def samples(self) -> PixelValues:
        self.image.load()
        return PixelValues(np.asarray(self.image)[..., None])

    def close(self) -> None:
        self.image.close()


class PngReader(ImageReader):
    def __init__(self, data: bytes) -> None:
        self.png = Png(data)
        super().__init__(DECODERS["PNG"](BytesIO(self.png.data)), self.png.depth)

    @property
    def decoded_bytes(self) -> int:
        return self.png.channels * super().decoded_bytes // 2

    def samples(self) -> PixelValues:
        return self.png.samples()


class TiffReader(ImageReader):
    """Reads a TIFF for which Pillow has no mode, or no mode that keeps its samples."""

    def __init__(self, data: bytes, layout: tiff.TiffLayout, remark: str) -> None:
        self.data, self.layout = data, layout
        size = (layout.width, layout.height)
        width, height = size[::-1] if layout.orientation in SWAPPED_ORIENTATIONS else size
        depth = layout.dtype if layout.dtype != "uint8" else ""
        self.header = ImageHeader(height, width, layout.colours == 1, depth, remark)

    @property
    def stored_size(self) -> tuple[int, int]:
        return self.layout.width, self.layout.height

    @property
    def decoded_bytes(self) -> int:
        return self.layout.width * self.layout.height * self.layout.bands * max(1, self.layout.bits // 8)

    def draft(self, min_side: int) -> None:
        pass

    def decode(self, mode: str, pixel_range: PixelRange | None) -> tuple[Image.Image, PixelRange | None]:
        full_range = (0.0, 2.0**self.layout.bits - 1) if self.layout.dtype.startswith("uint") else None
        depth = self.header.depth
        image, values = _to_8_bits(self.samples(), depth, pixel_range if depth else full_range, full_range)
        image = transpose_by(image, self.layout.orientation)
        return image if image.mode == mode else image.convert(mode), values if depth else None

    def samples(self) -> PixelValues:
        return tiff_pixels.read_samples(self.data, self.layout)

    def close(self) -> None:
        pass


def _to_8_bits(
    samples: PixelValues, dtype: str, pixel_range: PixelRange | None, full_range: PixelRange | None = None
) -> tuple[Image.Image, PixelRange]:
    """Return the 8-bit image, converted by `pixel_range`, `full_range` or its own values, and its value range."""
    values = value_range(samples.values)
    black_to_white = pixel_range or full_range or single_image_range(*values, dtype)
    return to_image(samples, black_to_white, down=pixel_range is None), values


def transpose_by(image: Image.Image, exif_orientation: int) -> Image.Image:
    method = TRANSPOSES.get(exif_orientation)
    return image if method is None else image.transpose(method)


def open_tiff(data: bytes) -> ImageReader:
    """Return the reader that keeps all of a TIFF. Raise `UnsupportedImage` if there is none."""
    layout = tiff.read_layout(data)
    if layout is None or not layout.is_valid:
        return ImageReader(TiffImageFile(BytesIO(data)))
    if layout.first(tiff.TILE_WIDTH, 0) * layout.first(tiff.TILE_LENGTH, 0) > MAX_TILE_PIXELS:
        raise ValueError("impossible size of tiles")  # libtiff would allocate as much memory
    if layout.compression not in COMPRESSION_INFO:
        raise tiff_pixels.UnsupportedImage(layout.description)
    remark = _remark(layout)
    if needs_own_reader(layout):
        return TiffReader(data, layout, remark)
    high_depth = layout.bits > 8 and layout.photometric in (tiff.WHITE_IS_ZERO, tiff.BLACK_IS_ZERO, tiff.RGB)
    if high_depth or (
        layout.photometric == tiff.YCBCR
        and layout.compression == 1
        and set(layout.tags.get(tiff.SUBSAMPLING, (1,))) > {1}
    ):
        raise tiff_pixels.UnsupportedImage(layout.description)
    try:
        return ImageReader(TiffImageFile(BytesIO(data)), remark=remark)
    except SyntaxError as error:
        if is_simple(layout) and layout.bits <= 8:
            return TiffReader(data, layout, remark)
        raise tiff_pixels.UnsupportedImage(layout.description) from error


def _remark(layout: tiff.TiffLayout) -> str:
    """Say which content of the file is ignored. Raise `UnsupportedImage` if it is unclear which bands are the image."""
    extra = layout.extra or (tiff.UNSPECIFIED,) * (layout.bands - layout.colours)
    if not layout.extra and layout.photometric == tiff.RGB and layout.bands == 4:
        extra = (tiff.UNASSOCIATED,)  # as in other programs
    alpha = sum(kind != tiff.UNSPECIFIED for kind in extra)
    spare = layout.bands - layout.colours - min(alpha, 1)
    remarks = []
    if layout.colours == 1 and layout.photometric != tiff.PALETTE and spare:
        raise tiff_pixels.UnsupportedImage(layout.description)
    if spare and layout.colours:
        name = {tiff.RGB: "red, green and blue", tiff.PALETTE: "the palette indices"}.get(
            layout.photometric, "the colours"
        )
        remarks.append(BANDS_REMARK.format(bands=layout.bands, name=name))
    if layout.pages > 1:
        remarks.append(PAGES_REMARK.format(pages=layout.pages))
    return "; ".join(remarks)


def needs_own_reader(layout: tiff.TiffLayout) -> bool:
    """Return whether `TiffReader` must read the file.

    Its samples have more than eight bits, or a planar layout that Pillow does not support.
    """
    planar = layout.planar and layout.bits == 8 and layout.bands > layout.colours
    return (layout.bits > 8 or layout.format in (2, 3) or planar) and is_simple(layout)


def is_simple(layout: tiff.TiffLayout) -> bool:
    """Return whether the file holds grey or RGB samples in a format that `tiff_pixels` supports."""
    grey_or_rgb = layout.photometric in (tiff.WHITE_IS_ZERO, tiff.BLACK_IS_ZERO, tiff.RGB)
    bytewise = layout.bits in (8, 16, 32, 64)
    supported = {
        1: 0 < layout.bits <= 64 and layout.predictor in ((1, 2) if bytewise else (1,)),
        2: bytewise and layout.predictor in (1, 2),
        3: layout.bits in (16, 32, 64) and layout.predictor in (1, 3),
    }
    return (
        grey_or_rgb
        and layout.compression in tiff.BYTE_COMPRESSIONS
        and supported.get(1 if layout.format == 4 else layout.format, False)
    )


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height of the upright image without decoding it."""
    if image.format == "PNG" and "exif" not in image.info:
        return image.size  # Pillow would decode the image to look for metadata after it
    size = image.size
    if isinstance(image, TiffImageFile):  # some versions of Pillow have already swapped this size
        size = int(image.tag_v2[IMAGEWIDTH]), int(image.tag_v2[IMAGELENGTH])
    return size[::-1] if orientation(image) in SWAPPED_ORIENTATIONS else size

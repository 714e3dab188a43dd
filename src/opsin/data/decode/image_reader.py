"""An image file that is open and not yet decoded: what it is, and how its pixels are come by."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import COMPRESSION_INFO, IMAGELENGTH, IMAGEWIDTH, TiffImageFile

from opsin.data.decode import tiff, tiff_pixels
from opsin.data.decode.bit_depth import PixelRange, Samples, single_image_range, to_image, value_range
from opsin.data.decode.convert import SWAPPED_ORIENTATIONS, TRANSPOSES, exif_transpose, is_grey, orientation, to_mode
from opsin.data.decode.formats import DECODERS
from opsin.data.decode.png import Png

DEEP = {"I": "int32", "F": "float32"}
"""Pillow's modes of more than eight bits, beside those that begin with I;16."""

MAX_TILE_PIXELS = 2**26
"""Pixels."""

BANDS_REMARK = "of its {bands} bands, those beside {name} are left out"
PAGES_REMARK = "of its {pages} images, the first is taken"


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says of itself before it is decoded; height and width as it is seen upright.

    `depth` is the type of numbers that need a range of values to become bytes ("uint16", "float32", …; else ""),
    `remark` what of the file is left out ("" where nothing is).
    """

    height: int
    width: int
    grey: bool
    depth: str = ""
    remark: str = ""


class ImageReader:
    """An image that Pillow has opened."""

    def __init__(self, image: Image.Image, depth: str = "", remark: str = "") -> None:
        self.image, self.turned = image, _size(image)
        depth = depth or DEEP.get(image.mode, "uint16" if image.mode.startswith("I;16") else "")
        self.header = ImageHeader(self.turned[1], self.turned[0], is_grey(image.mode), depth, remark)

    @property
    def stored(self) -> tuple[int, int]:
        """Width and height of what is decoded."""
        return self.image.size

    @property
    def bytes(self) -> int:
        """What the numbers take that are decoded, where they are deep."""
        return 4 * self.image.width * self.image.height if self.header.depth else 0

    def reduce(self, least: int) -> None:
        """A JPEG will be decoded with sides of at least `least` only."""
        self.image.draft(None, (least, least))

    def decode(self, mode: str, chosen: PixelRange | None) -> tuple[Image.Image, PixelRange | None]:
        """The image upright, L or RGB, and of deep ones the least and largest value in it."""
        if not self.header.depth:
            self.image.load()
            return to_mode(exif_transpose(self.image), mode), None
        made, values = _bytes_of(self.samples(), self.header.depth, chosen)
        made = transpose_by(made, orientation(self.image))
        return made if made.mode == mode else made.convert(mode), values

    def samples(self) -> Samples:
        self.image.load()
        return Samples(np.asarray(self.image)[..., None])

    def close(self) -> None:
        self.image.close()


class PngReader(ImageReader):
    def __init__(self, data: bytes) -> None:
        self.png = Png(data)
        super().__init__(DECODERS["PNG"](BytesIO(self.png.data)), self.png.depth)

    @property
    def bytes(self) -> int:
        return self.png.channels * super().bytes // 2

    def samples(self) -> Samples:
        return self.png.samples()


class TiffReader(ImageReader):
    """A TIFF that Pillow has no mode for, or none that keeps its numbers."""

    def __init__(self, data: bytes, form: tiff.TiffLayout, remark: str) -> None:
        self.data, self.form = data, form
        size = (form.width, form.height)
        self.turned = size[::-1] if form.orientation in SWAPPED_ORIENTATIONS else size
        depth = form.kind if form.kind != "uint8" else ""
        self.header = ImageHeader(self.turned[1], self.turned[0], form.colours == 1, depth, remark)

    @property
    def stored(self) -> tuple[int, int]:
        return self.form.width, self.form.height

    @property
    def bytes(self) -> int:
        return self.form.width * self.form.height * self.form.bands * max(1, self.form.bits // 8)

    def reduce(self, least: int) -> None:
        pass

    def decode(self, mode: str, chosen: PixelRange | None) -> tuple[Image.Image, PixelRange | None]:
        whole = (0.0, 2.0**self.form.bits - 1) if self.form.kind.startswith("uint") else None
        depth = self.header.depth
        made, values = _bytes_of(self.samples(), depth, chosen if depth else whole, whole)
        made = transpose_by(made, self.form.orientation)
        return made if made.mode == mode else made.convert(mode), values if depth else None

    def samples(self) -> Samples:
        return tiff_pixels.samples(self.data, self.form)

    def close(self) -> None:
        pass


def _bytes_of(
    samples: Samples, kind: str, chosen: PixelRange | None, whole: PixelRange | None = None
) -> tuple[Image.Image, PixelRange]:
    """The image in shades of `chosen`, without it in those of `whole`, or by its own values; and these."""
    values = value_range(samples.values)
    return to_image(samples, chosen or whole or single_image_range(*values, kind), down=chosen is None), values


def transpose_by(image: Image.Image, turned: int) -> Image.Image:
    turn = TRANSPOSES.get(turned)
    return image if turn is None else image.transpose(turn)


def open_tiff(data: bytes) -> ImageReader:
    """A TIFF, by the reader that keeps all of it; `UnsupportedImage` where none reads its kind."""
    form = tiff.layout(data)
    if form is None or not form.sound:
        return ImageReader(TiffImageFile(BytesIO(data)))
    if form.first(tiff.TILE_WIDTH, 0) * form.first(tiff.TILE_LENGTH, 0) > MAX_TILE_PIXELS:
        raise ValueError("tiles of no possible size")  # libtiff would ask for as much memory
    if form.compression not in COMPRESSION_INFO:
        raise tiff_pixels.UnsupportedImage(form.words)
    remark = _remark(form)
    if needs_own_reader(form):
        return TiffReader(data, form, remark)
    deep = form.bits > 8 and form.photometric in (tiff.WHITE_IS_ZERO, tiff.BLACK_IS_ZERO, tiff.RGB)
    if deep or (
        form.photometric == tiff.YCBCR and form.compression == 1 and set(form.tags.get(tiff.SUBSAMPLING, (1,))) > {1}
    ):
        raise tiff_pixels.UnsupportedImage(form.words)
    try:
        return ImageReader(TiffImageFile(BytesIO(data)), remark=remark)
    except SyntaxError as error:
        if is_simple(form) and form.bits <= 8:
            return TiffReader(data, form, remark)
        raise tiff_pixels.UnsupportedImage(form.words) from error


def _remark(form: tiff.TiffLayout) -> str:
    """What of the file is left out; `UnsupportedImage` where nobody can tell which of its bands are the image."""
    beside = form.extra or (tiff.UNSPECIFIED,) * (form.bands - form.colours)
    if not form.extra and form.photometric == tiff.RGB and form.bands == 4:
        beside = (tiff.UNASSOCIATED,)  # as other programs take it
    alpha = sum(what != tiff.UNSPECIFIED for what in beside)
    spare = form.bands - form.colours - min(alpha, 1)
    found = []
    if form.colours == 1 and form.photometric != tiff.PALETTE and spare:
        raise tiff_pixels.UnsupportedImage(form.words)
    if spare and form.colours:
        name = {tiff.RGB: "red, green and blue", tiff.PALETTE: "the palette's"}.get(form.photometric, "its colours")
        found.append(BANDS_REMARK.format(bands=form.bands, name=name))
    if form.pages > 1:
        found.append(PAGES_REMARK.format(pages=form.pages))
    return "; ".join(found)


def needs_own_reader(form: tiff.TiffLayout) -> bool:
    """Whether the numbers are deep, or lie apart as Pillow does not know it, and are of a kind that is read here."""
    apart = form.planar and form.bits == 8 and form.bands > form.colours
    return (form.bits > 8 or form.format in (2, 3) or apart) and is_simple(form)


def is_simple(form: tiff.TiffLayout) -> bool:
    """Whether the file holds grey or RGB in numbers that lie as `tiff_pixels` knows them."""
    greys_or_rgb = form.photometric in (tiff.WHITE_IS_ZERO, tiff.BLACK_IS_ZERO, tiff.RGB)
    bytewise = form.bits in (8, 16, 32, 64)
    known = {
        1: 0 < form.bits <= 64 and form.predictor in ((1, 2) if bytewise else (1,)),
        2: bytewise and form.predictor in (1, 2),
        3: form.bits in (16, 32, 64) and form.predictor in (1, 3),
    }
    return (
        greys_or_rgb
        and form.compression in tiff.BYTE_COMPRESSIONS
        and known.get(1 if form.format == 4 else form.format, False)
    )


def _size(image: Image.Image) -> tuple[int, int]:
    """Width and height when upright, without decoding."""
    if image.format == "PNG" and "exif" not in image.info:
        return image.size  # Pillow would decode everything to look for metadata behind it
    size = image.size
    if isinstance(image, TiffImageFile):  # some versions of Pillow have turned this size already
        size = int(image.tag_v2[IMAGEWIDTH]), int(image.tag_v2[IMAGELENGTH])
    return size[::-1] if orientation(image) in SWAPPED_ORIENTATIONS else size

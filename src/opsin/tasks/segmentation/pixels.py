"""Decode the values of a mask file: class ids, palette indices or colours.

Only formats that store masks are decoded. Sizes are checked before memory is allocated.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from opsin.tasks.segmentation.problems import DAMAGED_MASK, TOO_LARGE, MaskError

MAX_MASK_PIXELS = 2**27
MAX_MASK_BYTES = 2**28

DECODERS: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"\xff\xd8\xff", JpegImageFile),
    (b"GIF8", GifImageFile),
    (b"BM", BmpImageFile),
    (b"II*\0", TiffImageFile),
    (b"MM\0*", TiffImageFile),
    (b"RIFF", WebPImageFile),
    *((b"P%d" % number, PpmImageFile) for number in range(1, 7)),
)
"""The first bytes of each format, and its decoder."""

GREY, PALETTE, COLOUR = "grey", "palette", "colour"
GREY_MODES = ("1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
PNG_GREY_STEPS = {2: 85, 4: 17}
"""Pillow spreads grey values of 2 and 4 bits over 0 to 255: the factor for each number of bits."""


@dataclass(frozen=True, eq=False)
class Pixels:
    """The values of a mask, H × W: grey values, palette indices, or colours as red · 65536 + green · 256 + blue."""

    values: NDArray[np.int32]
    mode: str
    """`GREY`, `PALETTE` or `COLOUR`."""
    bits: int = 8
    """Bits per value of a grey mask."""
    palette: tuple[int, ...] = ()
    """The colour of each index, as in `values`."""
    lossy: bool = False
    """Whether compression may have changed values."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.values.shape
        return height, width

    @property
    def colours(self) -> Pixels:
        """The same mask with colours in place of palette indices."""
        if self.mode != PALETTE:
            return self
        table = np.zeros(256, np.int32)
        table[: len(self.palette)] = self.palette[:256]
        return Pixels(table[self.values], COLOUR, lossy=self.lossy)


def decode(data: bytes) -> Pixels:
    """Return the values of a mask file. Raise `MaskError` if it is too large, damaged or of another format."""
    if len(data) > MAX_MASK_BYTES:
        raise MaskError(f"{len(data):,} bytes, more than the limit of {MAX_MASK_BYTES:,}", TOO_LARGE)
    decoder = next((decoder for start, decoder in DECODERS if data.startswith(start)), None)
    if decoder is None:
        raise MaskError("not a PNG, GIF, BMP, TIFF, WebP, PNM or JPEG image" if data else "empty", DAMAGED_MASK)
    try:
        return _decoded(decoder(BytesIO(data)), data)
    except MaskError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly any exception for damaged files
        raise MaskError(f"damaged: {type(error).__name__}") from None


def _decoded(image: ImageFile, data: bytes) -> Pixels:
    pixels = image.width * image.height
    if pixels > MAX_MASK_PIXELS:
        raise MaskError(f"{pixels:,} pixels, more than the limit of {MAX_MASK_PIXELS:,}", TOO_LARGE)
    image.load()
    upright = ImageOps.exif_transpose(image)
    lossy = isinstance(image, JpegImageFile)
    if image.mode in GREY_MODES:
        return _grey(upright, _png_step(image, data), lossy)
    if image.mode == "P":
        return Pixels(np.asarray(upright).astype(np.int32), PALETTE, palette=_palette(image), lossy=lossy)
    return Pixels(packed(np.asarray(upright.convert("RGB"))), COLOUR, lossy=lossy)


def _png_step(image: ImageFile, data: bytes) -> int:
    grey_png = isinstance(image, PngImageFile) and data[25] == 0
    return PNG_GREY_STEPS.get(data[24], 1) if grey_png else 1


def _grey(image: Image.Image, step: int, lossy: bool) -> Pixels:
    values = np.asarray(image.getchannel("L") if image.mode == "LA" else image)
    if values.dtype.kind == "f":
        if not (np.isfinite(values).all() and (values == np.rint(values)).all()):
            raise MaskError("real numbers that are not whole; a mask holds class ids", DAMAGED_MASK)
        values = values.clip(-(2.0**31), 2.0**31 - 1024)
    bits = 1 if image.mode == "1" else 16 if values.dtype.itemsize > 1 else 8
    return Pixels(values.astype(np.int32) // step, GREY, bits, lossy=lossy)


def _palette(image: Image.Image) -> tuple[int, ...]:
    colours = np.array(image.getpalette("RGB") or [], np.uint8)
    return tuple(packed(colours[: len(colours) // 3 * 3].reshape(1, -1, 3))[0].tolist())


def packed(colours: NDArray[Any]) -> NDArray[np.int32]:
    """Return colours … × 3 as whole numbers: red · 65536 + green · 256 + blue."""
    whole = colours.astype(np.int32)
    return whole[..., 0] << 16 | whole[..., 1] << 8 | whole[..., 2]

"""Picture files to arrays: decoded, turned upright, grey or RGB, and of the size asked for."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from opsin.errors import DataError

Source: TypeAlias = "Path | bytes"
"""A picture's file, or the bytes of one."""

INTERPOLATIONS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
"""Pillow's, which smooth where a picture becomes smaller."""

MOST_LONG = 16
"""A picture may be so many times as long as it is wide; the middle of a longer one is taken."""

GREY_MODES = ("1", "L", "LA", "I", "F")


@dataclass(frozen=True)
class Header:
    """What a picture file says of itself before it is decoded."""

    height: int
    width: int
    grey: bool


@dataclass(frozen=True)
class Crop:
    """The way of ImageNet's networks: the shorter side becomes `resize` pixels, then the middle is cut out.

    Sizes and places are rounded as torchvision rounds them, so that the pixels are the same.
    """

    resize: int
    interpolation: str
    """A key of `INTERPOLATIONS`."""

    def apply(self, image: Image.Image, height: int, width: int) -> Image.Image:
        """The middle of the resized picture, `height` × `width`."""
        shorter = min(image.size)
        if max(image.size) > MOST_LONG * shorter:  # resized whole it could take any amount of memory
            most = MOST_LONG * shorter
            image = ImageOps.fit(image, (min(image.width, most), min(image.height, most)))
        columns, rows = (self.resize if side == shorter else int(self.resize * side / shorter) for side in image.size)
        resized = image.resize((columns, rows), INTERPOLATIONS[self.interpolation])
        left, top = round((columns - width) / 2), round((rows - height) / 2)
        return resized.crop((left, top, left + width, top + height))


def read_header(source: Source, name: str) -> Header:
    """Size and kind of a picture; `DataError` where the file is none."""
    try:
        with _open(source) as image:
            grey = image.mode in GREY_MODES or image.mode.startswith("I;16")
            return Header(image.height, image.width, grey)
    except Exception as error:
        raise _explain(error, source, name) from None


def read_picture(source: Source, name: str, shape: tuple[int, int, int], crop: Crop | None = None) -> NDArray[np.uint8]:
    """The picture as uint8 C×H×W; a picture of other proportions loses what sticks out at two edges.

    `name` is what messages call it. With a `crop`, more of all four edges goes. Raises `DataError` where the file is
    missing, no picture, or truncated.
    """
    channels, height, width = shape
    try:
        with _open(source) as image:
            if crop is None:
                image.draft(None, (2 * width, 2 * height))  # lets JPEG skip detail that the resizing would lose
            ImageOps.exif_transpose(image, in_place=True)
            plain = _plain(image, "L" if channels == 1 else "RGB")
            if crop is None:
                fitted = ImageOps.fit(plain, (width, height), Image.Resampling.BICUBIC)
            else:
                fitted = crop.apply(plain, height, width)
            pixels = np.asarray(fitted, np.uint8).reshape(height, width, channels)
            return np.ascontiguousarray(pixels.transpose(2, 0, 1))
    except Exception as error:
        raise _explain(error, source, name) from None


def _open(source: Source) -> Image.Image:
    return Image.open(BytesIO(source) if isinstance(source, bytes) else source)


def _plain(image: Image.Image, mode: str) -> Image.Image:
    """The image in `mode` L or RGB: 16 bits become 8, what is transparent becomes white."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.clip(np.asarray(image, np.int64), 0, 65535) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert(mode)


def _explain(error: Exception, source: Source, name: str) -> DataError:
    """The reason in words. Decoders raise anything at all on damaged files, so everything is caught."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"{name}: there is no such file; give the path of a picture")
    if isinstance(error, PermissionError):
        return DataError(f"{name}: reading this file is not permitted; change its permissions or leave it out")
    if isinstance(error, IsADirectoryError):
        return DataError(f"{name} is a folder, not a picture")
    if isinstance(error, OSError) and error.errno:
        return DataError(f"{name} cannot be read: {error.strerror}")
    if isinstance(error, Image.DecompressionBombError):
        return DataError(f"{name}: the picture is too large to decode safely; make it smaller first")
    if (len(source) if isinstance(source, bytes) else source.stat().st_size) == 0:
        return DataError(f"{name} is empty, not a picture; save it again or leave it out")
    if isinstance(error, UnidentifiedImageError):
        return DataError(f"{name} is not a picture that can be read; give a PNG, JPEG or other common picture file")
    return DataError(f"{name} is damaged or cut short ({_first_line(error)}); save the picture again or leave it out")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

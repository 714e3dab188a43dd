"""A picture file's header, and its pixels: safely, whatever is in the file.

Nothing is decoded before its size is known to be bearable, and large pictures are decoded one at a time, so that
memory stays below a gigabyte for any number of threads that read camera pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile

from opsin.concurrency import ForkLock
from opsin.data.files import MOST_BYTES, read_file, too_many_bytes
from opsin.data.items import DAMAGED, EMPTY, NO_PICTURE, TOO_LARGE, ItemError, Problem
from opsin.data.pictures.fit import Crop, fit
from opsin.data.pictures.formats import DECODERS, claim, describe, recognise
from opsin.data.pictures.plain import LYING, is_grey, orientation, plain, upright
from opsin.data.pictures.quiet import quiet

Source: TypeAlias = "Path | bytes"
"""A picture's file, or the bytes of one."""

MOST_PIXELS = 2**26
"""Pixels that are decoded of one picture: 67 million, such as 8,192 × 8,192."""

MOST_REDUCED = 2**28
"""Pixels of a JPEG that is never whole in memory, as it is reduced while it is decoded: 268 million."""

LARGE = 2**24
"""Pixels from which on pictures are decoded one at a time."""

DRAFT = 2
"""JPEGs are reduced while they are decoded, in the frequency domain, to no less than so many times the size wanted."""

_large = ForkLock()


@dataclass(frozen=True)
class Header:
    """What a picture file says of itself before it is decoded; height and width as it is seen upright."""

    height: int
    width: int
    grey: bool


def read_header(source: Source, name: str) -> Header:
    """Size and kind of a picture; `ItemError` where the file is none, or too large to decode."""
    data = _bytes(source, name)
    with _explained(data, name), _opened(data, name, None) as (_, header):
        return header


def read_picture(source: Source, name: str, shape: tuple[int, int, int], crop: Crop | None = None) -> NDArray[np.uint8]:
    """The picture as uint8 C×H×W; a picture of other proportions loses what sticks out at two edges.

    `name` is what messages call it. With a `crop`, more of all four edges goes. Raises `ItemError` where the file is
    missing, no picture, truncated, or too large to decode.
    """
    return read_both(source, name, shape, crop)[1]


def read_both(
    source: Source, name: str, shape: tuple[int, int, int], crop: Crop | None = None
) -> tuple[Header, NDArray[np.uint8]]:
    """What `read_header` and `read_picture` give, opening the picture once."""
    channels, height, width = shape
    least = crop.resize if crop else max(height, width)
    data = _bytes(source, name)
    with _explained(data, name), _opened(data, name, DRAFT * least) as (image, header):
        image.load()
        decoded = plain(upright(image), "L" if channels == 1 else "RGB")
        return header, crop.apply(decoded, height, width) if crop else fit(decoded, height, width)


def _size(image: ImageFile) -> tuple[int, int]:
    """Width and height when upright, without decoding."""
    if image.format == "PNG" and "exif" not in image.info:
        return image.size  # Pillow would decode everything to look for metadata behind it
    size = image.size
    if isinstance(image, TiffImageFile):  # some versions of Pillow have turned this size already
        size = int(image.tag_v2[IMAGEWIDTH]), int(image.tag_v2[IMAGELENGTH])
    return size[::-1] if orientation(image) in LYING else size


def _bytes(source: Source, name: str) -> bytes:
    data = source if isinstance(source, bytes) else read_file(source, name)
    if len(data) > MOST_BYTES:
        raise too_many_bytes(name, len(data))
    return data


@contextmanager
def _opened(data: bytes, name: str, least: int | None) -> Iterator[tuple[ImageFile, Header]]:
    """The picture, not decoded yet, and its header; a JPEG will have sides of at least `least`, for None all it has."""
    format = recognise(data)
    if not data or format is None:
        raise _no_picture(data, name)
    said = claim(data, format)
    if said and said.width * said.height > (MOST_PIXELS if said.whole else MOST_REDUCED):
        raise _too_large(name, said.width, said.height)
    with quiet(), DECODERS[format](BytesIO(data)) as image:
        (width, height), (wide, high) = image.size, _size(image)
        header = Header(high, wide, is_grey(image.mode))
        if format == "JPEG" and least:
            image.draft(None, (least, least))
        reducible = format == "JPEG" and least is None
        if image.width * image.height > (MOST_REDUCED if reducible else MOST_PIXELS):
            raise _too_large(name, width, height)
        at_once = width * height if said and said.whole else image.width * image.height
        with _large.lock if least and at_once >= LARGE else nullcontext():
            yield image, header


@contextmanager
def _explained(data: bytes, name: str) -> Iterator[None]:
    """Decoders raise anything at all on damaged files, so everything becomes an `ItemError`."""
    try:
        yield
    except ItemError:
        raise
    except MemoryError:
        text = f"{name}: there is not enough memory to decode this picture; make it smaller first"
        raise ItemError(text, Problem(name, "more memory than there is", TOO_LARGE)) from None
    except Image.DecompressionBombError:  # a GIF's frame may be larger than its screen
        text = f"{name} has more pixels than it says, too many to decode safely; make it smaller first"
        raise ItemError(text, Problem(name, "more pixels than it says, too many", TOO_LARGE)) from None
    except Exception as error:
        detail = next(iter(str(error).strip().splitlines()), type(error).__name__)
        text = f"{name} is damaged or cut short ({detail}); save the picture again or leave it out"
        cut = isinstance(error, EOFError) or "truncated" in detail.lower()
        raise ItemError(text, Problem(name, "cut short" if cut else f"damaged ({detail})", DAMAGED)) from None


def _no_picture(data: bytes, name: str) -> ItemError:
    if not data:
        text = f"{name} is empty, not a picture; save it again or leave it out"
        return ItemError(text, Problem(name, "empty", EMPTY))
    what = describe(data)
    if what and " picture, which" in what:  # one of a format that is not read
        text = f"{name} is {what.replace(': ', '; ')}"
        return ItemError(text, Problem(name, what, NO_PICTURE))
    seems = f" but {what}" if what else " that can be read"
    text = f"{name} is not a picture{seems}; give a PNG, JPEG or other common picture file"
    return ItemError(text, Problem(name, f"not a picture ({what})" if what else "not a picture", NO_PICTURE))


def _too_large(name: str, width: int, height: int) -> ItemError:
    size = f"{width:,} × {height:,} pixels"
    text = f"{name} has {size}, too large to decode safely; make it smaller first"
    return ItemError(text, Problem(name, f"{size}, too large to decode safely", TOO_LARGE))

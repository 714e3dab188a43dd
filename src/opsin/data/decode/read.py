"""An image file's header, and its pixels: safely, whatever is in the file.

Nothing is decoded before its size is known to be bearable, and large images are decoded one at a time, so that
memory stays below a gigabyte for any number of threads that read camera images.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from opsin.base.concurrency import ForkLock
from opsin.data.decode.bit_depth import PixelRange, value_range
from opsin.data.decode.fit import Crop, fit
from opsin.data.decode.formats import DECODERS, declared_size, describe, recognise
from opsin.data.decode.image_reader import ImageHeader, ImageReader, PngReader, open_tiff
from opsin.data.decode.pillow_warnings import suppress_pillow_warnings
from opsin.data.decode.tiff_pixels import UnsupportedImage
from opsin.data.file_io import MAX_IMAGE_BYTES, read_file, too_large_error
from opsin.data.items import DAMAGED, EMPTY, NOT_AN_IMAGE, TOO_LARGE, FileProblem, ItemError

ImageSource: TypeAlias = "Path | bytes"
"""An image's file, or the bytes of one."""

MAX_PIXELS = 2**26
"""Pixels that are decoded of one image: 67 million, such as 8,192 × 8,192."""

MAX_DRAFT_PIXELS = 2**28
"""Pixels of a JPEG that is never whole in memory, as it is reduced while it is decoded: 268 million."""

MAX_HIGH_DEPTH_BYTES = 300 * 10**6
"""Bytes of numbers that are decoded of an image of more than eight bits a channel, or of many bands."""

ADVICE = "save it as grey or RGB of 8 or 16 bits"

MIN_LARGE_PIXELS = 2**24
"""Pixels from which on images are decoded one at a time."""

DRAFT_FACTOR = 2
"""JPEGs are reduced while they are decoded, in the frequency domain, to no less than so many times the size wanted."""

_large = ForkLock()


def read_header(source: ImageSource, name: str) -> ImageHeader:
    """Size and kind of an image; `ItemError` where the file is none, or too large to decode."""
    data = _bytes(source, name)
    with _explain_errors(data, name), _opened(data, name, None) as opened:
        return opened.header


def read_pixels(
    source: ImageSource,
    name: str,
    shape: tuple[int, int, int],
    crop: Crop | None = None,
    pixel_range: PixelRange | None = None,
) -> NDArray[np.uint8]:
    """The image as uint8 C×H×W; an image of other proportions loses what sticks out at two edges.

    `name` is what messages call it. With a `crop`, more of all four edges goes. `pixel_range` is what becomes black and
    white in images of more than eight bits; without it, each image's own values decide. Raises `ItemError` where
    the file is missing, no image, truncated, or too large to decode.
    """
    return decode_image(source, name, shape, crop, pixel_range).pixels


class DecodedImage(NamedTuple):
    """An image with its header; `values` are the least and the largest in it, where it has more than eight bits."""

    header: ImageHeader
    pixels: NDArray[np.uint8]
    values: PixelRange | None


def decode_image(
    source: ImageSource,
    name: str,
    shape: tuple[int, int, int],
    crop: Crop | None = None,
    pixel_range: PixelRange | None = None,
) -> DecodedImage:
    """What `read_header` and `read_pixels` give, opening the image once."""
    least = crop.resize if crop else max(shape[1:])
    data = _bytes(source, name)
    with _explain_errors(data, name), _opened(data, name, DRAFT_FACTOR * least) as opened:
        return _prepare(opened, shape, crop, pixel_range)


def decode_pil(
    image: Image.Image,
    name: str,
    shape: tuple[int, int, int],
    crop: Crop | None = None,
    pixel_range: PixelRange | None = None,
) -> DecodedImage:
    """An image of Pillow's as `decode_image` gives its file: all of that where it was only opened, else what it shows.

    A large JPEG that is decoded already was not reduced on the way, so that its pixels may differ a little.
    """
    data = _undecoded_bytes(image)
    if data is not None:
        return decode_image(data, name, shape, crop, pixel_range)
    try:
        with suppress_pillow_warnings():
            image.load()
            if min(image.size) > 0:
                return _prepare(ImageReader(image), shape, crop, pixel_range)
    except Exception as error:
        detail = next(iter(str(error).strip().splitlines()), type(error).__name__)
        text = f"{name} cannot be used ({detail}); give a Pillow image that is open, or its file"
        raise ItemError(text, FileProblem(name, f"cannot be used ({detail})", DAMAGED)) from None
    raise ItemError(f"{name} has no pixels; give an image with some", FileProblem(name, "no pixels", EMPTY))


def _prepare(
    opened: ImageReader, shape: tuple[int, int, int], crop: Crop | None, pixel_range: PixelRange | None
) -> DecodedImage:
    """An image decoded, upright, grey or RGB, and of the size asked for."""
    channels, height, width = shape
    image, values = opened.decode("L" if channels == 1 else "RGB", pixel_range)
    pixels = crop.apply(image, height, width) if crop else fit(image, height, width)
    return DecodedImage(opened.header, pixels, values)


def _undecoded_bytes(image: Image.Image) -> bytes | None:
    """What is in the file of an image that was opened but not decoded yet, and is at its first frame."""
    file = getattr(image, "fp", None)
    if not isinstance(image, ImageFile) or file is None or not image.tile or image.tell():
        return None
    try:
        place = file.tell()
        file.seek(0)
        data: bytes = file.read(MAX_IMAGE_BYTES + 1)
        file.seek(place)
    except (OSError, ValueError):
        return None
    return data


def read_value_range(source: ImageSource, name: str) -> tuple[ImageHeader, PixelRange | None]:
    """The header, and the least and the largest value of an image of more than eight bits; others are not decoded."""
    data = _bytes(source, name)
    with _explain_errors(data, name), _opened(data, name, None, alone=True) as opened:
        return opened.header, value_range(opened.samples().values) if opened.header.depth else None


def may_have_high_depth(data: bytes) -> bool:
    """Whether the file could have more than eight bits a channel, by its first bytes."""
    format = recognise(data)
    if format == "PNG":
        return data[24:25] == b"\x10"
    return format not in ("JPEG", "GIF", "BMP", "WebP")


def _bytes(source: ImageSource, name: str) -> bytes:
    data = source if isinstance(source, bytes) else read_file(source, name)
    if len(data) > MAX_IMAGE_BYTES:
        raise too_large_error(name, len(data))
    return data


@contextmanager
def _opened(data: bytes, name: str, least: int | None, alone: bool = False) -> Iterator[ImageReader]:
    """The image, not decoded yet; a JPEG will have sides of at least `least`, for None all it has.

    With `least`, or if it is to be `alone`, a large one has to wait until no other is decoded.
    """
    format = recognise(data)
    if not data or format is None:
        raise _no_image(data, name)
    said = declared_size(data, format)
    if said and said.kind:
        raise UnsupportedImage(said.kind)
    if said and said.width * said.height > (MAX_PIXELS if said.whole else MAX_DRAFT_PIXELS):
        raise _too_large(name, said.width, said.height)
    with suppress_pillow_warnings(), closing(_open(data, format)) as opened:
        width, height = opened.stored
        if format == "JPEG" and least:
            opened.reduce(least)
        wide, high = opened.stored
        reducible = format == "JPEG" and least is None
        if wide * high > (MAX_DRAFT_PIXELS if reducible else MAX_PIXELS) or opened.bytes > MAX_HIGH_DEPTH_BYTES:
            raise _too_large(name, width, height)
        at_once = width * height if said and said.whole else wide * high
        with _large.lock if (least or alone) and max(at_once, opened.bytes // 4) >= MIN_LARGE_PIXELS else nullcontext():
            yield opened


def _open(data: bytes, format: str) -> ImageReader:
    if format == "PNG":
        return PngReader(data)
    return open_tiff(data) if format == "TIFF" else ImageReader(DECODERS[format](BytesIO(data)))


@contextmanager
def _explain_errors(data: bytes, name: str) -> Iterator[None]:
    """Decoders raise anything at all on damaged files, so everything becomes an `ItemError`."""
    try:
        yield
    except ItemError:
        raise
    except UnsupportedImage as error:
        text = f"{name} is {error}, which is not read; {ADVICE}"
        raise ItemError(text, FileProblem(name, f"{error}, which is not read: {ADVICE}", NOT_AN_IMAGE)) from None
    except MemoryError:
        text = f"{name}: there is not enough memory to decode this image; make it smaller first"
        raise ItemError(text, FileProblem(name, "more memory than there is", TOO_LARGE)) from None
    except Image.DecompressionBombError:  # a GIF's frame may be larger than its screen
        text = f"{name} has more pixels than it says, too many to decode safely; make it smaller first"
        raise ItemError(text, FileProblem(name, "more pixels than it says, too many", TOO_LARGE)) from None
    except Exception as error:
        detail = next(iter(str(error).strip().splitlines()), type(error).__name__)
        text = f"{name} is damaged or cut short ({detail}); save the image again or leave it out"
        cut = isinstance(error, EOFError) or "truncated" in detail.lower()
        raise ItemError(text, FileProblem(name, "cut short" if cut else f"damaged ({detail})", DAMAGED)) from None


def _no_image(data: bytes, name: str) -> ItemError:
    if not data:
        text = f"{name} is empty, not an image; save it again or leave it out"
        return ItemError(text, FileProblem(name, "empty", EMPTY))
    what = describe(data)
    if what and " image, which" in what:  # one of a format that is not read
        text = f"{name} is {what.replace(': ', '; ')}"
        return ItemError(text, FileProblem(name, what, NOT_AN_IMAGE))
    seems = f" but {what}" if what else " that can be read"
    text = f"{name} is not an image{seems}; give a PNG, JPEG or other common image file"
    return ItemError(text, FileProblem(name, f"not an image ({what})" if what else "not an image", NOT_AN_IMAGE))


def _too_large(name: str, width: int, height: int) -> ItemError:
    size = f"{width:,} × {height:,} pixels"
    text = f"{name} has {size}, too large to decode safely; make it smaller first"
    return ItemError(text, FileProblem(name, f"{size}, too large to decode safely", TOO_LARGE))

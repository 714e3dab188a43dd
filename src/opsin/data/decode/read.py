"""Read headers and pixels of image files safely, whatever the files contain.

Nothing is decoded before its size has been checked, and large images are decoded one at a time, so memory stays below a
gigabyte for any number of threads that read camera images.
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
from opsin.base.image_limits import MAX_PIXELS
from opsin.data.decode.bit_depth import PixelRange, value_range
from opsin.data.decode.fit import Crop, Framing, Portable, fit
from opsin.data.decode.formats import DECODERS, declared_size, describe, recognise, unsupported
from opsin.data.decode.image_reader import ImageHeader, ImageReader, PngReader, open_tiff
from opsin.data.decode.pillow_warnings import suppress_pillow_warnings
from opsin.data.decode.tiff_pixels import UnsupportedImage
from opsin.data.file_io import MAX_IMAGE_BYTES, read_file, too_large_error
from opsin.data.items import DAMAGED, EMPTY, NOT_AN_IMAGE, TOO_LARGE, FileProblem, ItemError

ImageSource: TypeAlias = "Path | bytes"
"""An image file, or its bytes."""

MAX_DRAFT_PIXELS = 2**28
"""Largest number of pixels of a JPEG that is shrunk while it is decoded, and never whole in memory: 268 million."""

MAX_HIGH_DEPTH_BYTES = 300 * 10**6
"""Largest number of bytes of a decoded image with more than eight bits per channel, or with many bands."""

ADVICE = "save it as grey or RGB of 8 or 16 bits"

MIN_LARGE_PIXELS = 2**24
"""Images with at least this many pixels are decoded one at a time."""

DRAFT_FACTOR = 2
"""JPEGs are shrunk while they are decoded, in the frequency domain, to at least this multiple of the final size."""

_large_image_lock = ForkLock()


def read_header(source: ImageSource, name: str) -> ImageHeader:
    """Return the header of an image. Raise `ItemError` if the file is not an image or too large to decode."""
    data = _bytes(source, name)
    with _explain_errors(data, name), _opened(data, name, None) as opened:
        return opened.header


def read_pixels(
    source: ImageSource,
    name: str,
    shape: tuple[int, int, int],
    crop: Framing | None = None,
    pixel_range: PixelRange | None = None,
) -> NDArray[np.uint8]:
    """Return the image as uint8 C×H×W; if its aspect ratio differs, it is cropped at two edges.

    `name` is its name in messages. With a `crop`, all four edges are cropped. The values of `pixel_range` become black
    and white in images with more than eight bits; by default, they follow from the values of the image. Raise
    `ItemError` if the file is missing, not an image, truncated, or too large to decode.
    """
    return decode_image(source, name, shape, crop, pixel_range).pixels


def read_image(source: ImageSource, name: str, pixel_range: PixelRange | None = None) -> Image.Image:
    """Return the whole image as a Pillow image, upright and RGB. Raise `ItemError` as `read_pixels` does."""
    data = _bytes(source, name)
    with _explain_errors(data, name), _opened(data, name, None) as opened:
        return opened.decode("RGB", pixel_range)[0].copy()


class DecodedImage(NamedTuple):
    """An image with its header; `values` are its smallest and largest value if it has more than eight bits."""

    header: ImageHeader
    pixels: NDArray[np.uint8]
    values: PixelRange | None


def decode_image(
    source: ImageSource,
    name: str,
    shape: tuple[int, int, int],
    crop: Framing | None = None,
    pixel_range: PixelRange | None = None,
) -> DecodedImage:
    """Return the results of `read_header` and `read_pixels`, opening the image once."""
    side = crop.resize if isinstance(crop, Crop) else max(shape[1:])
    portable = isinstance(crop, Portable)  # not every decoder can shrink a JPEG
    data = _bytes(source, name)
    with _explain_errors(data, name), _opened(data, name, None if portable else DRAFT_FACTOR * side, True) as opened:
        return _prepare(opened, shape, crop, pixel_range)


def decode_pil(
    image: Image.Image,
    name: str,
    shape: tuple[int, int, int],
    crop: Framing | None = None,
    pixel_range: PixelRange | None = None,
) -> DecodedImage:
    """Decode a Pillow image like its file, if it has only been opened, and otherwise use its current pixels.

    A large JPEG that has already been decoded was not shrunk in the process, so its pixels may differ slightly.
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
    raise ItemError(f"{name} has no pixels; give an image that is not empty", FileProblem(name, "no pixels", EMPTY))


def _prepare(
    opened: ImageReader, shape: tuple[int, int, int], crop: Framing | None, pixel_range: PixelRange | None
) -> DecodedImage:
    """Decode an image: upright, grey or RGB, and of the requested size."""
    channels, height, width = shape
    image, values = opened.decode("L" if channels == 1 else "RGB", pixel_range)
    pixels = crop.apply(image, height, width) if crop else fit(image, height, width)
    return DecodedImage(opened.header, pixels, values)


def _undecoded_bytes(image: Image.Image) -> bytes | None:
    """Return the file of an image that has been opened but not decoded, and is at its first frame; otherwise None."""
    file = getattr(image, "fp", None)
    if not isinstance(image, ImageFile) or file is None or not image.tile or image.tell():
        return None
    try:
        position = file.tell()
        file.seek(0)
        data: bytes = file.read(MAX_IMAGE_BYTES + 1)
        file.seek(position)
    except (OSError, ValueError):
        return None
    return data


def read_value_range(source: ImageSource, name: str) -> tuple[ImageHeader, PixelRange | None]:
    """Return the header, and the smallest and largest value of an image with more than eight bits.

    Other images are not decoded.
    """
    data = _bytes(source, name)
    with _explain_errors(data, name), _opened(data, name, None, exclusive=True) as opened:
        return opened.header, value_range(opened.samples().values) if opened.header.depth else None


def may_have_high_depth(data: bytes) -> bool:
    """Return whether the file may have more than eight bits per channel, according to its first bytes."""
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
def _opened(data: bytes, name: str, min_side: int | None, exclusive: bool = False) -> Iterator[ImageReader]:
    """Yield an image before it is decoded; a JPEG will be shrunk to sides of at least `min_side`, if given.

    With `min_side`, or if `exclusive`, a large image waits until no other large one is being decoded.
    """
    format = recognise(data)
    if not data or format is None:
        raise _no_image(data, name)
    declared = declared_size(data, format)
    if declared and declared.unsupported:
        raise UnsupportedImage(declared.unsupported)
    if declared and declared.width * declared.height > (MAX_PIXELS if declared.whole else MAX_DRAFT_PIXELS):
        raise _too_large(name, declared.width, declared.height)
    with suppress_pillow_warnings(), closing(_open(data, format)) as opened:
        width, height = opened.stored_size
        if format == "JPEG" and min_side:
            opened.draft(min_side)
        draft_width, draft_height = opened.stored_size
        reducible = format == "JPEG" and min_side is None
        if (
            draft_width * draft_height > (MAX_DRAFT_PIXELS if reducible else MAX_PIXELS)
            or opened.decoded_bytes > MAX_HIGH_DEPTH_BYTES
        ):
            raise _too_large(name, width, height)
        at_once = width * height if declared and declared.whole else draft_width * draft_height
        with (
            _large_image_lock.lock
            if (min_side or exclusive) and max(at_once, opened.decoded_bytes // 4) >= MIN_LARGE_PIXELS
            else nullcontext()
        ):
            yield opened


def _open(data: bytes, format: str) -> ImageReader:
    if format == "PNG":
        return PngReader(data)
    return open_tiff(data) if format == "TIFF" else ImageReader(DECODERS[format](BytesIO(data)))


@contextmanager
def _explain_errors(data: bytes, name: str) -> Iterator[None]:
    """Turn any error into an `ItemError`, since decoders raise all kinds of errors for damaged files."""
    try:
        yield
    except ItemError:
        raise
    except UnsupportedImage as error:
        text = f"{name} is {error}, which is not read; {ADVICE}"
        raise ItemError(text, FileProblem(name, f"{error}, which is not read: {ADVICE}", NOT_AN_IMAGE)) from None
    except MemoryError:
        text = f"{name}: there is not enough memory to decode this image; make it smaller first"
        raise ItemError(text, FileProblem(name, "not enough memory", TOO_LARGE)) from None
    except Image.DecompressionBombError:  # the frame of a GIF may be larger than its screen
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
    if description := unsupported(data):
        text = f"{name} is {description.replace(': ', '; ')}"
        return ItemError(text, FileProblem(name, description, NOT_AN_IMAGE))
    description = describe(data)
    content = f" but {description}" if description else " that can be read"
    text = f"{name} is not an image{content}; give a PNG, JPEG or other common image file"
    return ItemError(
        text, FileProblem(name, f"not an image ({description})" if description else "not an image", NOT_AN_IMAGE)
    )


def _too_large(name: str, width: int, height: int) -> ItemError:
    size = f"{width:,} × {height:,} pixels"
    text = f"{name} has {size}, too large to decode safely; make it smaller first"
    return ItemError(text, FileProblem(name, f"{size}, too large to decode safely", TOO_LARGE))

"""Inputs of a model: images in all forms in which programs hold them, converted to pixels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.base.errors import DataError
from opsin.data import Preprocessing
from opsin.data.file_io import MAX_IMAGE_BYTES
from opsin.inputs import InputKind
from opsin.ir import show
from opsin.model.samples import read_samples

CHANNELS = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""Modes of arrays rows × columns × channels, by their channels."""

URL_PREFIXES = ("http://", "https://", "ftp://", "s3://", "gs://", "data:")


@runtime_checkable
class File(Protocol):
    """An open file, or an object that reads like one."""

    def read(self, size: int = -1, /) -> bytes: ...


ImageLike: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | File | Image.Image | NDArray[np.uint8]"
)
ImageInput: TypeAlias = "ImageLike | Iterable[ImageLike]"


Sized: TypeAlias = tuple[NDArray[np.uint8], tuple[int, int]]
"""Pixels C×H×W as the network takes them, and height and width of the image that they come from."""


def to_pixels(images: ImageInput, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Convert one image or several to uint8 N×C×H×W; raise `DataError`, which lists the accepted forms, for others."""
    return read_images(images, preprocessing)[0]


def read_images(
    images: Any, preprocessing: Preprocessing | InputKind
) -> tuple[NDArray[np.uint8], list[tuple[int, int]]]:
    """Return the result of `to_pixels`, and the height and width of each image before it was resized."""
    if not isinstance(preprocessing, Preprocessing):  # another kind of input
        samples = read_samples(images, preprocessing)
        return samples, [preprocessing.size] * len(samples)
    one = _read_one(images, preprocessing, "the image")
    if one is not None:
        return one[0][None], [one[1]]
    array = _array(images)
    if array is not None and array.dtype.kind not in "OUS":
        if array.ndim != 4:
            raise _unsupported(f"an array of {array.dtype} {show(array.shape)}", preprocessing)
        if array.shape[1:] == preprocessing.shape and array.dtype == np.uint8:
            return array, [preprocessing.size] * len(array)
        images = list(array)
    if isinstance(images, Mapping | set | frozenset) or not isinstance(images, Iterable):
        raise _unsupported(_describe(images), preprocessing)
    several = [_require_one(image, preprocessing, f"image {number}") for number, image in enumerate(images, start=1)]
    empty = np.empty((0, *preprocessing.shape), np.uint8)
    return np.stack([pixels for pixels, _ in several]) if several else empty, [size for _, size in several]


def _require_one(image: Any, preprocessing: Preprocessing, name: str) -> Sized:
    sized = _read_one(image, preprocessing, name)
    if sized is None:
        raise _unsupported(_describe(image), preprocessing, f"{name} is ")
    return sized


def _read_one(image: Any, preprocessing: Preprocessing, name: str) -> Sized | None:
    """Return the pixels of one image and its size; None if `image` cannot be one."""
    if isinstance(image, str | os.PathLike):
        return _from_path(os.fsdecode(os.fspath(image)), preprocessing)
    if isinstance(image, bytes | bytearray | memoryview):
        return preprocessing.read_with_size(bytes(image), name)
    if isinstance(image, Image.Image):
        return preprocessing.read_with_size(image, getattr(image, "filename", "") or name)
    if hasattr(image, "read") and not isinstance(image, type):
        return preprocessing.read_with_size(_content(image, name), name)
    array = _array(image)
    return None if array is None or array.ndim not in (2, 3) else _from_array(array, preprocessing)


def _from_path(path: str, preprocessing: Preprocessing) -> Sized:
    if path.lower().startswith(URL_PREFIXES):
        raise DataError(f"{path[:80]} is a URL, not a file; download it first, and pass the bytes or the file")
    if "\0" in path:
        raise DataError(f"{path!r} is not a file path; pass the bytes of an image as bytes, not as text")
    if os.path.isdir(path):
        raise DataError(
            f"{path} is a folder, not an image; give the files in it, such as sorted(Path(…).glob('*.jpg'))"
        )
    return preprocessing.read_with_size(Path(path), path)


def _content(file: Any, name: str) -> bytes:
    """Return the whole content of an open file, from its beginning if the file can seek."""
    file_name = file.name if isinstance(getattr(file, "name", None), str) else name
    try:
        if hasattr(file, "seek") and getattr(file, "seekable", lambda: True)():
            file.seek(0)
        parts = [file.read(MAX_IMAGE_BYTES + 1)]
        while parts[-1] and isinstance(parts[-1], bytes | bytearray) and sum(map(len, parts)) <= MAX_IMAGE_BYTES:
            parts.append(file.read(MAX_IMAGE_BYTES + 1))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{file_name} cannot be read: {error}; open the file again, in mode 'rb'") from None
    if not isinstance(parts[0], bytes | bytearray):
        if hasattr(parts[0], "close"):  # a coroutine, which would warn that it was never awaited
            parts[0].close()
        raise DataError(f"{file_name} gives {type(parts[0]).__name__}, not bytes; open the file in mode 'rb'")
    return b"".join(parts)


def _array(value: Any) -> NDArray[Any] | None:
    """Return `value` as an array if it is one or converts to one, as tensors of other libraries do."""
    if isinstance(value, np.ndarray):
        return value
    return np.asarray(value) if hasattr(value, "__array__") and not isinstance(value, type | np.generic) else None


def _from_array(array: NDArray[Any], preprocessing: Preprocessing) -> Sized:
    """Read an array of the network's own shape directly, and rows × columns (× channels) like an image file."""
    array = preprocessing.to_uint8(array, "the array")
    if array.dtype != np.uint8:
        raise _unsupported(f"an array of {array.dtype} {show(array.shape)}", preprocessing)
    if array.shape == preprocessing.shape:
        return array, preprocessing.size
    last, first = array.shape[-1], array.shape[0]
    if array.ndim == 3 and last not in CHANNELS and first in CHANNELS:
        array = array.transpose(1, 2, 0)
    if 0 in array.shape or (array.ndim == 3 and array.shape[-1] not in CHANNELS):
        raise _unsupported(f"an array of {array.dtype} {show(array.shape)}", preprocessing)
    pixels = np.ascontiguousarray(array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array)
    return preprocessing.read_with_size(Image.fromarray(pixels), "the array")


def _describe(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} {show(value.shape)}"
    return repr(value) if value is None or isinstance(value, bool | int | float) else f"of type {type(value).__name__}"


def _unsupported(what: str, preprocessing: Preprocessing, begin: str = "what was given is ") -> DataError:
    return DataError(
        f"{begin}{what}; an image is the path of a file, its bytes, a file open in mode 'rb', a Pillow image, or an "
        f"array of uint8: {show(preprocessing.shape)} as the network takes it, or rows × columns (× channels); "
        "several are a list of these"
    )

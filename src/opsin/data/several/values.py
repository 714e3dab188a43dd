"""Values that programs and the command line give for a column."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.base.errors import DataError
from opsin.data.several.columns import Column
from opsin.data.several.image import ColumnImage
from opsin.inputs.registry import FILE_KINDS
from opsin.ir import show
from opsin.ir.arguments import called

EXPECTED = {
    "image": "a path, the bytes of a file, a Pillow image, or uint8 rows × columns (× 3)",
    "sound": "a path, the bytes of a file, or an array of samples",
    "signal": "a path, the bytes of a file, or an array of channels × moments",
    "text": "a text",
    "number": "a number",
}


def column_sample(column: Column, value: Any, name: str) -> NDArray[Any]:
    """Return the sample of a value. Raise `DataError`, which says what the column takes, if it is none."""
    kind = column.kind
    if isinstance(value, np.ndarray) and value.shape == kind.shape and value.dtype == kind.dtype:
        return value
    if kind.kind in FILE_KINDS and isinstance(value, str | os.PathLike):
        path = Path(value)
        if not path.is_file():
            raise DataError(f"{name}: there is no file {path}")
        sample: NDArray[Any] = kind.read_with_remark(path, str(path))[0]
        return sample
    result = _image(kind, value, name) if isinstance(kind, ColumnImage) else kind.from_value(value, name)
    if result is None:
        what = f"an array of {value.dtype} {show(value.shape)}" if isinstance(value, np.ndarray) else called(value)
        raise DataError(f"{name}: {what} is no {kind.kind}; give {EXPECTED[kind.kind]}")
    if kind.kind == "text" and not result.any():
        raise DataError(f"{name}: it holds no words")
    return np.asarray(result)


def _image(kind: ColumnImage, value: Any, name: str) -> NDArray[Any] | None:
    """Return the pixels of an image in the memory; None for other values."""
    if isinstance(value, Image.Image):
        return kind.preprocessing.read(value, name)
    if isinstance(value, bytes | bytearray | memoryview):
        return kind.preprocessing.read(bytes(value), name)
    is_image = isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.size
    if not is_image or not (value.ndim == 2 or (value.ndim == 3 and value.shape[2] in (1, 3, 4))):
        return None
    pixels = value[..., 0] if value.ndim == 3 and value.shape[2] == 1 else value
    return kind.preprocessing.read(Image.fromarray(np.ascontiguousarray(pixels)), name)

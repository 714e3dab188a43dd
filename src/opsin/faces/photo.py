"""Photos in all forms in which programs hold them, as upright RGB images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from opsin.base.errors import DataError
from opsin.data.decode import read_image
from opsin.data.decode.convert import exif_transpose, to_mode


def open_photo(photo: Any) -> Image.Image:
    """Return a photo, upright and RGB: a path, the bytes of a file, a Pillow image, or an array H × W (× 3) of uint8.

    Raise `DataError` for anything else.
    """
    if isinstance(photo, str | os.PathLike):
        return read_image(Path(photo), os.fspath(photo))
    if isinstance(photo, bytes):
        return read_image(photo, "the photo")
    if isinstance(photo, Image.Image):
        return to_mode(exif_transpose(photo), "RGB")
    if isinstance(photo, np.ndarray) and photo.dtype == np.uint8 and photo.shape[2:] in ((), (3,)) and photo.size:
        return Image.fromarray(photo).convert("RGB")
    raise DataError(
        "a photo is the path of a file, its bytes, a Pillow image, or an array of uint8: rows × columns (× 3)"
    )

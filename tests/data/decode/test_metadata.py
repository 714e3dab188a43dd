"""Large metadata in formats other than PNG: the pixels and the orientation are read all the same."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from opsin.data.decode import read_header, read_pixels
from tests.data.decode.test_safety import encoded
from tests.data.files import noise


@pytest.mark.parametrize(("format", "long"), [("jpeg", 60_000), ("webp", 3_000_000), ("tiff", 3_000_000)])
def test_large_metadata(format: str, long: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "x" * long
    options = {"lossless": True, "xmp": bytes(3_000_000)} if format == "webp" else {}
    image = Image.fromarray(noise(0, 20, 30, 3))
    file = encoded(image, format, exif=exif, icc_profile=bytes(3_000_000), **options)
    assert len(file) > 3_000_000
    header = read_header(file, "a")
    assert (header.height, header.width, header.remark) == (30, 20, "")
    upright = np.asarray(Image.open(BytesIO(encoded(image, format, **options))).convert("RGB"))
    assert np.array_equal(read_pixels(file, "a", (3, 30, 20)), np.rot90(upright, -1).transpose(2, 0, 1))

"""Portable resizing: close to Pillow's, for every framing and size, and without drafts of JPEGs."""

from __future__ import annotations

from io import BytesIO
from itertools import product

import numpy as np
import pytest
from PIL import Image

from opsin.data import Preprocessing
from opsin.data.decode import Crop, Portable, Stretch, decode_image
from opsin.data.decode.fit import Framing, fit
from opsin.data.decode.portable import Axis

FRAMINGS: list[Framing | None] = [None, Stretch(), Stretch("bilinear"), Crop(40, "bilinear"), Crop(36, "bicubic")]


def smooth(height: int, width: int, mode: str) -> Image.Image:
    """Return an image of waves, in which resampling filters do not overshoot."""
    row, column = np.mgrid[:height, :width]
    waves = [128 + 90 * np.sin(row / height * a + column / width * b) for a, b in ((3, 2), (1, 4), (4, 1))]
    return Image.fromarray(np.stack(waves, 2).astype(np.uint8)).convert(mode)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
def test_pixels_are_those_of_pillow_but_for_rounding(framing: Framing | None, mode: str) -> None:
    for (rows, columns), (height, width) in product([(61, 47), (300, 410), (33, 90)], [(32, 32), (30, 29)]):
        image = smooth(rows, columns, mode)
        expected = framing.apply(image, height, width) if framing else fit(image, height, width)
        pixels = Portable.of(framing).apply(image, height, width)
        assert pixels.shape == expected.shape and pixels.dtype == np.uint8
        assert np.abs(pixels.astype(int) - expected.astype(int)).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (2, 100), (3, 5), (1000, 20), (5, 1)])
def test_tiny_and_long_images(size: tuple[int, int]) -> None:
    for framing, value in product(FRAMINGS, (0, 130, 255)):
        image = Image.new("RGB", size[::-1], (value, value, value))
        assert (Portable.of(framing).apply(image, 32, 30) == value).all()


def test_an_image_of_the_right_size_is_unchanged() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 34, 3), np.uint8)
    for framing in (None, Stretch(), Stretch("bilinear")):
        np.testing.assert_array_equal(
            Portable.of(framing).apply(Image.fromarray(pixels), 30, 34), pixels.transpose(2, 0, 1)
        )


def test_weights_add_up_to_one() -> None:
    for axis, interpolation in product((Axis(7, 1.5, 0.3, 9), Axis(90, 3.25, 4.1, 8, 5)), ("bilinear", "bicubic")):
        starts, weights = axis.table(interpolation)
        assert starts.min() >= 0 and starts.max() + weights.shape[1] <= axis.size
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)


def test_a_jpeg_is_decoded_in_full() -> None:
    file = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 600, 3), np.uint8)).save(file, "JPEG")
    decoded = Image.open(BytesIO(file.getvalue()))
    pixels = decode_image(file.getvalue(), "noise.jpg", (3, 32, 32), Portable(None)).pixels
    np.testing.assert_array_equal(pixels, Portable(None).apply(decoded, 32, 32))
    assert (pixels != decode_image(file.getvalue(), "noise.jpg", (3, 32, 32)).pixels).any()


def test_the_framing_of_a_preprocessing_stays_as_it_is() -> None:
    preprocessing = Preprocessing(3, 32, 32, (0.5,) * 3, (0.5,) * 3, crop=Crop(36, "bicubic"))
    assert Preprocessing.from_data(preprocessing.to_data()) == preprocessing
    assert Portable.of(Portable.of(preprocessing.crop)) == Portable(preprocessing.crop)

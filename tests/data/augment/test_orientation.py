"""Whether images look the same upside down and on their side."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin.data.augment.orientation import MIN_IMAGES, has_orientation
from tests.data.files import noise


def spots(count: int, channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """Return images of bright squares anywhere on a dark ground."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 20, (count, channels, 40, 40)).astype(np.uint8)
    for image in pixels:
        for row, column in rng.integers(0, 34, (6, 2)):
            image[:, row : row + 6, column : column + 6] = rng.integers(100, 255)
    return pixels


def lit(pixels: NDArray[np.uint8], axis: int) -> NDArray[np.uint8]:
    """Return images that are a little brighter at the start of an axis."""
    shape = [1, 1, 1, 1]
    shape[axis] = pixels.shape[axis]
    ramp = np.linspace(30, 0, pixels.shape[axis]).reshape(shape)
    return (pixels * 0.8 + ramp).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_spots_anywhere_have_no_orientation(channels: int, seed: int) -> None:
    assert not has_orientation(spots(300, channels, seed))


@pytest.mark.parametrize("axis", [2, 3])
def test_light_from_one_side_is_an_orientation(axis: int) -> None:
    assert has_orientation(lit(spots(300), axis))


def test_what_half_of_the_images_show_is_an_orientation() -> None:
    pixels = spots(400)
    pixels[::3] = lit(pixels[::3], 2)
    pixels[1::3] = lit(pixels[1::3], 2)
    assert has_orientation(pixels)


def test_few_images_say_nothing_and_equal_ones_differ_in_nothing() -> None:
    assert has_orientation(spots(MIN_IMAGES - 1))
    assert has_orientation(noise(0, 0, 3, 8, 8))
    assert not has_orientation(np.full((MIN_IMAGES, 3, 16, 16), 7, np.uint8))


def test_the_answer_does_not_change() -> None:
    pixels = noise(0, 100, 3, 16, 24)
    assert has_orientation(pixels) == has_orientation(pixels.copy())

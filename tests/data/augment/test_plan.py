"""Which changes are chosen for which images."""

from __future__ import annotations

import re

import numpy as np
import pytest

from opsin.base.errors import UsageError
from opsin.data import LabeledImages, Preprocessing
from opsin.data.augment import LEVELS, Augmentation, plan, plan_for
from tests.data.files import noise

SHAPES = [(1, 28, 28), (1, 224, 224), (3, 32, 32), (3, 48, 64), (3, 224, 224)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("classes", [(), ("cat", "dog"), tuple("0123456789")])
@pytest.mark.parametrize("level", LEVELS)
def test_nothing_makes_a_6_a_9(level: str, classes: tuple[str, ...], shape: tuple[int, int, int]) -> None:
    limits = plan(level, shape, classes)
    assert limits.turn <= 15
    assert limits.shift <= 0.125
    if shape[0] == 1 or classes == tuple("0123456789"):
        assert not limits.flip
    assert level != "none" or limits == Augmentation()


def test_levels_differ() -> None:
    for shape in SHAPES:
        none, light, strong = (plan(level, shape, ("cat", "dog")) for level in LEVELS)
        assert none != light != strong
        assert strong.cutout > light.cutout == 0
        assert not light.mixes
        assert strong.mixes == (shape[0] == 3)


def test_light_handwriting_is_shifted_turned_and_zoomed() -> None:
    assert plan("light", (1, 28, 28), tuple("0123456789"), dark=True) == Augmentation(shift=0.07, turn=10, zoom=0.1)


def test_small_photographs_are_mirrored_and_shifted_by_four_pixels() -> None:
    assert plan("light", (3, 32, 32), ("cat", "dog")) == Augmentation(flip=True, shift=4 / 32)


def test_large_photographs_are_cropped_and_coloured() -> None:
    limits = plan("light", (3, 224, 224), ("cat", "dog"))
    assert limits.flip and limits.smooth and limits.coloured
    assert 0 < limits.area < 1


@pytest.mark.parametrize(
    ("classes", "flip"),
    [
        (("cat", "dog"), True),
        (("t-shirt", "Shoes", "3 piece suit"), True),
        (tuple("abc"), False),
        (("0", "1", "10", "11"), False),
        (("turn left", "go on"), False),
        (("shoe_Right", "shoe_other"), False),
        (("bright", "leftovers"), True),
    ],
)
def test_names_forbid_mirroring(classes: tuple[str, ...], flip: bool) -> None:
    assert plan("light", (3, 64, 64), classes).flip is flip


def test_light_on_a_dark_background_stays() -> None:
    assert not plan("strong", (1, 28, 28), dark=True).coloured
    assert plan("light", (1, 28, 28), dark=False).coloured


def test_colour_files_of_grey_images_count_as_grey() -> None:
    grey = np.repeat(noise(0, 20, 1, 8, 8), 3, axis=1)
    for pixels, flip in ((grey, False), (noise(1, 20, 3, 8, 8), True)):
        images = LabeledImages(pixels, np.arange(20, dtype=np.int32) % 2, ("cat", "dog"))
        assert plan_for("light", images, Preprocessing.of(images)).flip is flip
        assert plan_for("none", images, Preprocessing.of(images)) == Augmentation()


def test_the_preprocessing_says_what_is_dark() -> None:
    pixels = np.zeros((6, 1, 28, 28), np.uint8)
    pixels[:, :, 10:18, 10:18] = 255
    images = LabeledImages(pixels, np.arange(6, dtype=np.int32) % 2, ("cat", "dog"))
    assert not plan_for("light", images, Preprocessing.of(images)).coloured
    bright = LabeledImages(255 - pixels, images.labels, images.classes)
    assert plan_for("light", bright, Preprocessing.of(bright)).coloured


def test_unknown_levels_are_refused() -> None:
    message = "the augmentation must be one of none, light, strong, not 'hard'"
    with pytest.raises(UsageError, match=re.escape(message)):
        plan("hard", (3, 32, 32))

"""Which changes are chosen for which images."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin.base.errors import UsageError
from opsin.data import AnnotatedImages, LabeledImages, Preprocessing
from opsin.data.augment import LEVELS, Augmentation, policy_for, preset, views_preset
from opsin.tasks.detection import Boxes, ImageBoxes, ObjectDetection
from opsin.tasks.segmentation import SemanticSegmentation
from opsin.tasks.segmentation.masks import Masks
from tests.data.files import noise

SHAPES = [(1, 28, 28), (1, 224, 224), (3, 32, 32), (3, 48, 64), (3, 224, 224)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("classes", [(), ("cat", "dog"), tuple("0123456789")])
@pytest.mark.parametrize("level", LEVELS)
def test_nothing_makes_a_6_a_9(level: str, classes: tuple[str, ...], shape: tuple[int, int, int]) -> None:
    policy = preset(level, shape, classes)
    assert policy.rotation <= 15
    assert policy.shift <= 0.125
    if shape[0] == 1 or classes == tuple("0123456789"):
        assert not policy.flip
    assert level != "none" or policy == Augmentation()


def test_levels_differ() -> None:
    for shape in SHAPES:
        none, light, strong = (preset(level, shape, ("cat", "dog")) for level in LEVELS)
        assert none != light != strong
        assert strong.cutout > light.cutout == 0
        assert not light.mixes
        assert strong.mixes == (shape[0] == 3)


def test_light_handwriting_is_shifted_rotated_and_scaled() -> None:
    assert preset("light", (1, 28, 28), tuple("0123456789"), dark=True) == Augmentation(
        shift=0.07, rotation=10, scale=0.1
    )


def test_small_photographs_are_mirrored_and_shifted_by_four_pixels() -> None:
    assert preset("light", (3, 32, 32), ("cat", "dog")) == Augmentation(flip=True, shift=4 / 32)


def test_large_photographs_are_cropped_and_coloured() -> None:
    policy = preset("light", (3, 224, 224), ("cat", "dog"))
    assert policy.flip and policy.bilinear and policy.changes_colour
    assert 0 < policy.crop_area < 1


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
    assert preset("light", (3, 64, 64), classes).flip is flip


def test_light_on_a_dark_background_stays() -> None:
    assert not preset("strong", (1, 28, 28), dark=True).changes_colour
    assert preset("light", (1, 28, 28), dark=False).changes_colour


def test_colour_files_of_grey_images_count_as_grey() -> None:
    grey = np.repeat(noise(0, 20, 1, 8, 8), 3, axis=1)
    for pixels, flip in ((grey, False), (noise(1, 20, 3, 8, 8), True)):
        images = LabeledImages(pixels, np.arange(20, dtype=np.int32) % 2, ("cat", "dog"))
        assert policy_for("light", images, Preprocessing.of(images)).flip is flip
        assert policy_for("none", images, Preprocessing.of(images)) == Augmentation()


def test_the_preprocessing_says_what_is_dark() -> None:
    pixels = np.zeros((6, 1, 28, 28), np.uint8)
    pixels[:, :, 10:18, 10:18] = 255
    images = LabeledImages(pixels, np.arange(6, dtype=np.int32) % 2, ("cat", "dog"))
    assert not policy_for("light", images, Preprocessing.of(images)).changes_colour
    bright = LabeledImages(255 - pixels, images.labels, images.classes)
    assert policy_for("light", bright, Preprocessing.of(bright)).changes_colour


def test_views_of_grey_images_keep_no_colours_to_change() -> None:
    strong, light = (views_preset(level, (3, 32, 32)) for level in ("strong", "light"))
    assert strong.crop_area < light.crop_area and strong.brightness > light.brightness
    assert (strong.hue, strong.grey) == (0.1, 0.2) and strong.flip
    grey = views_preset("strong", (3, 32, 32), grey=True)
    assert (grey.hue, grey.grey, grey.saturation) == (0, 0, 0) and grey == views_preset("strong", (1, 32, 32))
    assert views_preset("none", (3, 32, 32)) == Augmentation()


def test_unknown_levels_are_refused() -> None:
    message = "the augmentation must be one of none, light, strong, not 'hard'"
    with pytest.raises(UsageError, match=re.escape(message)):
        preset("hard", (3, 32, 32))


def test_images_are_mixed_only_if_the_task_has_such_targets() -> None:
    preprocessing = Preprocessing(3, 96, 96, (0.5,) * 3, (0.2,) * 3)
    pixels, none = noise(0, 4, 3, 96, 96), ImageBoxes.of([], [], (96, 96))
    classes = LabeledImages(pixels, np.zeros(4, np.int32), ("cat", "dog"))
    boxes = AnnotatedImages(pixels, Boxes.stack([none] * 4), ObjectDetection(("cat", "dog")))
    assert policy_for("strong", classes, preprocessing).mixes
    policy = policy_for("strong", boxes, preprocessing)
    assert not policy.mixes and policy.flip and policy.crop_area < 1


def masked(pixels: NDArray[np.uint8], classes: tuple[str, ...] = ("background", "cell")) -> AnnotatedImages:
    ids = np.zeros((len(pixels), *pixels.shape[2:]), np.uint8)
    return AnnotatedImages(pixels, Masks(ids), SemanticSegmentation(classes))


def test_masks_are_turned_only_if_images_have_no_orientation() -> None:
    pixels = noise(0, 200, 3, 16, 16)
    preprocessing = Preprocessing(3, 16, 16, (0.5,) * 3, (0.2,) * 3)
    turned = policy_for("light", masked(pixels), preprocessing)
    assert turned.quarter_turns and turned.flip and turned.gamma
    assert policy_for("light", masked(pixels), preprocessing, flip=False) == replace(
        turned, flip=False, quarter_turns=False
    )
    upright = np.sort(pixels, axis=2)
    assert policy_for("light", masked(upright), preprocessing) == replace(turned, quarter_turns=False)
    sides = policy_for("light", masked(pixels, ("left lung", "right lung")), preprocessing)
    assert not sides.quarter_turns and not sides.flip
    assert policy_for("light", masked(pixels, ("0", "1")), preprocessing) == turned, "values of masks are no symbols"
    assert policy_for("none", masked(pixels), preprocessing) == Augmentation()
    classes = LabeledImages(pixels, np.zeros(200, np.int32), ("cat", "dog"))
    assert not policy_for("strong", classes, preprocessing).quarter_turns


@pytest.mark.parametrize("level", ["light", "strong"])
def test_masks_of_grey_images_are_augmented_as_those_of_colour_images(level: str) -> None:
    grey = np.repeat(noise(0, 100, 1, 96, 96), 3, axis=1)
    preprocessing = Preprocessing(3, 96, 96, (0.5,) * 3, (0.2,) * 3)
    policy = policy_for(level, masked(grey), preprocessing)
    assert policy == policy_for(level, masked(noise(0, 100, 3, 96, 96)), preprocessing)
    assert policy.flip and policy.changes_colour and not policy.cutout and not policy.mixes


def test_an_unknown_level_is_refused_for_masks() -> None:
    images = masked(noise(0, 4, 3, 16, 16))
    with pytest.raises(UsageError, match="the augmentation must be one of none, light, strong, not 'hard'"):
        policy_for("hard", images, Preprocessing(3, 16, 16, (0.5,) * 3, (0.2,) * 3))

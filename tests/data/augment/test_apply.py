"""From stored images to what the network sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from opsin.base.errors import ShapeError, UsageError
from opsin.data import Preprocessing
from opsin.data.augment import Augmentation, Augmenter
from opsin.data.decode import Crop
from opsin.tasks.classification import Classification, ClassLabels
from tests.data.files import noise

PLAIN = Preprocessing(3, 24, 20, (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255))
"""Keeps pixel values as they are."""

LABELS = ClassLabels(np.arange(12, dtype=np.int32) % 3)
THREE = Classification(("a", "b", "c"))


def seen(policy: Augmentation, pixels: np.ndarray, preprocessing: Preprocessing = PLAIN, **place: int) -> np.ndarray:
    augmenter = Augmenter(policy, preprocessing, pixels.shape[2:], THREE, place.pop("seed", 0))
    return augmenter(pixels, LABELS.take(np.arange(len(pixels))), 4, place.get("epoch", 1), place.get("first", 0))[0]


@pytest.mark.parametrize("channels", [1, 3])
def test_without_changes_the_bits_are_those_of_testing(channels: int) -> None:
    pixels = noise(0, 12, channels, 24, 20)
    preprocessing = Preprocessing(channels, 24, 20, (0.48, 0.46, 0.41)[:channels], (0.23, 0.22, 0.26)[:channels])
    actual = seen(Augmentation(), pixels, preprocessing)
    assert actual.shape == pixels.shape and actual.dtype == np.float32
    np.testing.assert_array_equal(actual, preprocessing.apply(pixels))


def test_a_margin_is_cut_as_testing_cuts_it() -> None:
    pixels = noise(0, 3, 3, 32, 32)
    square = replace(PLAIN, height=28, width=28, crop=Crop(32, "bicubic"))
    np.testing.assert_array_equal(seen(Augmentation(), pixels, square), pixels[:, :, 2:30, 2:30])
    double = np.repeat(np.repeat(noise(1, 3, 3, 24, 20), 2, axis=2), 2, axis=3)
    np.testing.assert_array_equal(seen(Augmentation(), double), double[:, :, ::2, ::2], "all is shown without a crop")


def test_mirrored_images_are_mirrored_exactly() -> None:
    pixels = noise(0, 12, 3, 24, 20)
    actual = seen(Augmentation(flip=True), pixels)
    kinds = [(image == kept).all() for image, kept in zip(actual, pixels, strict=True)]
    mirrored = [(image == kept[:, :, ::-1]).all() for image, kept in zip(actual, pixels, strict=True)]
    assert all(a != b for a, b in zip(kinds, mirrored, strict=True))
    assert any(kinds) and any(mirrored)


def test_shifts_are_whole_pixels_and_repeat_the_edge() -> None:
    pixels = noise(0, 12, 3, 24, 20)
    padded = np.pad(pixels, ((0, 0), (0, 0), (3, 3), (2, 2)), mode="edge")
    actual = seen(Augmentation(shift=0.12), pixels)
    places = set()
    for image, wide in zip(actual, padded, strict=True):
        matches = [(y, x) for y in range(7) for x in range(5) if (image == wide[:, y : y + 24, x : x + 20]).all()]
        assert len(matches) == 1
        places.update(matches)
    assert len(places) > 5


@pytest.mark.parametrize(
    "policy", [Augmentation(rotation=10, bilinear=True), Augmentation(crop_area=0.5, aspect=4 / 3)]
)
def test_changes_are_functions_of_seed_epoch_and_place(policy: Augmentation) -> None:
    pixels = noise(0, 12, 3, 24, 20)
    whole = seen(policy, pixels)
    np.testing.assert_array_equal(whole, seen(policy, pixels))
    np.testing.assert_array_equal(whole[4:8], seen(policy, pixels[4:8], first=4))
    for other in ({"epoch": 2}, {"seed": 1}, {"first": 12}):
        assert all((a != b).any() for a, b in zip(whole, seen(policy, pixels, **other), strict=True))


def test_boxes_hold_the_mean() -> None:
    pixels = noise(0, 12, 3, 24, 20)
    actual = seen(Augmentation(cutout=0.5), np.maximum(pixels, 1))
    holes = (actual == 0).all(axis=1)
    np.testing.assert_array_equal(actual * ~holes[:, None], np.maximum(pixels, 1) * ~holes[:, None])
    assert 0.08 < holes.mean() < 0.25


def test_colours_stay_within_what_images_have() -> None:
    actual = seen(Augmentation(brightness=0.5, contrast=0.5, saturation=0.5), noise(0, 12, 3, 24, 20))
    assert actual.min() >= 0 and actual.max() <= 255
    assert (actual == 255).any()


def test_mixed_images_come_with_shares_of_classes() -> None:
    pixels = noise(0, 12, 3, 24, 20)
    augmenter = Augmenter(Augmentation(mixup=0.4, cutmix=0.4), PLAIN, (24, 20), THREE, 0)
    shown, arrays = augmenter(pixels, LABELS, 3, 1, 0)  # the labels of a batch of three differ
    targets = arrays["labels"]
    assert targets.dtype == np.float32 and targets.shape == (12, 3)
    np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-6)
    kinds = set()
    for i, (image, target) in enumerate(zip(shown, targets, strict=True)):
        own, other = pixels[i].astype(np.float64), pixels[i // 3 * 3 + (i + 1) % 3].astype(np.float64)
        share, changed = target[LABELS.numbers[i]], (image != own).any(axis=0)
        if not changed.any():
            assert share == 1
            kinds.add("as it was")
        elif (image[:, changed] == other[:, changed]).all():
            np.testing.assert_allclose(changed.mean(), 1 - share, atol=0.01)
            kinds.add("with a box of another")
        else:
            np.testing.assert_allclose(image, share * own + (1 - share) * other, atol=1e-3)
            kinds.add("blended")
    assert len(kinds) == 3
    again, same = augmenter(pixels[3:6], LABELS.take(np.arange(3, 6)), 3, 1, 3)
    np.testing.assert_array_equal(again, shown[3:6])
    np.testing.assert_array_equal(same["labels"], targets[3:6])


def test_images_of_another_kind_are_refused() -> None:
    for pixels, got in (
        (noise(0, 2, 1, 24, 20), "uint8 1 × 24 × 20"),
        (np.zeros((2, 3, 24, 20)), "float64 3 × 24 × 20"),
    ):
        message = f"images of 3 channels of bytes were expected, not {got}"
        with pytest.raises(ShapeError, match=message):
            seen(Augmentation(), pixels)


def test_limits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match=r"augmentation: shift must be a number from 0 to 1, not -0\.1"):
        Augmentation(shift=-0.1)
    with pytest.raises(UsageError, match="augmentation: rotation must be a number from 0 to 180, not 200"):
        Augmentation(rotation=200)
    with pytest.raises(UsageError, match="augmentation: aspect must be a number from 1 to 10, not nan"):
        Augmentation(aspect=float("nan"))
    with pytest.raises(UsageError, match=r"augmentation: mixup and cutmix must not exceed 1 in total, but are 1\.2"):
        Augmentation(mixup=0.6, cutmix=0.6)


def test_contrast_about_the_own_mean_keeps_it() -> None:
    pixels = noise(0, 12, 3, 24, 20) // 3 + 20
    policy = Augmentation(contrast=0.4, own_contrast=True)
    actual = seen(policy, pixels)
    np.testing.assert_allclose(actual.mean((1, 2, 3)), pixels.mean((1, 2, 3)), atol=0.1)
    ratio = actual.std((1, 2, 3)) / pixels.std((1, 2, 3))
    assert 0.6 <= ratio.min() < 0.9 and 1.1 < ratio.max() <= 1.4
    shifted = seen(replace(policy, own_contrast=False), pixels).mean((1, 2, 3)) - pixels.mean((1, 2, 3))
    assert np.abs(shifted).max() > 5


def test_gamma_of_a_batch_is_that_of_its_images() -> None:
    pixels = noise(0, 12, 3, 24, 20)
    whole = seen(Augmentation(gamma=0.5), pixels)
    assert not np.array_equal(whole, pixels)
    augmenter = Augmenter(Augmentation(gamma=0.5), PLAIN, (24, 20), THREE, 0)
    np.testing.assert_array_equal(augmenter(pixels[8:], LABELS.take(np.arange(8, 12)), 4, 1, 8)[0], whole[8:])

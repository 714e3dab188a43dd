"""Augmentations in words."""

from __future__ import annotations

from opsin.data.augment import Augmentation, describe, preset


def test_only_what_changes_is_said() -> None:
    assert describe(Augmentation()) == "nothing"
    assert describe(preset("light", (3, 32, 32))) == "mirrored left to right, shifted by up to 12.5% of the side"
    assert describe(preset("light", (1, 28, 28), dark=True)) == (
        "shifted by up to 7% of the side, rotated by up to 10°, scaled by up to 10%"
    )
    turned = describe(Augmentation(flip=True, quarter_turns=True, gamma=0.5))
    assert turned == "mirrored left to right, turned by multiples of 90°, gamma 0.67 to 1.5"
    coloured = describe(Augmentation(saturation=0.4, hue=0.1, grey=0.2))
    assert coloured == "saturation ±40%, hue turned by up to 36°, 20% of the images without colour"
    cropped = describe(
        Augmentation(crop_area=0.5, shift=0.1, scale=0.1, contrast=0.2, cutout=0.25, mixup=0.1, cutmix=0.3)
    )
    assert cropped == (
        "cropped to at least 50% of the area, contrast ±20%, a box of 25% of the side cut out, "
        "10% of the images blended with another, 30% with a box of another"
    )

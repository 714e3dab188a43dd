"""Descriptions of augmentations for people."""

from __future__ import annotations

from collections.abc import Iterator

from opsin.data.augment.augmentation import Augmentation


def describe(policy: Augmentation) -> str:
    """Return `mirrored left to right, shifted by up to 12.5% of the side, …`, or `nothing`."""
    return ", ".join(_changes(policy)) or "nothing"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _changes(policy: Augmentation) -> Iterator[str]:
    if policy.flip:
        yield "mirrored left to right"
    if policy.quarter_turns:
        yield "turned by multiples of 90°"
    if policy.crop_area < 1:
        yield f"cropped to at least {policy.crop_area:.0%} of the area"
    elif policy.shift:
        yield f"shifted by up to {_percent(policy.shift)} of the side"
    if policy.rotation:
        yield f"rotated by up to {policy.rotation:g}°"
    if policy.scale and policy.crop_area == 1:
        yield f"scaled by up to {policy.scale:.0%}"
    for name in ("brightness", "contrast", "saturation"):
        if share := getattr(policy, name):
            yield f"{name} ±{share:.0%}"
    if policy.hue:
        yield f"hue turned by up to {360 * policy.hue:.0f}°"
    if policy.grey:
        yield f"{policy.grey:.0%} of the images without colour"
    if policy.gamma:
        yield f"gamma {1 / (1 + policy.gamma):.2g} to {1 + policy.gamma:.2g}"
    if policy.cutout:
        yield f"a box of {policy.cutout:.0%} of the side cut out"
    if policy.mixup:
        yield f"{policy.mixup:.0%} of the images blended with another"
    if policy.cutmix:
        yield f"{policy.cutmix:.0%} with a box of another"

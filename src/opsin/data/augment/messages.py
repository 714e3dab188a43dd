"""An augmentation said in words."""

from __future__ import annotations

from collections.abc import Iterator

from opsin.data.augment.augmentation import Augmentation


def in_words(limits: Augmentation) -> str:
    """`mirrored left to right, shifted by up to 12.5% of the side, …`; `nothing` where nothing changes."""
    return ", ".join(_changes(limits)) or "nothing"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _changes(limits: Augmentation) -> Iterator[str]:
    if limits.flip:
        yield "mirrored left to right"
    if limits.area < 1:
        yield f"cropped to no less than {limits.area:.0%} of the area"
    elif limits.shift:
        yield f"shifted by up to {_percent(limits.shift)} of the side"
    if limits.turn:
        yield f"turned by up to {limits.turn:g}°"
    if limits.zoom and limits.area == 1:
        yield f"zoomed by up to {limits.zoom:.0%}"
    for name in ("brightness", "contrast", "saturation"):
        if share := getattr(limits, name):
            yield f"{name} ±{share:.0%}"
    if limits.cutout:
        yield f"a box of {limits.cutout:.0%} of the side cut out"
    if limits.mixup:
        yield f"{limits.mixup:.0%} of the images blended with another"
    if limits.cutmix:
        yield f"{limits.cutmix:.0%} with a box of another"

"""Defaults of tasks whose networks see the whole image at once, as classifiers do."""

from __future__ import annotations

from opsin.tasks.task import Defaults, ImageSummary

MAX_SMALL_SIDE = 64
"""Images up to this side, in pixels, are small: trained on from scratch at their own size, shifted but not cropped."""

MAX_GREY_SIDE = 32
"""Grey images up to this side are those of LeNet-5."""

MIN_SIDE = 16
PHOTO_SIDE = 224


def image_defaults(summary: ImageSummary) -> Defaults:
    """Return published weights for photos, and a small network for small images."""
    if summary.side <= MAX_SMALL_SIDE:
        network = "lenet5" if summary.grey and summary.side <= MAX_GREY_SIDE else "resnet9_half"
        return Defaults(
            network=network, side=max(summary.side, MIN_SIDE), pretrained=False, fallback=network, batch=64,
            learning_rate=0.004, ema=0.98, max_epochs=60,
            reason=f"which is designed for images as small as these ({summary.side} pixels)",
        )  # fmt: skip
    return Defaults(
        network="efficientnet_lite0", side=PHOTO_SIDE, pretrained=True, fallback="resnet9_half", batch=32,
        learning_rate=0.001, max_epochs=20, reason="trained on ImageNet's 1.3 million photos",
    )  # fmt: skip

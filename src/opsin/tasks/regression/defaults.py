"""What a plan without options takes for numbers."""

from __future__ import annotations

from opsin.tasks.task import Defaults, ImageSummary

MAX_SMALL_SIDE = 64
"""Images up to this side are trained on from scratch, at their own size."""

PHOTO_SIDE = 224


def defaults_for(summary: ImageSummary) -> Defaults:
    """Return published weights for photos, and a small network for small images."""
    if summary.side <= MAX_SMALL_SIDE:
        side = max(summary.side, 16)
        return Defaults(
            network="resnet9_half", side=side, pretrained=False, fallback="resnet9_half", batch=64, learning_rate=0.004,
            ema=0.99, max_epochs=60, reason=f"for images as small as these ({summary.side} pixels)",
        )  # fmt: skip
    return Defaults(
        network="efficientnet_lite0", side=PHOTO_SIDE, pretrained=True, fallback="resnet9_half", batch=32,
        learning_rate=0.001, max_epochs=20, reason="trained on ImageNet's 1.3 million photos",
    )  # fmt: skip

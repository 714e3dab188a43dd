"""What a plan without options takes for numbers."""

from __future__ import annotations

from opsin.tasks.tables.names import words
from opsin.tasks.task import Defaults, ImageSummary

MAX_SMALL_SIDE = 64
"""Images up to this side are trained on from scratch, at their own size."""

MAX_GREY_SIDE = 32
"""Grey images up to this side are those of LeNet-5."""

MIN_SIDE = 16
PHOTO_SIDE = 224

STEERING = "steering"
"""The word in the name of a quantity that is read off images of a road."""

STEERING_SIDE = 80
STEERING_IMAGES, STEERING_EPOCHS = 25_000, (8, 30)
"""The images that a run for steering shows, and the bounds of its epochs."""


def defaults_for(summary: ImageSummary) -> Defaults:
    """Return PilotNet for steering, small networks for small images, and published weights for other photos."""
    if any(STEERING in words(name) for name in summary.settings.get("labels", ())):
        return _steering(summary)
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


def _steering(summary: ImageSummary) -> Defaults:
    """Return the plan for the angles of a steering wheel.

    Networks learn the frames of one drive by heart within some epochs, so a run is short, and its best epoch on the
    validation split counts. Larger networks with published weights are slower, and no better on other parts of a drive.
    """
    fewest, most = STEERING_EPOCHS
    epochs = max(fewest, min(most, STEERING_IMAGES // max(1, summary.count)))
    return Defaults(
        network="pilotnet", side=STEERING_SIDE, pretrained=False, fallback="pilotnet", batch=64, learning_rate=0.001,
        augment="none", patience=epochs, max_epochs=epochs, reason="which is designed for steering a car",
    )  # fmt: skip

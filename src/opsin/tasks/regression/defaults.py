"""What a plan without options takes for numbers."""

from __future__ import annotations

from opsin.tasks.image_defaults import image_defaults
from opsin.tasks.tables.names import words
from opsin.tasks.task import Defaults, ImageSummary

STEERING = "steering"
"""The word in the name of a quantity that is read off images of a road."""

STEERING_SIDE = 80
STEERING_IMAGES, STEERING_EPOCHS = 25_000, (8, 30)
"""The images that a run for steering shows, and the bounds of its epochs."""


def defaults_for(summary: ImageSummary) -> Defaults:
    """Return PilotNet for steering, small networks for small images, and published weights for other photos."""
    if any(STEERING in words(name) for name in summary.settings.get("labels", ())):
        return _steering(summary)
    return image_defaults(summary)


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

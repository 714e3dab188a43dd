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


MOTION_IMAGES, MOTION_EPOCHS = 17_000, (6, 30)
"""The same for a network that sees how the view shifts, which has few parameters."""


def defaults_for(summary: ImageSummary) -> Defaults:
    """Return the plan for steering, small networks for small images, and published weights for other photos."""
    if not any(STEERING in words(name) for name in summary.settings.get("labels", ())):
        return image_defaults(summary)
    return _steering_by_motion(summary) if summary.settings.get("ordered") else _steering(summary)


def _steering_by_motion(summary: ImageSummary) -> Defaults:
    """Return the plan for the angles of a steering wheel, of frames in the order of time.

    How far the view shifts from frame to frame says more about the angle than the road ahead, which a network learns by
    heart from one drive.
    """
    epochs = _epochs(summary, MOTION_IMAGES, MOTION_EPOCHS)
    return Defaults(
        network="egomotion", side=STEERING_SIDE, pretrained=False, fallback="egomotion", batch=64, learning_rate=0.03,
        augment="none", patience=epochs, max_epochs=epochs,
        reason="which sees how the view shifts from frame to frame; --network pilotnet looks at the road instead",
    )  # fmt: skip


def _epochs(summary: ImageSummary, images: int, bounds: tuple[int, int]) -> int:
    """Return the epochs in which about so many images are shown, within bounds."""
    fewest, most = bounds
    return max(fewest, min(most, images // max(1, summary.count)))


def _steering(summary: ImageSummary) -> Defaults:
    """Return the plan for the angles of a steering wheel.

    Networks learn the frames of one drive by heart within some epochs, so a run is short, and its best epoch on the
    validation split counts. Larger networks with published weights are slower, and no better on other parts of a drive.
    """
    epochs = _epochs(summary, STEERING_IMAGES, STEERING_EPOCHS)
    return Defaults(
        network="pilotnet", side=STEERING_SIDE, pretrained=False, fallback="pilotnet", batch=64, learning_rate=0.001,
        augment="none", patience=epochs, max_epochs=epochs, reason="which is designed for steering a car",
    )  # fmt: skip

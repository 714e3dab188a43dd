"""What to do next, as far as that holds for every task: each function yields its step if it is worthwhile."""

from __future__ import annotations

from collections.abc import Iterator

from opsin.report.common import Report
from opsin.report.history import Fit

MIN_IMAGES_FOR_ESTIMATE = 100
"""Figures from fewer images are called rough."""

ROUGH = "This is a rough estimate, because there are few images to measure on."


def measure_elsewhere(report: Report) -> Iterator[str]:
    """Advise to measure on new images if there were none."""
    if report.trained_here and report.split != "test":
        yield f"Measure it on images that it was not trained on: opsin evaluate {report.model} DATA"


def remove_leaks(report: Report) -> Iterator[str]:
    """Advise to remove duplicates that are in several splits."""
    if report.receipt is not None and report.receipt.leaks:
        count = len(report.receipt.leaks)
        images = "1 image is" if count == 1 else f"{count:,} images are"
        yield (
            f"Remove duplicates from the data: {images} in more than one split, so the model may have seen some of the "
            "images that it was measured on."
        )


def more_test_images(count: int) -> Iterator[str]:
    """Advise to measure on more images than `count` if these are few."""
    if count < MIN_IMAGES_FOR_ESTIMATE:
        yield f"Set aside more images for testing: {count:,} leave a wide margin of error."


def other_epochs(report: Report) -> Iterator[str]:
    """Advise more or fewer epochs, as the training curves show."""
    fit = report.diagnosis.fit if report.diagnosis else None
    if fit is Fit.STILL_IMPROVING:
        yield "Train for more epochs: the model was still improving."
    elif fit is Fit.OVERFITTING:
        yield "Train for fewer epochs, or augment more strongly: the model overfits."


def try_it(report: Report) -> str:
    """Advise to use the model."""
    return f"Try it on your own images: opsin predict {report.model} IMAGE"

"""How reports write shares and intervals, and what they call the measured images."""

from __future__ import annotations

from functools import partial

from opsin.base import formatting
from opsin.report.common import Report
from opsin.report.statistics import Share

percent = partial(formatting.percent, prose=True)


def interval(share: Share) -> str:
    """Return `between 85 and 91%`."""
    digits = 1 if share.low < 0.02 or share.high > 0.98 else 0
    low, high = (f"{100 * bound:.{digits}f}".removesuffix(".0") for bound in (share.low, share.high))
    return f"between {low} and {high}%"


def images_phrase(report: Report) -> str:
    """Return what to call the images that a model was measured on: `images it has never seen`."""
    if not report.trained_here:
        return f"the images of {report.data}"
    return {
        "test": "images it has never seen",
        "validation": "the validation images, which also guided its training",
        "training": "its own training images",
        "left-out": "its few images, each classified by the others",
    }[report.split]

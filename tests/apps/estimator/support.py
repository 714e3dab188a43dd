"""Images that are easy to tell apart, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.apps.estimator import ImageClassifier
from tests.data.files import stripes

QUICK: dict[str, Any] = {"epochs": 8, "batch": 8, "learning_rate": 0.01, "threads": 1}


def quick(**options: Any) -> ImageClassifier:
    """An estimator for small data."""
    return ImageClassifier(**{**QUICK, **options})


def striped(count: int = 40, side: int = 12) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """N×H×W and their labels, taking turns."""
    labels = np.array(["lying", "standing"])[np.arange(count) % 2]
    return np.stack([stripes(label, number // 2, side) for number, label in enumerate(labels)]), labels

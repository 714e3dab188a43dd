"""Numbers that may be wrong: those that contradict both the answer and the numbers of similar images.

A large error alone says little: the network may be wrong. If the images that look most alike to the network have
numbers near the answer, and far from the given one, the given number is doubtful. Images count as similar by their
features, as in Zhu, Dong & Liu, "Detecting corrupted labels without training a model to predict", 2022, who do this
for classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.regression.results import Floats, Results

FACTOR = 2.0
"""An error is suspicious from this many margins on. Of normally distributed errors, one in 1,000 reaches 2 margins of
90%."""

MIN_MARGIN = 0.05
"""The least margin in standard deviations of the training images, for networks that are nearly always right."""

NEIGHBOURS = 5
"""The similar images that are asked."""


@dataclass(frozen=True)
class Suspect:
    """A quantity of an image, by their numbers, whose number is doubtful.

    `neighbours` is the median number of similar images, and `low` to `high` their range. `strength` is the error in
    margins.
    """

    image: int
    quantity: int
    neighbours: float
    low: float
    high: float
    strength: float


def doubtful(results: Results, margins: Sequence[float], scales: Floats) -> NDArray[np.bool_]:
    """Return where errors are far larger than the margins of the intervals, N × quantities.

    `scales` are the standard deviations of the training images.
    """
    return np.abs(results.predictions - results.truth) > FACTOR * _least(margins, scales)


def suspects(
    results: Results, margins: Sequence[float], scales: Floats, images: Sequence[int], neighbours: Floats
) -> list[Suspect]:
    """Return the doubtful numbers of the `images` that similar images contradict, too, the largest errors first.

    `neighbours` are the numbers of images that are similar to each of `images`: len(images) × K × quantities.
    """
    least, is_doubtful = _least(margins, scales), doubtful(results, margins, scales)
    found = [
        _judge(image, quantity, float(results.truth[image, quantity]), float(results.predictions[image, quantity]),
               numbers[:, quantity], float(least[quantity]))
        for image, numbers in zip(images, neighbours, strict=True)
        for quantity in np.flatnonzero(is_doubtful[image]).tolist()
    ]  # fmt: skip
    return sorted((each for each in found if each), key=lambda each: (-each.strength, each.image))


def _judge(image: int, quantity: int, true: float, answer: float, numbers: Floats, margin: float) -> Suspect | None:
    """Return the suspect; None if similar images do not side with the answer, or include the given number."""
    median, low, high = float(np.median(numbers)), float(numbers.min()), float(numbers.max())
    is_contradicted = abs(true - median) > FACTOR * margin and not low <= true <= high
    if not is_contradicted or 2 * abs(answer - median) > abs(true - median):
        return None
    return Suspect(image, quantity, median, low, high, abs(true - answer) / margin)


def _least(margins: Sequence[float], scales: Floats) -> Floats:
    least: Floats = np.maximum(np.array(margins), MIN_MARGIN * np.array(scales))
    return least

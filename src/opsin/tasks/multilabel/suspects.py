"""Labels that may be wrong: those that contradict confident answers.

Each label is taken as a question of its own with two classes, and judged by confident learning (Northcutt, Jiang &
Chuang, JAIR 2021), as Thyagarajan et al. do ("Identifying incorrect annotations in multi-label classification data",
2022). Answers must be for images that the model was not trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Suspect:
    """A label of an image, by their numbers, that is `given` but may be wrong, or missing; `probability` is its own."""

    image: int
    label: int
    given: bool
    probability: float


def suspects(probabilities: NDArray[np.float64], truth: NDArray[np.uint8]) -> list[Suspect]:
    """Return the labels that contradict a confident answer, the most improbable ones first (N × labels).

    An answer is confident if its probability is at least the mean of those for images of which it is true.
    """
    found: list[Suspect] = []
    for label, (values, given) in enumerate(zip(probabilities.T, truth.T.astype(bool), strict=True)):
        if not given.any() or given.all():
            continue
        missing = np.flatnonzero(~given & (values >= values[given].mean()) & (values > 0.5))
        wrong = np.flatnonzero(given & (values <= values[~given].mean()) & (values < 0.5))
        found += [Suspect(int(image), label, False, float(values[image])) for image in missing]
        found += [Suspect(int(image), label, True, float(values[image])) for image in wrong]
    return sorted(found, key=lambda each: (each.probability if each.given else 1 - each.probability, each.image))

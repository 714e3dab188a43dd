"""How sure the network still is of an answer after an image was changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.base.concurrency import lazy
from opsin.explain.attribution.question import run_outputs
from opsin.explain.faithfulness.blur import blurred
from opsin.explain.observer import Observer
from opsin.tasks.explained_score import ExplainedScore

Floats = NDArray[np.float64]
Inputs = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Confidence:
    """The confidence in the answer that `score` stands for, from 0 to 1, for changed versions of `image`, C × H × W.

    It is the probability of the label. A score without a probability, such as a measured number, has the confidence 1
    for the image, 0 as far from its value as the score of an image of the mean colour is, and lies between for others.
    """

    observer: Observer
    score: ExplainedScore
    image: Inputs

    def __call__(self, inputs: Inputs) -> Floats:
        """Return the confidence for each of M normalized images."""
        outputs = run_outputs(self.observer, inputs, self.score)
        shares = self.score.confidences(outputs)
        if shares is None:
            original, blank = self._scale
            distance = abs(blank - original) or 1.0
            shares = np.clip(1 - np.abs(self.score.values(outputs) - original) / distance, 0, 1)
        return shares

    @lazy
    def blurred(self) -> Inputs:
        """The blurred image, C × H × W."""
        return blurred(self.image)

    @property
    def original(self) -> float:
        """The confidence for the image itself."""
        return self._of_ends[0]

    @property
    def of_blurred(self) -> float:
        """The confidence for the blurred image."""
        return self._of_ends[1]

    @property
    def of_blank(self) -> float:
        """The confidence for an image of the mean colour."""
        return self._of_ends[2]

    @lazy
    def _of_ends(self) -> tuple[float, float, float]:
        original, blurry, blank = self(np.stack([self.image, self.blurred, np.zeros_like(self.image)])).tolist()
        return original, blurry, blank

    @lazy
    def _scale(self) -> tuple[float, float]:
        both = np.stack([self.image, np.zeros_like(self.image)])
        original, blank = self.score.values(run_outputs(self.observer, both, self.score)).tolist()
        return original, blank

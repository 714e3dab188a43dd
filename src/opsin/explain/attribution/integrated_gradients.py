"""Integrated gradients: how much of the score's difference to an image of one colour comes from each pixel.

Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks", ICML 2017. The gradient is averaged over the path
from the baseline to the image and multiplied by their difference; all values then add up to the difference of both
scores (completeness). The baseline is the mean colour of the training images, 0 after normalization.

The score changes most near the baseline, so that equal steps need thousands of gradients. Here the first steps are
shorter there, and the gradient at the midpoint of a step predicts how much the score changes in it. The steps with the
largest errors are halved until the values add up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opsin.explain.attribution.method import Floats, Method, RawMap
from opsin.explain.attribution.question import Inputs, Question
from opsin.tasks.explained_score import ExplainedScore

FIRST_STEPS, MAX_STEPS = 16, 256
SPACING = 3
"""The exponent of the ends of the first steps."""
HALVED_AT_ONCE = 16
MAX_GAP = 0.01
"""The largest gap, relative to the difference of the scores."""
TARGET_GAP = 0.95 * MAX_GAP
"""Steps are halved down to this gap; their values are then added in another order."""
BASELINE = "the mean colour of the training images"


@dataclass(frozen=True, eq=False)
class Step:
    """A part of the path, from the share `start` of the image to `end`, with the scores there."""

    start: float
    end: float
    start_score: float
    end_score: float
    middle_score: float
    gradient: Inputs
    """That at the midpoint, times the image: a share of the score for each value."""

    @property
    def width(self) -> float:
        return self.end - self.start

    @property
    def error(self) -> float:
        """The change of the score less the predicted one."""
        return self.end_score - self.start_score - self.width * float(self.gradient.sum(dtype=np.float64))


def compute(question: Question) -> list[RawMap]:
    """Return the map of each image, H × W: the sum over its channels."""
    return [_map(question, image, score) for image, score in zip(question.inputs, question.scores, strict=True)]


def _map(question: Question, image: Inputs, score: ExplainedScore) -> RawMap:
    edges = np.linspace(0, 1, FIRST_STEPS + 1) ** SPACING
    scores = question.values(_on_the_path(image, edges), score)
    start, end = float(scores[0]), float(scores[-1])
    size = max(abs(end - start), np.finfo(np.float64).tiny)
    steps = _steps(question, image, score, list(zip(edges[:-1], edges[1:], scores[:-1], scores[1:], strict=True)))
    while abs(sum(step.error for step in steps)) > TARGET_GAP * size and len(steps) < MAX_STEPS:
        steps.sort(key=lambda step: -abs(step.error))
        worst, steps = steps[:HALVED_AT_ONCE], steps[HALVED_AT_ONCE:]
        steps += _steps(question, image, score, [half for step in worst for half in _halves(step)])
    total = np.zeros(image.shape)
    for step in steps:
        total += step.width * step.gradient
    gap = abs(total.sum() - (end - start)) / size
    details = {
        "baseline": BASELINE, "baseline_score": start, "score": end, "sum": float(total.sum()), "steps": len(steps),
        "gap": float(gap), "largest_gap": MAX_GAP,
    }  # fmt: skip
    return RawMap(total.sum(axis=0), details=details)


def _on_the_path(image: Inputs, shares: Floats) -> Inputs:
    return np.asarray(shares[:, None, None, None] * image, np.float32)


def _halves(step: Step) -> list[tuple[float, float, float, float]]:
    middle = (step.start + step.end) / 2
    return [
        (step.start, middle, step.start_score, step.middle_score),
        (middle, step.end, step.middle_score, step.end_score),
    ]


def _steps(
    question: Question, image: Inputs, score: ExplainedScore, parts: list[tuple[float, float, float, float]]
) -> list[Step]:
    middles = np.array([(start + end) / 2 for start, end, _, _ in parts])
    scores, gradients = question.scores_and_gradients(_on_the_path(image, middles), score)
    return [
        Step(*part, value, gradient * image) for part, value, gradient in zip(parts, scores, gradients, strict=True)
    ]


METHOD = Method(
    "integrated-gradients", "Integrated gradients", "Sundararajan et al. 2017",
    f"the share of a pixel in the difference between the score of the image and that of {BASELINE}", compute,
    needs_layer=False,
)  # fmt: skip

"""The gradient of the score for the image: how strongly each pixel changes the score.

Simonyan, Vedaldi & Zisserman, "Deep inside convolutional networks: visualising image classification models and saliency
maps", 2013. The map is the largest magnitude over the channels of the image; it has no sign.
"""

from __future__ import annotations

import numpy as np

from opsin.explain.attribution.method import Floats, Method, RawMap
from opsin.explain.attribution.question import Inputs, Question


def compute(question: Question) -> list[RawMap]:
    """Return the map of each image, H × W, for normalized pixel values."""
    pairs = zip(question.inputs, question.scores, strict=True)
    return [RawMap(_largest(question.scores_and_gradients(image[None], score)[1][0])) for image, score in pairs]


def _largest(gradient: Inputs) -> Floats:
    return np.asarray(np.abs(gradient).max(axis=0), np.float64)


METHOD = Method(
    "gradient", "Gradient", "Simonyan et al. 2013",
    "the magnitude of the score's gradient for a pixel, the largest of its colours: how strongly it changes the score",
    compute, needs_layer=False,
)  # fmt: skip

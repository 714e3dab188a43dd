"""A network whose answer depends on one part of the image alone, by construction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opsin import nn
from opsin.explain import Explainer
from opsin.explain.faithfulness import Confidence
from tests.explain.networks import model_of

ROWS, COLUMNS = slice(2, 6), slice(9, 13)


def square_image() -> NDArray[np.float32]:
    """Noise with a checkerboard in the part that counts, 1 × 16 × 16, normalized."""
    image = np.random.default_rng(2).normal(0, 0.5, (1, 16, 16)).astype(np.float32)
    image[0, ROWS, COLUMNS] = np.indices((4, 4)).sum(0) % 2 * 4 - 2
    return image


def square_confidence() -> Confidence:
    """The confidence of a linear network that compares the part with the checkerboard."""
    model = model_of(nn.Sequential(("flat", nn.Flatten()), ("fc", nn.Linear(2))), (1, 16, 16), labels=("yes", "no"))
    weight = np.zeros((2, 16, 16), np.float32)
    weight[0, ROWS, COLUMNS] = (np.indices((4, 4)).sum(0) % 2 * 2 - 1) / 2
    model.state = {"fc.weight": weight.reshape(2, 256), "fc.bias": np.array([-8, 0], np.float32)}
    explainer = Explainer(model)
    score = explainer.model.task.explained_scores({"logits": np.array([[1, 0]], np.float32)})[0]
    return Confidence(explainer.observer, score, square_image())

"""Grad-CAM++: channels weighted with positive gradients, which count more where a channel is active in few places.

Chattopadhay, Sarkar, Howlader & Balasubramanian, "Grad-CAM++: generalized gradient-based visual explanations for deep
convolutional networks", WACV 2018. The paper explains the exponential of the score, whose higher derivatives are powers
of the gradient times one factor; maps do not depend on that factor, so that it is left out.
"""

from __future__ import annotations

import numpy as np

from opsin.explain.attribution.method import Floats, cam, weighted_sum

EPSILON = 1e-6
"""Is added to the denominator, as in the implementations that are used most. The gradients of a network whose logits
hardly depend on the layer are small next to it; weights are then the cubes of gradients instead of their shares."""


def weigh(values: Floats, gradients: Floats) -> tuple[Floats, Floats]:
    """Return maps and weights of channels."""
    squares = gradients**2
    denominators = 2 * squares + values.sum(axis=(2, 3), keepdims=True) * (squares * gradients) + EPSILON
    shares = np.divide(squares, denominators, out=np.zeros_like(squares), where=(gradients != 0) & (denominators != 0))
    return weighted_sum(values, (np.maximum(gradients, 0) * shares).sum(axis=(2, 3)))


METHOD = cam(
    "grad-cam++", "Grad-CAM++", "Chattopadhay et al. 2018",
    "the sum of all channels at a place, each times a weighted sum of the score's positive gradients over the channel",
    weigh,
)  # fmt: skip

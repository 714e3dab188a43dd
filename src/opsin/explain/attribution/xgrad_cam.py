"""XGrad-CAM: channels weighted with the mean of their gradients, in which each place counts by the channel's value.

Fu, Hu, Dong, Guo, Gao & Li, "Axiom-based Grad-CAM: towards accurate visualization and explanation of CNNs", BMVC 2020.
"""

from __future__ import annotations

import numpy as np

from opsin.explain.attribution.method import Floats, cam, weighted_sum

EPSILON = 1e-7
"""Is added to the sum of a channel, as in the authors' implementation, so that a dead channel has the weight 0."""


def weigh(values: Floats, gradients: Floats) -> tuple[Floats, Floats]:
    """Return maps and weights of channels."""
    products, sums = (gradients * values).sum(axis=(2, 3)), values.sum(axis=(2, 3)) + EPSILON
    return weighted_sum(values, np.divide(products, sums, out=np.zeros_like(sums), where=sums != 0))


METHOD = cam(
    "xgrad-cam", "XGrad-CAM", "Fu et al. 2020",
    "the sum of all channels at a place, each times the mean of the score's gradient over the channel, "
    "weighted with the channel's values", weigh,
)  # fmt: skip

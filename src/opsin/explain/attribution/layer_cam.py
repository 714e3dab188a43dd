"""Layer-CAM: positive gradient times value at each place, summed over the channels.

Jiang, Zhang, Hou, Cheng & Wei, "LayerCAM: exploring hierarchical class activation maps for localization", IEEE
Transactions on Image Processing 2021. It suits layers of high resolution better than Grad-CAM does.
"""

from __future__ import annotations

import numpy as np

from opsin.explain.attribution.method import Floats, cam


def weigh(values: Floats, gradients: Floats) -> tuple[Floats, None]:
    """Return maps."""
    return (np.maximum(gradients, 0) * values).sum(axis=1), None


METHOD = cam(
    "layer-cam", "Layer-CAM", "Jiang et al. 2021",
    "the sum over all channels of the value at a place times the score's gradient there, where it is positive", weigh,
)  # fmt: skip

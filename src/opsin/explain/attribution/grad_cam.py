"""Grad-CAM: the channels of a layer, each weighted with the mean gradient of the score for it.

Selvaraju, Cogswell, Das, Vedantam, Parikh & Batra, "Grad-CAM: visual explanations from deep networks via gradient-based
localization", ICCV 2017.
"""

from __future__ import annotations

from opsin.explain.attribution.method import Floats, cam, weighted_sum


def weigh(values: Floats, gradients: Floats) -> tuple[Floats, Floats]:
    """Return maps and weights of channels."""
    return weighted_sum(values, gradients.mean(axis=(2, 3)))


METHOD = cam(
    "grad-cam", "Grad-CAM", "Selvaraju et al. 2017",
    "the sum of all channels at a place, each times the mean of the score's gradient over the whole channel", weigh,
)  # fmt: skip

"""HiResCAM: gradient times value at each place, summed over the channels.

Draelos & Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks", 2020.
If only an average over places and a linear layer follow, the map adds up to the score without its bias; then it equals
Grad-CAM's up to a factor. Grad-CAM may show places that the network did not use; HiResCAM does not.
"""

from __future__ import annotations

from opsin.explain.attribution.method import Floats, cam


def weigh(values: Floats, gradients: Floats) -> tuple[Floats, None]:
    """Return maps."""
    return (gradients * values).sum(axis=1), None


METHOD = cam(
    "hires-cam", "HiResCAM", "Draelos & Carin 2020",
    "the sum over all channels of the value at a place times the score's gradient there", weigh,
)  # fmt: skip

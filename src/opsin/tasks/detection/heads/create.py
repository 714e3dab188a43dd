"""The heads of the zoo's detectors."""

from __future__ import annotations

from opsin.base.errors import UsageError
from opsin.tasks.detection.heads.anchors import LAYOUTS, AnchorHead
from opsin.tasks.detection.heads.head import Head
from opsin.tasks.detection.heads.point import PointHead
from opsin.zoo import find
from opsin.zoo.efficientnet_lite_det import STRIDES


def create(network: str, classes: int, input_size: tuple[int, int]) -> Head:
    """Return the head of a detector of the zoo, by name, for images of `input_size` (height, width in pixels).

    Raise `UsageError` if the network is unknown, or no detector.
    """
    if find(network).task != "detection":
        raise UsageError(f"{network} finds no objects; choose a detector, such as fcos_efficientnet_lite0")
    if network in LAYOUTS:
        return AnchorHead(classes, input_size, LAYOUTS[network])
    return PointHead(classes, input_size, STRIDES)

"""The attribution methods by name."""

from __future__ import annotations

from opsin.explain.attribution import (
    grad_cam,
    grad_cam_plus_plus,
    gradient,
    hires_cam,
    integrated_gradients,
    layer_cam,
    occlusion,
    xgrad_cam,
)
from opsin.explain.attribution.method import Method
from opsin.ir.arguments import one_of

_MODULES = (
    grad_cam, grad_cam_plus_plus, xgrad_cam, hires_cam, layer_cam, occlusion, gradient, integrated_gradients,
)  # fmt: skip

METHODS: dict[str, Method] = {module.METHOD.name: module.METHOD for module in _MODULES}

DEFAULT_METHOD = "hires-cam"
"""Equal to Grad-CAM up to a factor if an average over places and a linear layer follow, as in most networks; in others
it shows what the network uses, which Grad-CAM need not (`bench/faithfulness.py`)."""


def find_method(name: str) -> Method:
    """Return the method called `name`. Raise `UsageError` if there is none."""
    return METHODS[one_of("the method", name, tuple(METHODS))]

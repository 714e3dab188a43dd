"""What the kernels are called where people read of them."""

from __future__ import annotations

import re

from opsin.kernels.spec import KernelSpec

NAMES = {
    "Conv2d": "direct",
    "Conv2dWeight": "direct",
    "ConvPacked": "packed",
    "ConvWeightTaps": "packed, by taps",
    "PackPanels": "packing of weights",
    "PackTurned": "packing of weights",
    "Winograd": "Winograd F(4×4, 3×3)",
    "WinogradFilters": "Winograd: weights",
    "WinogradTiles": "Winograd: tiles",
    "WinogradProducts": "Winograd: products",
    "WinogradOutputs": "Winograd: outputs",
    "WinogradReduction": "Winograd: products",
    "WinogradWeight": "Winograd: gradient",
    "MatMul": "matrix product",
    "MatMulWide": "matrix product, wide",
    "Combine": "sum of parts",
    "Reduce": "reduction",
}


def algorithm(spec: KernelSpec) -> str:
    """The algorithm of a kernel; where the table has none, the name of its class in words."""
    name = type(spec).__name__
    return NAMES.get(name) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()

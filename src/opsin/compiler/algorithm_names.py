"""The names of kernels in texts for people."""

from __future__ import annotations

import re

from opsin.kernels.spec import KernelSpec

NAMES = {
    "Conv2d": "direct",
    "Conv2dWeight": "direct",
    "ConvPacked": "implicit GEMM",
    "ConvPanels": "direct, packed weights",
    "ConvWeightTaps": "implicit GEMM, by taps",
    "DepthwiseWhole": "depthwise",
    "PackPanels": "packing of weights",
    "PackTaps": "packing of weights",
    "MapReduceByChannel": "sweep",
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
    """Return the algorithm of a kernel: its name in the table, or else the name of its class in words."""
    name = type(spec).__name__
    return NAMES.get(name) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()

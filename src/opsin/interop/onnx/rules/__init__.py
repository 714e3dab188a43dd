"""Import rules of the ONNX operators, and constant folding. Importing this package registers all of them."""

from opsin.interop.onnx.rules import (
    constant_folding,
    conv_pool,
    linear,
    normalization,
    pointwise,
    quantization,
    reduction,
    resize,
    shapes,
)
from opsin.interop.onnx.rules.constant_folding import simplify
from opsin.interop.onnx.rules.registry import FOLDS, RULES

__all__ = [
    "FOLDS", "RULES", "constant_folding", "conv_pool", "linear", "normalization", "pointwise", "quantization",
    "reduction", "resize", "shapes", "simplify",
]  # fmt: skip

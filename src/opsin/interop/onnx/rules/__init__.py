"""What the operators mean, by groups: how each becomes part of the graph, and what is calculated while reading."""

from opsin.interop.onnx.rules import folds, linear, normal, pointwise, reduce, resize, shapes, windows
from opsin.interop.onnx.rules.folds import tidy
from opsin.interop.onnx.rules.table import FOLDS, RULES

__all__ = ["FOLDS", "RULES", "folds", "linear", "normal", "pointwise", "reduce", "resize", "shapes", "tidy", "windows"]

"""Registry of the import rules and of the constant-folding functions, by operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from opsin.interop.onnx.call import Array, OnnxCall, Value

Rule: TypeAlias = Callable[[OnnxCall], "Value | Sequence[Value]"]
"""Converts a node to its output, or to its outputs."""

Fold: TypeAlias = Callable[[OnnxCall, "list[Array]"], "Array | list[Array]"]
"""Computes the output, or the outputs, of a node from its constant operands."""

RULES: dict[str, Rule] = {}
FOLDS: dict[str, Fold] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register the decorated function as the import rule of the operators `names`."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def fold(*names: str) -> Callable[[Fold], Fold]:
    """Register the decorated function to fold the operators `names` if all their operands are constant."""

    def register(function: Fold) -> Fold:
        FOLDS.update(dict.fromkeys(names, function))
        return function

    return register

"""The operators by name: how each becomes part of the graph, and how it calculates with what is known already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from opsin.interop.onnx.call import Array, OnnxCall, Value

Rule: TypeAlias = Callable[[OnnxCall], "Value | Sequence[Value]"]
"""From a node to its result, or to its results."""
Fold: TypeAlias = Callable[[OnnxCall, "list[Array]"], "Array | list[Array]"]
"""From a node and its operands, all of them known, to its result, or to its results."""

RULES: dict[str, Rule] = {}
FOLDS: dict[str, Fold] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """The decorated function is the rule of the operators `names`."""

    def enter(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return enter


def fold(*names: str) -> Callable[[Fold], Fold]:
    """The decorated function calculates the operators `names` where all operands are known."""

    def enter(function: Fold) -> Fold:
        FOLDS.update(dict.fromkeys(names, function))
        return function

    return enter

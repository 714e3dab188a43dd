"""Central differences: the gradient of a weight from two losses, computed by the reference engine in float64.

The loss is computed with w + h and with w - h; (L(w + h) - L(w - h)) / 2h approaches dL/dw with an error of the order
h². If a decision changes between the two, such as the sign of a ReLU's input or the largest number of a pool, the loss
has a kink there, and h is made smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.backends.base import load_known
from opsin.backends.reference import Reference
from opsin.base.concurrency import lazy
from opsin.base.formatting import decimal
from opsin.explain.backpropagation.backward import Backward
from opsin.explain.backpropagation.target import Case
from opsin.ir import Graph, Node, Tensor
from opsin.ops.sliding import pool_window

STEPS = (2.0**-16, 2.0**-20, 2.0**-24)
"""The steps h that are tried, the largest first."""
CHOICES = frozenset({"relu", "relu6", "max_pool2d", "max", "maximum", "minimum", "greater"})
"""Operations that decide; their results are compared between both sides."""


@dataclass(frozen=True)
class CentralDifference:
    """The losses on both sides of a weight, in float64, and the gradient that follows."""

    h: float
    loss_above: float
    loss_below: float
    flips: int
    """The decisions that differ between w - h and w + h."""

    @property
    def gradient(self) -> float:
        """The slope between both sides."""
        return (self.loss_above - self.loss_below) / (2 * self.h)

    def sentence(self, gradient: float) -> str:
        """Say how well the slope agrees with the `gradient` of backpropagation."""
        gap = abs(self.gradient - gradient) / max(abs(gradient), 1e-30)
        text = f"Both agree within {decimal(gap, '.1e')} of the gradient."
        if self.flips:
            text += (
                f" The weight is near a kink: {self.flips} decisions of ReLU or pooling change between w − h and w + h."
            )
        return text


class Differences:
    """Central differences for any weight and one image. What does not depend on the weight is computed once."""

    def __init__(self, backward: Backward, case: Case) -> None:
        self.backward, self.case = backward, case
        self._dependents: dict[str, list[Node]] = {}

    @lazy
    def _reference(self) -> tuple[Graph, dict[Tensor, NDArray[Any]]]:
        """The graph of the loss for one image, and the value of every tensor in it, in float64."""
        backward = self.backward
        program = Reference(Graph(backward.inputs, {"loss": backward.loss}), 1, np.float64)
        load_known(program, backward.model.state)
        trace = program.trace_values(**backward.arrays(self.case))
        return program.graph, {t: a for node, arrays in trace for t, a in zip(node.outputs, arrays, strict=True)}

    @property
    def loss(self) -> float:
        """The loss in float64."""
        graph, values = self._reference
        return float(values[graph.outputs["loss"]])

    def macs(self, name: str) -> int:
        """Return the MACs of the largest number of runs that a central difference for a weight of `name` takes."""
        runs = 2 * len(STEPS)
        return runs * sum(int(str(node.op.macs(node))) for node in self._dependent(name))

    def of(self, name: str, index: tuple[int, ...]) -> CentralDifference:
        """Return the central difference for the weight at `index` of the parameter `name`."""
        result = None
        for h in STEPS:
            above, below = (self._loss(name, index, sign * h) for sign in (1, -1))
            flips = sum(int((a != b).sum()) for a, b in zip(above[1], below[1], strict=True))
            result = CentralDifference(h, above[0], below[0], flips)
            if not flips:
                break
        assert result is not None
        return result

    def _loss(self, name: str, index: tuple[int, ...], change: float) -> tuple[float, list[NDArray[Any]]]:
        """Return the loss with one weight changed, and the decisions of the nodes that depend on it."""
        graph, known = self._reference
        parameter = graph.variables[name]
        value = known[parameter].copy()
        value[index] += change
        changed: dict[Tensor, NDArray[Any]] = {parameter: value}
        decisions: list[NDArray[Any]] = []
        for node in self._dependent(name):
            operands = [changed[t] if t in changed else known[t] for t in node.inputs]
            results = node.op.evaluate(*operands, **node.attrs)
            results = results if isinstance(results, tuple) else (results,)
            changed.update(zip(node.outputs, results, strict=True))
            if node.op.name in CHOICES:
                decisions.append(_decision(node, operands, results[0]))
        return float(changed[graph.outputs["loss"]]), decisions

    def _dependent(self, name: str) -> list[Node]:
        """Return the nodes that depend on a parameter, operands first."""
        if name not in self._dependents:
            graph, _ = self._reference
            tensors = {graph.variables[name]}
            nodes = []
            for node in graph.nodes:
                if not tensors.isdisjoint(node.inputs):
                    tensors.update(node.outputs)
                    nodes.append(node)
            self._dependents[name] = nodes
        return self._dependents[name]


def _decision(node: Node, operands: list[NDArray[Any]], result: NDArray[Any]) -> NDArray[Any]:
    """Return what a node decided, as an array of whole numbers or truth values."""
    x = operands[0]
    match node.op.name:
        case "relu6":
            return (x > 0) + (x > 6).astype(np.int8)
        case "max_pool2d":
            return pool_window(node, x.shape[2:]).winners(x)
        case "max":  # over a row it is the shift of a softmax, which cancels
            return x == result if x.ndim == 4 else np.zeros(0, bool)
        case "maximum" | "minimum" | "greater":
            return np.asarray(x > operands[1])
    return np.asarray(x > 0)

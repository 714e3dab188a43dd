"""The division of a graph into steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from opsin.ir import FLOAT, INPUT, Graph, Node, Tensor
from opsin.ops.sliding import Sliding, pool_window
from opsin.quantization.constants import constant_values
from opsin.quantization.functions import by_channel, root_of
from opsin.quantization.steps import (
    Addition,
    Array,
    Function,
    Join,
    Mean,
    Move,
    Multiplication,
    Product,
    Rest,
    Step,
    Window,
)

AFFINE_OPS = frozenset(("add", "subtract", "multiply", "divide", "negate"))
MOVE_OPS = frozenset(("reshape", "transpose", "slice", "pad", "max_pool2d", "stop_gradient"))
WINDOW_ATTRS = ("stride", "padding", "dilation", "groups")


def steps_of(graph: Graph, state: Mapping[str, NDArray[Any]]) -> list[Step]:
    """Return the steps of a graph that predicts, in the order in which they can be computed."""
    return Partition(graph, state).steps()


Clipped = TypeVar("Clipped", Product, Addition)


class Partition:
    """The state of a division: constants, the tensors that a later step must find, and the nodes that are taken."""

    def __init__(self, graph: Graph, state: Mapping[str, NDArray[Any]]) -> None:
        self.graph = graph
        self.values = constant_values(graph, state)
        self.outputs = set(graph.outputs.values())
        self.taken: set[Node] = set()
        self.roots: dict[Tensor, Tensor] = {}
        """For results of functions of one number: the tensor that they are functions of."""

    def steps(self) -> list[Step]:
        """Return the steps. Functions follow once it is known which of their results others read."""
        found: list[Step] = []
        for node in self.graph.nodes:
            if node in self.taken or node.op is INPUT or node.output in self.values:
                continue
            step = self._step(node)
            if step is not None:
                found.append(step)
        return self._with_functions(found)

    def _step(self, node: Node) -> Step | None:
        """Return the step that begins with `node`; None if it belongs to a function of one number."""
        root = root_of(node, self.values, self.roots)
        if root is not None:
            self.roots[node.output] = root
            return None
        operands = tuple(t for t in node.inputs if t not in self.values)
        match node.op.name:
            case "conv2d" | "matmul" if self._is_product(node):
                return self._product(node)
            case "add" | "subtract" if node.inputs[0].type == node.inputs[1].type and len(operands) == 2:
                return self._clipped(Addition(node, operands, node.output, 1 if node.op.name == "add" else -1))
            case "multiply" if len(operands) == 2 and _is_gate(node):
                return Multiplication(node, _larger_first(operands), node.output)
            case "sum" if _sums_pixels(node):
                size = node.inputs[0].shape[2:]
                return self._mean(Mean(node, operands, node.output, size, size, ((0, 0), (0, 0)), 1.0))  # type: ignore[arg-type]
            case "avg_pool2d" if _divides_evenly(node):
                size, a = node.attrs["window"], node.attrs
                factor = 1 / (size[0] * size[1])
                return self._mean(Mean(node, operands, node.output, size, a["stride"], a["padding"], factor))
            case "concat" if len(operands) == len(node.inputs):
                return Join(node, operands, node.output)
            case name if name in MOVE_OPS and node.output.dtype == FLOAT and not any(node.attrs.get("interior", ())):
                return Move(node, operands, node.output)
        return Rest(node, operands, node.output)

    # -- what follows a step and becomes a part of it ------------------------------------------

    def _next(self, tensor: Tensor, *, inside: frozenset[str]) -> Node | None:
        """Return the only reader of `tensor` if it is one of the operations `inside` and nothing else needs it."""
        readers = self.graph.users[tensor]
        if len(readers) != 1 or tensor in self.outputs or readers[0].op.name not in inside:
            return None
        return readers[0] if sum(t is tensor for t in readers[0].inputs) == 1 else None

    def _product(self, node: Node) -> Step:
        x, w = node.inputs
        weight, window = self.values[w], None
        if node.op.name == "conv2d":
            window = Window(**{key: node.attrs[key] for key in WINDOW_ATTRS})
        else:
            weight = (weight if node.attrs["transpose_b"] else weight.T)[:, :, None, None]
        step = Product(node, (x,), node.output, weight, np.zeros(len(weight)), window)
        while (reader := self._next(step.output, inside=AFFINE_OPS)) is not None:
            affine = self._affine(reader, step.output)
            if affine is None:
                break
            self.taken.add(reader)
            step = replace(step.scaled(*affine), output=reader.output)
        return self._clipped(step)

    def _affine(self, node: Node, x: Tensor) -> tuple[Array, Array] | None:
        """Return the factor and the offset of each channel by which `node` maps `x`; None if it does not."""
        others = [t for t in node.inputs if t is not x]
        if any(t not in self.values or not by_channel(self.values[t].shape, x) for t in others):
            return None
        if node.output.shape != x.shape or (node.op.name == "divide" and node.inputs[0] is not x):
            return None
        channels = int(str(x.shape[1]))
        ends = [np.full((1, channels, *[1] * (x.rank - 2)), value) for value in (0.0, 1.0)]
        zero, one = (
            node.op.evaluate(*[end if t is x else self.values[t] for t in node.inputs], **node.attrs).reshape(-1)
            for end in ends
        )
        return one - zero, zero

    def _clipped(self, step: Clipped) -> Clipped:
        """Return a product or addition with the bounds that follow it."""
        while (
            reader := self._next(step.output, inside=frozenset(("relu", "relu6", "maximum", "minimum")))
        ) is not None:
            bounds = self._bounds(reader)
            if bounds is None:
                break
            self.taken.add(reader)
            low, high = (min(max(bound, bounds[0]), bounds[1]) for bound in (step.low, step.high))
            step = replace(step, output=reader.output, low=low, high=high)
        return step

    def _bounds(self, node: Node) -> tuple[float, float] | None:
        numbers = [self.values[t] for t in node.inputs if t in self.values]
        if any(number.ndim for number in numbers):
            return None
        match node.op.name:
            case "relu":
                return 0.0, inf
            case "relu6":
                return 0.0, 6.0
            case "maximum" if numbers:
                return float(numbers[0]), inf
            case "minimum" if numbers:
                return -inf, float(numbers[0])
        return None

    def _mean(self, step: Mean) -> Mean:
        """Return the step with the constant factor that follows it."""
        reader = self._next(step.output, inside=frozenset(("multiply", "divide")))
        affine = self._affine(reader, step.output) if reader is not None else None
        if reader is None or affine is None or np.ptp(affine[0]) or affine[0][0] <= 0:
            return step
        self.taken.add(reader)
        return replace(step, output=reader.output, factor=step.factor * float(affine[0][0]))

    # -- functions of one number ---------------------------------------------------------------

    def _with_functions(self, found: list[Step]) -> list[Step]:
        """Return the steps with those for the results of functions that other steps or the caller read."""
        read = {t for step in found for t in step.inputs} | self.outputs
        functions = [self._function(t) for t in self.roots if t in read]
        place = {node: number for number, node in enumerate(self.graph.nodes)}
        return sorted([*found, *functions], key=lambda step: place[step.output.node])

    def _function(self, result: Tensor) -> Function:
        root, path, pending = self.roots[result], dict[Node, None](), [result]
        while pending:
            tensor = pending.pop()
            if tensor is not root and tensor not in self.values:
                path[tensor.node] = None
                pending += tensor.node.inputs
        order = tuple(node for node in self.graph.nodes if node in path)
        return Function(order[-1], (root,), result, order)

    def _is_product(self, node: Node) -> bool:
        x, w = node.inputs
        if w not in self.values or x in self.values:
            return False
        return node.op.name == "conv2d" or (x.rank == 2 and w.rank == 2 and not node.attrs["transpose_a"])


def _is_gate(node: Node) -> bool:
    """Whether one factor is one number for each channel of the other, or both have one shape."""
    large, small = _larger_first(node.inputs)
    return small.shape == large.shape or (large.rank == 4 and small.shape == (*large.shape[:2], 1, 1))


def _larger_first(operands: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    a, b = operands
    return (b, a) if a.rank == 4 and a.shape[2:] == (1, 1) and a.shape != b.shape else (a, b)


def _sums_pixels(node: Node) -> bool:
    """Whether a sum is over all pixels of images."""
    x = node.inputs[0]
    return x.rank == 4 and {axis for axis in (2, 3) if x.shape[axis] != 1} == set(node.attrs["axes"])


def _divides_evenly(node: Node) -> bool:
    """Whether every window of an average has the same number of pixels, padding included."""
    attrs = node.attrs
    slide: Sliding = pool_window(node, tuple(int(str(size)) for size in node.inputs[0].shape[2:]))
    is_padded = any(map(any, attrs["padding"]))
    return (attrs["count_include_pad"] or not is_padded) and slide.out == replace(slide, ceil_mode=False).out

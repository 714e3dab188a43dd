"""The network of real numbers that rounds where the network of 8-bit integers does, so that training learns with it.

Weights are rounded by the steps of their output channels, and results by their ranges (Jacob et al., "Quantization and
training of neural networks for efficient integer-arithmetic-only inference", 2018). Batch normalization has fixed
statistics, so that it can be folded. Steps and ranges are variables of the graph, which training leaves as they are:
they were observed on the network that training begins with, and quantize the network that it ends with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.ir import VARIABLE, Graph, Shape, Tensor, apply, scope, variable
from opsin.quantization.demand import integer_tensors, is_integer, observed_tensors
from opsin.quantization.partition import steps_of
from opsin.quantization.ranges import Ranges
from opsin.quantization.record import tensors_of
from opsin.quantization.steps import Move, Product, Step, origins_of
from opsin.quantization.weights import LARGEST, own_steps

State = Mapping[str, NDArray[Any]]
PREFIX = "quantization."
"""The first part of the names of the variables that hold steps and ranges."""


def simulated(graph: Graph, state: State, frozen: Sequence[str] = ()) -> Graph:
    """Return `graph`, which predicts, with results and weights rounded as by 8-bit integers.

    Parameters of layers in `frozen`, paths that include their sublayers, have no gradient.
    """
    return Simulation(graph, steps_of(graph, state), frozen).graph()


def simulation_state(graph: Graph, state: State, ranges: Ranges) -> dict[str, NDArray[Any]]:
    """Return the values of the variables that `simulated` adds to those of `graph`."""
    steps, number = steps_of(graph, state), _numbers(graph)
    values: dict[str, NDArray[Any]] = {}
    for tensor in observed_tensors(steps):
        scale, shape = ranges.scale(tensor), _by_channel(tensor)
        step = np.ones(shape) * scale.step
        if tensor in ranges.factors:
            step = step / ranges.factors[tensor].reshape(shape)
        parts = {"step": step, "low": -128 - scale.zero, "high": 127 - scale.zero}
        values |= {_name(number[tensor], part): np.asarray(value, np.float32) for part, value in parts.items()}
    origins, demanded = origins_of(steps), integer_tensors(steps)
    for product in _products(steps):
        (x,), y = product.inputs, product.output
        stored = ranges.stored(product) if y in demanded else product
        own = own_steps(stored, ranges.scale(origins.get(x, x)), ranges.scale(y) if y in demanded else None)
        values[_name(number[y], "weight")] = own.astype(np.float32)
        values[_name(number[product.output], "mean")] = ranges.means[product.inputs[0]].astype(np.float32)
    return values


def simulated_ranges(graph: Graph, state: State, values: State) -> Ranges | None:
    """Return the ranges in the `values` of a program that simulates `graph`; None if the program rounds nothing."""
    if not any(name.startswith(PREFIX) for name in values):
        return None
    steps, number, ranges = steps_of(graph, state), _numbers(graph), Ranges()
    for tensor in observed_tensors(steps):
        step, low, high = (values[_name(number[tensor], part)].astype(np.float64) for part in ("step", "low", "high"))
        largest = float(step.max())
        ranges.bounds[tensor] = float(low) * largest, float(high) * largest
        if np.ptp(step):
            ranges.factors[tensor] = (largest / step).reshape(-1)
    for move in steps:
        if isinstance(move, Move) and move.inputs[0] in ranges.factors:
            ranges.factors[move.output] = ranges.factors[move.inputs[0]]
    for product in _products(steps):
        weight, mean = (values[_name(number[product.output], part)] for part in ("weight", "mean"))
        ranges.steps[product.output] = weight.astype(np.float64)
        ranges.means[product.inputs[0]] = mean.astype(np.float64)
    return ranges


def _products(steps: Sequence[Step]) -> list[Product]:
    return [step for step in steps if isinstance(step, Product)]


def _numbers(graph: Graph) -> dict[Tensor, int]:
    return {tensor: place for place, tensor in enumerate(tensors_of(graph))}


class Simulation:
    """The new tensors for those of the original graph: before they are rounded, and after that."""

    def __init__(self, graph: Graph, steps: Sequence[Step], frozen: Sequence[str]) -> None:
        self.original, self.frozen, self.number = graph, tuple(frozen), _numbers(graph)
        self.steps = {step.output: step for step in steps}
        demanded = integer_tensors(steps)
        self.observed = set(observed_tensors(steps))
        self.integer = {
            s.output for s in steps if is_integer(s, ()) and (s.output in demanded or isinstance(s, Product))
        }
        self.exact: dict[Tensor, Tensor] = {tensor: tensor for tensor in graph.inputs}
        self.rounded: dict[Tensor, Tensor] = {}

    def graph(self) -> Graph:
        """Return the new graph."""
        for step in self.steps.values():
            self.exact[step.output] = self._result(step)
        outputs = {name: self._read(tensor, None) for name, tensor in self.original.outputs.items()}
        return Graph(self.original.inputs, outputs).verify_names()

    def _result(self, step: Step) -> Tensor:
        """Return the result of `step`, computed from its rounded inputs."""
        known = {tensor: self._read(tensor, step) for tensor in step.inputs}
        if isinstance(step, Product):
            known[step.node.output] = self._product(step, known[step.inputs[0]])
        return self._copied(step.output, known)

    def _copied(self, tensor: Tensor, known: dict[Tensor, Tensor]) -> Tensor:
        """Return `tensor` computed as in the original graph, but from the tensors `known`."""
        if tensor not in known:
            node = tensor.node
            if node.op is VARIABLE:
                known[tensor] = ops.stop_gradient(tensor) if self._is_frozen(node.attrs["name"]) else tensor
            else:
                inputs = [self._copied(operand, known) for operand in node.inputs]
                known |= zip(node.outputs, apply(node.op, inputs, node.attrs, node.scope).outputs, strict=True)
        return known[tensor]

    def _is_frozen(self, name: str) -> bool:
        return any(name.startswith(f"{path}.") for path in self.frozen)

    def _read(self, tensor: Tensor, step: Step | None) -> Tensor:
        """Return `tensor` as `step` reads it: rounded if it is an integer, or becomes one for the step."""
        is_integer = tensor in self.integer or (step is not None and step.output in self.integer)
        if tensor not in self.observed or not is_integer:
            return self.exact[tensor]
        if tensor not in self.rounded:
            with scope(tensor.node.scope):
                step_variable = self._variable(tensor, "step", _by_channel(tensor))
                bounds = (self._variable(tensor, part) for part in ("low", "high"))
                self.rounded[tensor] = ops.fake_quantize(self.exact[tensor], step_variable, *bounds)
        return self.rounded[tensor]

    def _product(self, step: Product, x: Tensor) -> Tensor:
        """Return the convolution or matrix product at the beginning of `step`, with its weights rounded.

        Their error at the mean of the input is subtracted, as the bias of the integers does it.
        """
        node = step.node
        weight = self._copied(node.inputs[1], {})
        is_matrix = step.window is None and not node.attrs["transpose_b"]
        axis, groups = int(is_matrix), step.window.groups if step.window else 1
        filters = len(step.weight)
        with scope(node.scope):
            own = self._variable(step.output, "weight", (filters,))
            by_filter = tuple(filters if place == axis else 1 for place in range(weight.rank))
            rounded = ops.fake_quantize(weight, ops.reshape(own, by_filter), -LARGEST, LARGEST)
            error = ops.stop_gradient(ops.subtract(rounded, weight))
            rows = ops.transpose(error, (1, 0)) if is_matrix else error
            rows = ops.reshape(rows, (groups, filters // groups, step.weight.shape[1], -1))
            mean = self._variable(step.output, "mean", (groups * step.weight.shape[1],))
            by_group = ops.reshape(mean, (groups, 1, step.weight.shape[1], 1))
            shift = ops.sum(ops.multiply(rows, by_group), (2, 3))
            y = apply(node.op, [x, rounded], node.attrs).output
            return ops.subtract(y, ops.reshape(shift, (filters, *[1] * (y.rank - 2))))

    def _variable(self, tensor: Tensor, part: str, shape: Shape = ()) -> Tensor:
        return variable(_name(self.number[tensor], part), shape, init=("ones",))


def _by_channel(tensor: Tensor) -> tuple[int, ...]:
    """Return the shape of one number for each channel of `tensor`."""
    return tuple(int(str(size)) if axis == 1 else 1 for axis, size in enumerate(tensor.shape))


def _name(number: int, part: str) -> str:
    return f"{PREFIX}{number}.{part}"

"""The simulation of a quantized network in real numbers: results are rounded to 8-bit integers and converted back.

This is the form in which files of ONNX describe quantized networks (QuantizeLinear, DequantizeLinear), and the
simulated quantization of Jacob et al. ("Quantization and training of neural networks for efficient
integer-arithmetic-only inference", 2018). Scales, weights and biases are those of the graph of 8-bit integers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.ir import Graph, Tensor, apply
from opsin.ops.quantized.rounded_variable import RoundedVariable
from opsin.quantization.fixed_point import scaled_product
from opsin.quantization.partition import steps_of
from opsin.quantization.ranges import Ranges
from opsin.quantization.rewrite import Integers, Rewriter, State, per_channel
from opsin.quantization.scales import Scale
from opsin.quantization.sixteen_bits import Bytes
from opsin.quantization.steps import Addition, Function, Join, Mean, Move, Multiplication, Product, Step
from opsin.quantization.weights import IntegerWeights


@dataclass(frozen=True, eq=False)
class Simulation:
    """A graph that rounds its results with `quantize` and `dequantize`, its variables, and the rounded ones of them."""

    graph: Graph
    state: State
    rounded: dict[str, RoundedVariable] = field(default_factory=dict)


def simulate_graph(
    graph: Graph, state: Mapping[str, NDArray[Any]], ranges: Ranges, float_layers: Collection[str] = ()
) -> Simulation:
    """Return the simulation of what `quantize_graph` makes of the same arguments; its input is normalized images."""
    simulator = Simulator(graph, state, ranges, float_layers)
    simulated, values = simulator.rewritten(steps_of(graph, state))
    return Simulation(simulated, values, simulator.variables)


class Simulator(Rewriter):
    """A `Rewriter` that computes with the real numbers for which 8-bit integers stand.

    What has 16 bits is not rounded.
    """

    def __init__(
        self, graph: Graph, state: Mapping[str, NDArray[Any]], ranges: Ranges, float_layers: Collection[str] = ()
    ) -> None:
        super().__init__(graph, state, ranges, float_layers)
        self.variables: dict[str, RoundedVariable] = {}

    # -- conversions --------------------------------------------------------------------------

    def real(self, tensor: Tensor) -> Tensor:
        is_integer = tensor not in self.reals and tensor in self.integers
        return self._by_channel(tensor, self.rounded(tensor), -1) if is_integer else super().real(tensor)

    def rounded(self, tensor: Tensor) -> Tensor:
        """Return `tensor` rounded to 8-bit integers, as real numbers.

        Each reader gets its own conversion, because ONNX Runtime merges one with a single reader.
        """
        q = self.integer(tensor)
        return ops.dequantize(q.tensor, q.scale.step, q.scale.zero)

    def sixteen(self, tensor: Tensor) -> Bytes:
        return Bytes(self.real(tensor), self.real(tensor), self.wide[tensor])

    def _move_bytes(self, step: Step) -> None:
        pass  # as real numbers

    def _quantized(self, y: Tensor, scale: Scale, low: float = -np.inf, high: float = np.inf) -> Integers:
        """Return real numbers as integers; bounds that the range of the integers does not imply are applied first."""
        y = self._clipped(y, low if scale.bound(low) > -128 else -np.inf, high if scale.bound(high) < 127 else np.inf)
        return Integers(ops.quantize(y, scale.step, scale.zero), scale)

    def _clipped(self, y: Tensor, low: float, high: float) -> Tensor:
        if (low, high) == (0.0, 6.0):
            return ops.relu6(y)
        if np.isfinite(low):
            y = ops.relu(y) if low == 0 else ops.maximum(y, low)
        return ops.minimum(y, high) if np.isfinite(high) else y

    def _variable(self, step: Step, role: str, values: RoundedVariable) -> Tensor:
        made = self.constant(step, role, values.values)
        self.variables[str(made.node.attrs["name"])] = values
        return made

    # -- steps --------------------------------------------------------------------------------

    def _product(self, step: Product, as_integers: bool) -> None:
        x, weights = self._weights(step, as_integers)
        if not weights.fits(x.scale.greatest + 1):
            return  # it stays in float32
        (tensor,) = step.inputs
        given = self.real(tensor) if tensor in self.wide else self.rounded(tensor)
        y = self._real_sums(step, given, weights, x.scale)
        if not as_integers or step.output in self.wide:
            self.reals[step.output] = self._clipped(y, step.low, step.high)
            return
        scale = self.ranges.scale(step.output).at_least(weights.smallest_step())
        self.integers[step.output] = self._quantized(y, scale, step.low, step.high)

    def _real_sums(self, step: Product, x: Tensor, weights: IntegerWeights, scale: Scale) -> Tensor:
        """Return the convolution or the matrix product of `x`, with its bias."""
        unit = (weights.unit / scale.step).astype(np.float32)
        integers = weights.weight if step.window else weights.weight.reshape(len(unit), -1)
        bias = np.rint(weights.bias + scale.zero * weights.weight.sum((1, 2, 3), np.int64)).astype(np.int32)
        w = self._variable(step, "weight_int8", RoundedVariable(integers, unit))
        b = self._variable(step, "bias_int32", RoundedVariable(bias, unit * np.float32(scale.step)))
        if step.window is None:
            return ops.linear(x, w, b)
        window = step.window
        return ops.conv2d(x, w, b, window.stride, window.padding, window.dilation, window.groups)

    def _integer_step(self, step: Step) -> Integers:
        if isinstance(step, Function):
            return self._function(step, self.integer(step.inputs[0]))
        operands = [self.rounded(t) for t in step.inputs]
        match step:
            case Move():
                y = step.node.op(*operands, **step.node.attrs).output
                return self._quantized(y, self.integers[step.inputs[0]].scale)
            case Join():
                y = step.node.op(*operands, **step.node.attrs).output
            case Addition():
                y = ops.add(*operands) if step.sign > 0 else ops.subtract(*operands)
                return self._quantized(y, self.ranges.scale(step.output), step.low, step.high)
            case Multiplication():
                unit = prod(self.integers[t].scale.step for t in step.inputs)
                scale, *_ = scaled_product(unit, self.ranges.scale(step.output))
                return self._quantized(ops.multiply(*operands), scale)
            case Mean():
                unit = self.integers[step.inputs[0]].scale.step * step.factor
                return self._quantized(
                    self._average(step, *operands), scaled_product(unit, self.ranges.scale(step.output))[0]
                )
            case _:
                raise NotImplementedError(type(step).__name__)
        return self._quantized(y, self.ranges.scale(step.output))

    def _average(self, step: Mean, x: Tensor) -> Tensor:
        is_global = step.size == x.shape[2:]
        y = ops.global_avg_pool2d(x) if is_global else ops.avg_pool2d(x, step.size, step.stride, step.padding)
        factor = step.factor * step.size[0] * step.size[1]
        y = y if np.isclose(factor, 1, rtol=1e-9) else ops.multiply(y, factor)
        return ops.reshape(y, step.output.shape)

    def _function(self, step: Function, x: Integers) -> Integers:
        (root,) = step.inputs
        factors, real = self.ranges.factors.get(root), self.rounded(root)
        if factors is not None:
            column = self.constant(step, "factor", per_channel(1 / factors, real))
            real = ops.multiply(real, column)
        results = {root: real}
        for node in step.path:
            operands = [results[t] if t in results else self.real(t) for t in node.inputs]
            results[node.output] = apply(node.op, operands, node.attrs, node.scope).output
        return self._quantized(results[step.output], self.ranges.scale(step.output))

"""The rewriting of a graph of real numbers as one of 8-bit integers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.ir import FLOAT, INT, INT8, VARIABLE, Graph, Node, Tensor, apply, input_tensor, scope, variable
from opsin.ops.registry import OPS
from opsin.quantization.constants import constant_values
from opsin.quantization.demand import integer_tensors, is_integer
from opsin.quantization.fixed_point import addition_factors, scaled_product
from opsin.quantization.functions import table
from opsin.quantization.ranges import Ranges
from opsin.quantization.scales import Scale
from opsin.quantization.sixteen_bits import BYTE, Bytes, scales_of
from opsin.quantization.steps import Addition, Array, Function, Join, Mean, Move, Multiplication, Product, Step, Window
from opsin.quantization.weights import IntegerWeights, integer_weights

State = dict[str, NDArray[Any]]
Normalization = tuple[NDArray[np.float32], NDArray[np.float32]]
"""The factor and the offset of each channel that normalize a pixel value from 0 to 255."""


@dataclass(frozen=True)
class Integers:
    """8-bit integers with their scale."""

    tensor: Tensor
    scale: Scale


class Rewriter:
    """The new tensors for those of the original graph: as 8-bit integers, as 16-bit integers, and as real numbers."""

    def __init__(
        self,
        graph: Graph,
        state: Mapping[str, NDArray[Any]],
        ranges: Ranges,
        float_layers: Collection[str] = (),
        normalization: Normalization | None = None,
    ) -> None:
        self.graph, self.state, self.ranges, self.float_layers = graph, state, ranges, float_layers
        self.values = constant_values(graph, state)
        self.reals: dict[Tensor, Tensor] = {}
        self.integers: dict[Tensor, Integers] = {}
        self.bytes: dict[Tensor, Bytes] = {}
        self.wide: dict[Tensor, Scale] = {}
        self.new_state: State = {}
        self.normalization = normalization
        self.inputs = graph.inputs
        if normalization is None:
            self.reals |= {t: t for t in graph.inputs}
        else:
            (images,) = graph.inputs
            self.inputs = (input_tensor(images.node.attrs["name"], images.shape, INT8),)

    def rewritten(self, steps: Sequence[Step]) -> tuple[Graph, State]:
        """Return the new graph and its state."""
        demanded = integer_tensors(steps, self.float_layers)
        integer_steps = [step for step in steps if is_integer(step, self.float_layers)]
        self.wide = scales_of(integer_steps, self.ranges)
        for step in integer_steps:
            with scope(step.node.scope):
                if isinstance(step, Product):
                    self._product(step, step.output in demanded)
                elif step.output in self.wide:
                    self._move_bytes(step)
                elif step.output in demanded:
                    self.integers[step.output] = self._integer_step(step)
        outputs = {name: self.real(tensor) for name, tensor in self.graph.outputs.items()}
        return Graph(self.inputs, outputs).verify_names(), self.new_state

    # -- conversions --------------------------------------------------------------------------

    def integer(self, tensor: Tensor) -> Integers:
        """Return `tensor` as 8-bit integers; real numbers are converted."""
        if tensor not in self.integers and tensor in self.graph.inputs and self.normalization is not None:
            self.integers[tensor] = self._normalized(self.normalization, self.ranges.scale(tensor))
        if tensor not in self.integers:
            scale, real = self.ranges.scale(tensor), self.real(tensor)
            with scope(tensor.node.scope):
                real = self._by_channel(tensor, real, 1)
                self.integers[tensor] = Integers(ops.quantize(real, scale.step, scale.zero), scale)
        return self.integers[tensor]

    def sixteen(self, tensor: Tensor) -> Bytes:
        """Return `tensor` as 16-bit integers; real numbers are converted: the high byte first, then what is left."""
        if tensor not in self.bytes and tensor in self.graph.inputs and self.normalization is not None:
            self.bytes[tensor] = self._normalized_bytes(self.normalization, self.wide[tensor])
        if tensor not in self.bytes:
            scale, real = self.wide[tensor], self.real(tensor)
            with scope(tensor.node.scope):
                real = ops.clip(real, *scale.bounds)
                high = ops.quantize(real, BYTE * scale.step, scale.zero // BYTE)
                rest = ops.subtract(real, ops.dequantize(high, BYTE * scale.step, scale.zero // BYTE))
                self.bytes[tensor] = Bytes(high, ops.quantize(rest, scale.step, 0), scale)
        return self.bytes[tensor]

    def real(self, tensor: Tensor) -> Tensor:
        """Return `tensor` as real numbers: integers are converted, others computed as in the original graph."""
        if tensor not in self.reals:
            if tensor in self.graph.inputs and self.normalization is not None:
                self.reals[tensor] = self._normalized_reals(self.normalization)
            elif tensor in self.bytes:
                with scope(tensor.node.scope):
                    parts = self.bytes[tensor]
                    numbers = ops.subtract(ops.cast(ops.join_bytes(parts.high, parts.low)), float(parts.scale.zero))
                    self.reals[tensor] = ops.multiply(numbers, parts.scale.step)
            elif tensor in self.integers:
                q = self.integers[tensor]
                with scope(tensor.node.scope):
                    numbers = ops.dequantize(q.tensor, q.scale.step, q.scale.zero)
                    self.reals[tensor] = self._by_channel(tensor, numbers, -1)
            else:
                self.reals[tensor] = self._same(tensor.node)
        return self.reals[tensor]

    def _by_channel(self, tensor: Tensor, real: Tensor, power: int) -> Tensor:
        """Return `real` times the factor of each channel for which the integers of `tensor` stand, to a power."""
        if tensor not in self.ranges.factors:
            return real
        name = f"{tensor.node.scope or tensor.node.op.name}.{'factor' if power > 0 else 'divisor'}"
        return ops.multiply(real, self.named_constant(name, per_channel(self.ranges.factors[tensor] ** power, real)))

    def _normalized(self, normalization: Normalization, scale: Scale) -> Integers:
        """Return the images, which are pixels minus 128, normalized and quantized by a table for each channel."""
        rows = OPS["quantize"].evaluate(_normalized_values(normalization), scale=scale.step, zero=scale.zero)
        return Integers(self._normalized_by("inputs.table", rows), scale)

    def _normalized_bytes(self, normalization: Normalization, scale: Scale) -> Bytes:
        q = np.rint(_normalized_values(normalization) / scale.step) + scale.zero
        q = np.clip(q, scale.least, scale.greatest).astype(np.int32)
        high, low = (self._normalized_by(f"inputs.{name}", OPS[f"{name}_byte"].evaluate(q)) for name in ("high", "low"))
        return Bytes(high, low, scale)

    def _normalized_by(self, name: str, rows: NDArray[np.int8]) -> Tensor:
        is_same = bool((rows == rows[:1]).all())
        return ops.lookup_int8(self.inputs[0], self.named_constant(name, rows[0] if is_same else rows))

    def _normalized_reals(self, normalization: Normalization) -> Tensor:
        factor, offset = (
            self.named_constant(f"inputs.{name}", array.astype(np.float32).reshape(-1, 1, 1))
            for name, array in zip(("factor", "offset"), normalization, strict=True)
        )
        return ops.add(ops.multiply(ops.dequantize(self.inputs[0], 1.0, -128), factor), offset)

    def _same(self, node: Node) -> Tensor:
        if node.op is VARIABLE:
            self.new_state[node.attrs["name"]] = self.state[node.attrs["name"]]
            return node.output
        return apply(node.op, [self.real(t) for t in node.inputs], node.attrs, node.scope).output

    def constant(self, step: Step, role: str, values: NDArray[Any]) -> Tensor:
        """Return a new variable of the layer of `step` with `values`: int8, int32 or float32."""
        return self.named_constant(f"{step.layer}.{role}", values)

    def named_constant(self, name: str, values: NDArray[Any]) -> Tensor:
        """Return a new variable with `values`, called `name` if there is none of that name."""
        while name in self.new_state or name in self.state:
            name += "_"
        self.new_state[name] = values
        return variable(name, values.shape, {"int8": INT8, "int32": INT}.get(str(values.dtype), FLOAT))

    # -- steps --------------------------------------------------------------------------------

    def _weights(self, step: Product, as_integers: bool) -> tuple[Integers | Bytes, IntegerWeights]:
        """Return the input of a product as integers, and its weights for it."""
        (tensor,) = step.inputs
        x = self.sixteen(tensor) if tensor in self.wide else self.integer(tensor)
        step = self.ranges.stored(step) if as_integers else step
        return x, self._rounded(step, x.scale, self._result_scale(step) if as_integers else None)

    def _result_scale(self, step: Product) -> Scale:
        return self.wide[step.output] if step.output in self.wide else self.ranges.scale(step.output)

    def _rounded(self, step: Product, x: Scale, result: Scale | None) -> IntegerWeights:
        """Return the weights of a product for an input of the scale `x`, and a result of the scale `result`."""
        (tensor,), ranges = step.inputs, self.ranges
        learned, farther = ranges.steps.get(step.output), ranges.farther.get(step.output)
        return integer_weights(step, x, ranges.means.get(tensor), learned, farther, result)

    def _product(self, step: Product, as_integers: bool) -> None:
        x, weights = self._weights(step, as_integers)
        if not weights.fits(x.scale.greatest + 1):
            return  # it stays in float32
        w = self.constant(step, "weight_int8", weights.weight)
        if not as_integers:
            sums = self._sums(step, x, w, weights.offset())
            unit = self.constant(step, "scale", weights.unit.astype(np.float32).reshape(-1, 1, 1))
            y = ops.multiply(ops.cast(sums), unit)
            y = ops.maximum(y, step.low) if np.isfinite(step.low) else y
            y = ops.minimum(y, step.high) if np.isfinite(step.high) else y
            self.reals[step.output] = ops.reshape(y, step.output.shape)
            return
        is_wide = step.output in self.wide
        scale = self._result_scale(step).at_least(weights.smallest_step())
        bias, multiplier = weights.scaled_to(scale)
        bounds: dict[str, Any] = {
            "zero": scale.least,
            "low": scale.bound(step.low),
            "high": scale.bound(step.high),
        }
        if isinstance(x, Integers) and not is_wide:
            attrs, image = self._window(step), _image(x.tensor)
            offset, factor = self.constant(step, "bias_int32", bias), self.constant(step, "multiplier", multiplier)
            y = ops.conv2d_int8(image, w, offset, factor, **attrs, x_zero=x.scale.zero, **bounds)
            self.integers[step.output] = Integers(ops.reshape(y, step.output.shape), scale)
            return
        column = self.constant(step, "multiplier", multiplier.reshape(-1, 1, 1))
        y = ops.rescale(self._sums(step, x, w, bias), column, **bounds, dtype=INT if is_wide else INT8)
        if is_wide:
            high, low = (ops.reshape(part, step.output.shape) for part in ops.split_bytes(y))
            self.bytes[step.output] = Bytes(high, low, scale)
        else:
            self.integers[step.output] = Integers(ops.reshape(y, step.output.shape), scale)

    def _sums(self, step: Product, x: Integers | Bytes, w: Tensor, bias: NDArray[np.int32]) -> Tensor:
        """Return the 32-bit sums of a product; those of 16-bit integers are made of the sums of their bytes."""
        attrs, offset = self._window(step), self.constant(step, "bias_int32", bias)
        if isinstance(x, Integers):
            return ops.conv2d_int32(_image(x.tensor), w, offset, **attrs, x_zero=x.scale.zero)
        none = self.constant(step, "bias_high", np.zeros_like(bias))
        high = ops.conv2d_int32(_image(x.high), w, none, **attrs, x_zero=x.scale.zero // BYTE)
        return ops.join_bytes(high, ops.conv2d_int32(_image(x.low), w, offset, **attrs, x_zero=0))

    @staticmethod
    def _window(step: Product) -> dict[str, Any]:
        window = step.window or Window()
        return {
            "stride": window.stride, "padding": window.padding, "dilation": window.dilation, "groups": window.groups,
        }  # fmt: skip

    def _move_bytes(self, step: Step) -> None:
        """Move both bytes of 16-bit integers."""
        if step.inputs[0] not in self.bytes:
            return  # integers are made of the moved real numbers
        parts, attrs = self.bytes[step.inputs[0]], step.node.attrs
        is_padded = step.node.op.name == "pad"
        high, low = (
            step.node.op(x, **attrs | ({"value": zero} if is_padded else {})).output
            for x, zero in ((parts.high, parts.scale.zero // BYTE), (parts.low, 0))
        )
        self.bytes[step.output] = Bytes(high, low, parts.scale)

    def _integer_step(self, step: Step) -> Integers:
        operands = [self.integer(t) for t in step.inputs]
        match step:
            case Function():
                return self._function(step, operands[0])
            case Move():
                (x,) = operands
                attrs = step.node.attrs | ({"value": x.scale.zero} if step.node.op.name == "pad" else {})
                return Integers(step.node.op(x.tensor, **attrs).output, x.scale)
            case Join():
                scale = self.ranges.scale(step.output)
                parts = [self._rescaled(step, x, scale).tensor for x in operands]
                return Integers(step.node.op(*parts, **step.node.attrs).output, scale)
            case Addition():
                return self._addition(step, *operands)
            case Multiplication():
                return self._multiplication(step, *operands)
            case Mean():
                return self._mean(step, operands[0])
        raise NotImplementedError(type(step).__name__)

    def _function(self, step: Function, x: Integers) -> Integers:
        factors = self.ranges.factors.get(step.inputs[0])
        numbers = x.scale.numbers() if factors is None else x.scale.numbers()[:, None] / factors
        scale = self.ranges.scale(step.output)
        rows = scale.quantized(table(step, self.values, numbers))
        return Integers(self._looked_up(step, x.tensor, rows), scale)

    def _rescaled(self, step: Step, x: Integers, scale: Scale) -> Integers:
        """Return `x` in another scale."""
        if x.scale == scale:
            return x
        return Integers(self._looked_up(step, x.tensor, scale.quantized(x.scale.numbers())[None]), scale)

    def _looked_up(self, step: Step, x: Tensor, rows: NDArray[np.int8]) -> Tensor:
        return ops.lookup_int8(x, self.constant(step, "table", rows[0] if len(rows) == 1 else rows))

    def _addition(self, step: Addition, a: Integers, b: Integers) -> Integers:
        scale = self.ranges.scale(step.output)
        factors = addition_factors(a.scale, b.scale, step.sign, scale)
        low, high = scale.bound(step.low), scale.bound(step.high)
        return Integers(ops.add_int8(a.tensor, b.tensor, **factors, low=low, high=high), scale)

    def _multiplication(self, step: Multiplication, a: Integers, b: Integers) -> Integers:
        scale, bias, multiplier = scaled_product(a.scale.step * b.scale.step, self.ranges.scale(step.output))
        y = ops.multiply_int8(
            a.tensor, b.tensor, a_zero=a.scale.zero, b_zero=b.scale.zero, bias=bias, multiplier=multiplier,
            zero=scale.least,
        )  # fmt: skip
        return Integers(y, scale)

    def _mean(self, step: Mean, x: Integers) -> Integers:
        scale, bias, multiplier = scaled_product(x.scale.step * step.factor, self.ranges.scale(step.output))
        bias -= x.scale.zero * step.size[0] * step.size[1]
        y = OPS["avg_pool2d_int8"](
            x.tensor, window=step.size, stride=step.stride, padding=step.padding, x_zero=x.scale.zero, bias=bias,
            multiplier=multiplier, zero=scale.least, low=-128, high=127,
        ).output  # fmt: skip
        return Integers(ops.reshape(y, step.output.shape), scale)


def _image(x: Tensor) -> Tensor:
    return x if x.rank == 4 else ops.reshape(x, (*x.shape, 1, 1))


def _normalized_values(normalization: Normalization) -> NDArray[np.float32]:
    """Return the normalized values of the pixels from 0 to 255, for each channel."""
    factor, offset = (array.reshape(-1, 1) for array in normalization)
    return np.asarray(np.arange(256, dtype=np.float32) * factor + offset, np.float32)


def per_channel(values: Array, like: Tensor) -> NDArray[np.float32]:
    """Return a number for each channel in the shape that is multiplied by `like`."""
    return values.astype(np.float32).reshape(-1, *[1] * (like.rank - 2))

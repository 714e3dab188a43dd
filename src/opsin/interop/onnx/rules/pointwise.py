"""Import rules of elementwise operators."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce

import numpy as np

from opsin import ops
from opsin.interop.onnx.call import ConstantValue, OnnxCall, UnsupportedError, Value
from opsin.interop.onnx.rules.registry import rule
from opsin.interop.onnx.tensors import FLOAT_TYPES
from opsin.ir import Tensor

MAX_FLOAT32 = float(np.finfo(np.float32).max)
"""A bound of Clip with at least this magnitude has no effect."""

UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "Abs": ops.absolute,
    "Erf": ops.erf,
    "Exp": ops.exp,
    "HardSwish": ops.hard_swish,
    "Identity": lambda x: x,
    "Log": ops.log,
    "Mish": lambda x: ops.multiply(x, ops.tanh(_softplus(x))),
    "Neg": ops.negate,
    "Not": lambda x: ops.subtract(1.0, x),
    "Reciprocal": lambda x: ops.divide(1.0, x),
    "Relu": ops.relu,
    "Sigmoid": ops.sigmoid,
    "Sign": ops.sign,
    "Softplus": lambda x: _softplus(x),
    "Softsign": lambda x: ops.divide(x, ops.add(ops.absolute(x), 1.0)),
    "Sqrt": ops.sqrt,
    "Tanh": ops.tanh,
}

BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Div": ops.divide,
    "Equal": ops.equal,
    "Greater": ops.greater,
    "GreaterOrEqual": lambda a, b: ops.subtract(1.0, ops.greater(b, a)),
    "Less": lambda a, b: ops.greater(b, a),
    "LessOrEqual": lambda a, b: ops.subtract(1.0, ops.greater(a, b)),
    "Sub": ops.subtract,
    "And": ops.multiply,
    "Or": ops.maximum,
}

VARIADIC: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Add": ops.add,
    "Max": ops.maximum,
    "Mean": ops.add,
    "Min": ops.minimum,
    "Mul": ops.multiply,
    "Sum": ops.add,
}


def _softplus(x: Tensor) -> Tensor:
    """Return log(1 + eˣ), computed without overflow."""
    return ops.add(ops.relu(x), ops.log(ops.add(1.0, ops.exp(ops.negate(ops.absolute(x))))))


def _exponential(x: Tensor, scale: float = 1.0) -> Tensor:
    """Return e^(x / scale) - 1 for x < 0, and 0 otherwise."""
    return ops.subtract(ops.exp(ops.multiply(ops.minimum(x, 0.0), 1.0 / scale)), 1.0)


@rule(*UNARY)
def _unary(call: OnnxCall) -> Tensor:
    return UNARY[call.node.op](call.tensor(0))


@rule(*BINARY)
def _binary(call: OnnxCall) -> Tensor:
    return BINARY[call.node.op](call.tensor(0), call.tensor(1))


@rule(*VARIADIC)
def _variadic(call: OnnxCall) -> Tensor:
    total = reduce(VARIADIC[call.node.op], [call.operand(index) for index in range(len(call))])
    return ops.multiply(total, 1.0 / len(call)) if call.node.op == "Mean" else total


@rule("Where")
def _where(call: OnnxCall) -> Tensor:
    return ops.where(call.tensor(0), call.tensor(1), call.tensor(2))


@rule("Pow")
def _pow(call: OnnxCall) -> Tensor:
    exponent = call.scalar(1)
    return ops.square(call.tensor(0)) if exponent == 2 else ops.power(call.tensor(0), exponent)


@rule("Clip")
def _clip(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    low = call.scalar(1) if call.has(1) else call.attr_float("min", -math.inf)
    high = call.scalar(2) if call.has(2) else call.attr_float("max", math.inf)
    if (low, high) == (0, 6):
        return ops.relu6(x)
    if low > -MAX_FLOAT32:
        x = ops.relu(x) if low == 0 else ops.maximum(x, low)
    return ops.minimum(x, high) if high < MAX_FLOAT32 else x


@rule("Elu", "Celu")
def _elu(call: OnnxCall) -> Tensor:
    x, alpha = call.tensor(0), call.attr_float("alpha", 1.0)
    if not alpha:
        return ops.relu(x)
    return ops.add(ops.relu(x), ops.multiply(_exponential(x, alpha if call.node.op == "Celu" else 1.0), alpha))


@rule("Selu")
def _selu(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    alpha, gamma = (
        call.attr_float("alpha", 1.67326319217681884765625),
        call.attr_float("gamma", 1.05070102214813232421875),
    )
    return ops.multiply(ops.add(ops.relu(x), ops.multiply(_exponential(x), alpha)), gamma)


@rule("Gelu")
def _gelu(call: OnnxCall) -> Tensor:
    x, approximation = call.tensor(0), call.attr_string("approximate", "none")
    if approximation == "none":
        return ops.gelu(x)
    inner = ops.multiply(ops.add(x, ops.multiply(ops.power(x, 3.0), 0.044715)), math.sqrt(2 / math.pi))
    return ops.multiply(ops.multiply(x, 0.5), ops.add(ops.tanh(inner), 1.0))


@rule("HardSigmoid")
def _hard_sigmoid(call: OnnxCall) -> Tensor:
    x, alpha, beta = call.tensor(0), call.attr_float("alpha", 0.2), call.attr_float("beta", 0.5)
    if (np.float32(alpha), beta) == (np.float32(1 / 6), 0.5):
        return ops.hard_sigmoid(x)
    line = ops.add(ops.multiply(x, alpha), beta)
    return ops.minimum(1.0, ops.relu(line))


@rule("LeakyRelu")
def _leaky_relu(call: OnnxCall) -> Tensor:
    return ops.leaky_relu(call.tensor(0), call.attr_float("alpha", 0.01))


@rule("PRelu")
def _prelu(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    return ops.where(ops.greater(x, 0.0), x, ops.multiply(x, call.weight(1)))


@rule("Swish")
def _swish(call: OnnxCall) -> Tensor:
    x, alpha = call.tensor(0), call.attr_float("alpha", 1.0)
    return ops.multiply(x, ops.sigmoid(x if alpha == 1 else ops.multiply(x, alpha)))


@rule("ThresholdedRelu")
def _thresholded_relu(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    return ops.where(ops.greater(x, call.attr_float("alpha", 1.0)), x, 0.0)


@rule("Dropout")
def _dropout(call: OnnxCall) -> Tensor:
    call.ignore("ratio", "seed")
    if call.has(2) and call.scalar(2):
        raise UnsupportedError("it applies dropout at inference; export the network in evaluation mode")
    return call.tensor(0)


@rule("Cast")
def _cast(call: OnnxCall) -> Tensor:
    call.ignore("saturate", "round_mode")
    if call.attr_int("to", 1) not in FLOAT_TYPES:
        raise UnsupportedError("it converts values that depend on the images to integers")
    return call.tensor(0)


@rule("CastLike")
def _cast_like(call: OnnxCall) -> Value:
    """Convert CastLike to float32, the type of all values that depend on the images."""
    call.ignore("saturate", "round_mode")
    value = call.value(0)
    if isinstance(value, Tensor):
        return value
    return ConstantValue(value.array.astype(np.float32), value.name, value.weight)

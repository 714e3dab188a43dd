"""Pointwise expressions as data, and the code of each function on vectors.

Pointwise fusion turns a group of nodes into an `Expression`: a sequence of steps on operands, any of whose values may
be a result. Pointwise kernels and the epilogues of convolutions and matrix products compute it in registers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from opsin.kernels.ir import F32, I32, Builder, Operand, Value, functions


@dataclass(frozen=True)
class Step:
    """`function(values[i] for i in arguments)`; the operands are numbered first, then the steps in order."""

    function: str
    arguments: tuple[int, ...]
    attribute: float | int | tuple[float | int, ...] | None = None


@dataclass(frozen=True)
class Expression:
    """`steps` on a number of `operands`; `results` are the numbers of the values that are returned."""

    operands: int
    steps: tuple[Step, ...]
    results: tuple[int, ...]

    def emit(self, k: Builder, operands: list[Value]) -> list[Value]:
        """Compute the expression on values with equal numbers of lanes, and return the results."""
        values = list(operands)
        for step in self.steps:
            arguments = [values[i] for i in step.arguments]
            values.append(FUNCTIONS[step.function](k, arguments, step.attribute))
        return [values[i] for i in self.results]


IDENTITY = Expression(1, (), (0,))
"""Returns its operand."""


def _zero_or_one(k: Builder, mask: Value) -> Value:
    """Return 1.0 in the lanes in which `mask` holds, otherwise 0.0."""
    return k.select(mask, k.broadcast(1.0, mask.kind.lanes), 0.0)


def _propagate_nan(k: Builder, select: Callable[[Value, Value], Value], a: Value, b: Value) -> Value:
    """Return `select(b, a)`, the builder's `maximum` or `minimum`, which propagates a NaN in `a`, or a NaN in `b`."""
    return k.select(k.equal(b, b), select(b, a), b)


def _power(k: Builder, x: Value, exponent: float) -> Value:
    if exponent == int(exponent):
        result = _whole_power(k, x, abs(int(exponent)))
        return result if exponent >= 0 else 1.0 / result
    if exponent in (0.5, -0.5):
        root = k.unary("sqrt", x)
        return root if exponent > 0 else 1.0 / root
    if exponent in (0.75, -0.75):
        root = k.unary("sqrt", x)
        result = root * k.unary("sqrt", root)
        return result if exponent > 0 else 1.0 / result
    return functions.exp(k, functions.log(k, x) * exponent)


def _whole_power(k: Builder, x: Value, exponent: int) -> Value:
    """Compute by repeated squaring, which defines powers of negative numbers."""
    result = k.broadcast(1.0, x.kind.lanes)
    while exponent:
        if exponent % 2:
            result = result * x
        x, exponent = x * x, exponent // 2
    return result


def _mix(x: Value) -> Value:
    """Mix the bits of 32-bit numbers: lowbias32 of C. Wellons' "hash prospector"."""
    x = x ^ (x >> 16)
    x = x * 0x7FEB352D
    x = x ^ (x >> 15)
    x = x * _signed(0x846CA68B)
    return x ^ (x >> 16)


def _signed(bits: int) -> int:
    return bits - (1 << 32) if bits >= 1 << 31 else bits


def _bernoulli(k: Builder, key: Value, index: Value, threshold: int) -> Value:
    bits = _mix(_mix(index + key) ^ key)
    return _zero_or_one(k, (bits >> 8) < threshold)


def _random_key(seed: Value, step: Value, site: int) -> Value:
    return _mix(_mix(_mix(seed) + _signed(site & 0xFFFFFFFF)) + step)


def _clamped(k: Builder, x: Value, low: Operand, high: Operand) -> Value:
    return k.minimum(k.maximum(x, low), high)


def requantize(k: Builder, x: Value, multiplier: Operand, zero: Operand, low: Operand, high: Operand) -> Value:
    """Return clamp(zero + mulh(x, multiplier), low, high) (see `opsin.ops.quantized.fixed_point`)."""
    return _clamped(k, k.multiply_high(x, multiplier) + zero, low, high)


def add_int8(
    k: Builder, a: Value, b: Value, a_factor: Operand, b_factor: Operand, bias: Operand, shift: Operand, low: Operand,
    high: Operand,
) -> Value:  # fmt: skip
    """Return clamp((a · a_factor + b · b_factor + bias) >> shift, low, high)."""
    return _clamped(k, k.shift_arithmetic(a * a_factor + b * b_factor + bias, shift), low, high)


def _multiply_int8(
    k: Builder, a: Value, b: Value, a_zero: int, b_zero: int, bias: int, multiplier: int, zero: int, low: int, high: int
) -> Value:
    return requantize(k, (a - a_zero) * (b - b_zero) + bias, multiplier, zero, low, high)


ROUNDING = 1.5 * 2**23
"""Adding this to a float32 leaves no bits for a fraction: the sum is rounded to the nearest whole number."""
MAX_STEPS = 512.0
"""More steps than between the two ends of the range of 8-bit integers."""


def _quantize(k: Builder, x: Value, scale: float, zero: int) -> Value:
    steps = k.minimum(k.maximum(x * float(np.float32(1 / scale)), -MAX_STEPS), MAX_STEPS)
    return _clamped(k, k.convert("int", (steps + ROUNDING) - ROUNDING) + zero, -128, 127)


def _dequantize(k: Builder, q: Value, scale: float, zero: int) -> Value:
    return k.convert("float", q - zero) * float(np.float32(scale))


def _fake_quantize(k: Builder, x: Value, step: Value, low: Value, high: Value) -> Value:
    steps = k.minimum(high, k.maximum(low, x / step))  # in the order of the operands that propagates a NaN
    return k.unary("floor", steps + 0.5) * step


FUNCTIONS: dict[str, Callable[[Builder, list[Value], Any], Value]] = {
    "add": lambda k, v, _: v[0] + v[1],
    "subtract": lambda k, v, _: v[0] - v[1],
    "multiply": lambda k, v, _: v[0] * v[1],
    "divide": lambda k, v, _: v[0] / v[1],
    "maximum": lambda k, v, _: _propagate_nan(k, k.maximum, v[0], v[1]),
    "minimum": lambda k, v, _: _propagate_nan(k, k.minimum, v[0], v[1]),
    "greater": lambda k, v, _: _zero_or_one(k, v[0] > v[1]),
    "equal": lambda k, v, _: _zero_or_one(k, k.equal(v[0], v[1])),
    "where": lambda k, v, _: k.select(k.equal(v[0], 0.0), v[2], v[1]),
    "constant": lambda k, v, a: k.broadcast(a, v[0].kind.lanes),
    "whole": lambda k, v, a: k.broadcast(a, v[0].kind.lanes, I32),
    "negate": lambda k, v, _: -v[0],
    "exp": lambda k, v, _: functions.exp(k, v[0]),
    "log": lambda k, v, _: functions.log(k, v[0]),
    "sqrt": lambda k, v, _: k.unary("sqrt", v[0]),
    "tanh": lambda k, v, _: functions.tanh(k, v[0]),
    "sigmoid": lambda k, v, _: functions.sigmoid(k, v[0]),
    "erf": lambda k, v, _: functions.erf(k, v[0]),
    "absolute": lambda k, v, _: k.unary("abs", v[0]),
    "sign": lambda k, v, _: _zero_or_one(k, v[0] > 0.0) - _zero_or_one(k, v[0] < 0.0),
    # The order of the operands propagates a NaN.
    "relu": lambda k, v, _: k.maximum(0.0, v[0]),
    "relu6": lambda k, v, _: k.minimum(6.0, k.maximum(0.0, v[0])),
    "power": lambda k, v, a: _power(k, v[0], a),
    "requantize": lambda k, v, a: requantize(k, v[0] + v[1], v[2], *a),
    "add_int8": lambda k, v, a: add_int8(k, v[0], v[1], *a),
    "multiply_int8": lambda k, v, a: _multiply_int8(k, v[0], v[1], *a),
    "rescale": lambda k, v, a: requantize(k, v[0], v[1], *a),
    "high_byte": lambda k, v, _: k.shift_arithmetic(v[0] + 128, 8),
    "low_byte": lambda k, v, _: ((v[0] + 128) & 255) - 128,
    "join_bytes": lambda k, v, _: (v[0] << 8) + v[1],
    "quantize": lambda k, v, a: _quantize(k, v[0], *a),
    "dequantize": lambda k, v, a: _dequantize(k, v[0], *a),
    "fake_quantize": lambda k, v, _: _fake_quantize(k, *v),
    "cast": lambda k, v, _: k.convert("int" if v[0].kind.element == F32 else "float", v[0]),
    "same_index": lambda k, v, _: _zero_or_one(k, k.equal(v[0], v[1])),
    "random_key": lambda k, v, a: _random_key(v[0], v[1], a),
    "bernoulli": lambda k, v, a: _bernoulli(k, v[0], v[1], a),
}
"""The code of each pointwise function, by the name of the graph's operation if there is one."""

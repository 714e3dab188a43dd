"""Import rules of the conversions to and from 8-bit integers, by which files describe quantized networks."""

from __future__ import annotations

import numpy as np

from opsin import ops
from opsin.interop.onnx.call import Array, ConstantValue, OnnxCall, UnsupportedError, Value
from opsin.interop.onnx.rules.registry import rule
from opsin.ir import INT8, Tensor

SHIFTS = {"int8": 0, "uint8": 128}
"""What is subtracted from the integers of a type, so that they are int8."""
TYPES = {0: "", 2: "uint8", 3: "int8"}
"""The types that the attribute `output_dtype` may name; 0: that of the zero point."""


@rule("QuantizeLinear")
def _quantize(call: OnnxCall) -> Tensor:
    """Convert real numbers that depend on the images; both types become int8."""
    call.ignore("axis", "saturate", "precision")
    named = TYPES.get(call.attr_int("output_dtype", 0))
    if call.attr_int("block_size", 0) or named is None:
        raise UnsupportedError("integers of other than 8 bits, or in blocks; Opsin reads int8 and uint8")
    scale = _scale(call)
    zero = call.constant(2) if call.has(2) else np.zeros((), named or "uint8")
    return ops.quantize(call.tensor(0), scale, _zero(zero))


@rule("DequantizeLinear")
def _dequantize(call: OnnxCall) -> Value:
    """Convert integers to real numbers; those of the file become a weight."""
    x = call.value(0)
    if isinstance(x, ConstantValue):
        return _weight(call, x)
    call.ignore("axis", "output_dtype")
    if x.dtype != INT8:
        raise UnsupportedError("integers that no QuantizeLinear made")
    scale = _scale(call)
    zero = call.constant(2) if call.has(2) else np.zeros((), "uint8")
    return ops.dequantize(x, scale, _zero(zero))


def _scale(call: OnnxCall) -> float:
    """Return the only scale of a result."""
    array = call.constant(1)
    if array.size != 1:
        raise UnsupportedError(f"{array.size} scales for a result that depends on the images; Opsin reads one")
    return float(np.float32(array.reshape(())))


def _zero(array: Array) -> int:
    name = array.dtype.name
    if array.size != 1 or name not in SHIFTS:
        raise UnsupportedError(f"{array.size} zero points of type {name} for a result; Opsin reads one, int8 or uint8")
    return int(array.reshape(())) - SHIFTS[name]


def _weight(call: OnnxCall, x: ConstantValue) -> ConstantValue:
    """Return (x - zero) · scale as float32, with a scale for everything or for each element of an axis."""
    axis = call.attr_int("axis", 1)
    call.ignore("output_dtype")
    if call.attr_int("block_size", 0):
        raise UnsupportedError("weights in blocks that share a scale")
    if x.array.dtype.name not in ("int8", "uint8", "int32"):
        raise UnsupportedError(f"weights of type {x.array.dtype.name}; Opsin reads int8, uint8 and int32")
    call.context.spend(x.array.size)
    numbers = [call.constant(index) for index in (1, 2) if call.has(index)]
    scale, zero = (_along(each, x.array, axis) for each in (*numbers, np.zeros((), np.int8))[:2])
    difference = x.array.astype(np.int64) - zero.astype(np.int64)
    return ConstantValue(difference.astype(np.float32) * scale.astype(np.float32), x.name, x.weight)


def _along(numbers: Array, array: Array, axis: int) -> Array:
    """Return `numbers` in a shape that is broadcast along `axis` of `array`."""
    if numbers.size == 1:
        return numbers.reshape(())
    if not -array.ndim <= axis < array.ndim or numbers.shape != (array.shape[axis],):
        raise UnsupportedError(f"{numbers.size} scales or zero points for weights of the shape {array.shape}")
    return numbers.reshape([-1 if place == axis % array.ndim else 1 for place in range(array.ndim)])

"""Constant folding of shape arithmetic, as exporters write it, and of weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

from opsin import ops
from opsin.interop.onnx.call import Array, ConstantValue, OnnxCall, UnsupportedError, Value
from opsin.interop.onnx.messages import TensorRecord
from opsin.interop.onnx.rules.registry import fold, rule
from opsin.interop.onnx.rules.shapes import even_split
from opsin.interop.onnx.tensors import BFLOAT16, BOOL, NUMPY_TYPES
from opsin.ir import Size
from opsin.ir.serialization import MAX_RANK
from opsin.ops.slice_pad import minus

UNARY: dict[str, Callable[[Any], Any]] = {
    "Abs": np.abs, "Exp": np.exp, "Log": np.log, "Neg": np.negative, "Not": np.logical_not, "Round": np.round,
    "Sqrt": np.sqrt, "Reciprocal": np.reciprocal,
}  # fmt: skip

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": np.add, "And": np.logical_and, "Equal": np.equal, "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal, "Less": np.less, "LessOrEqual": np.less_equal, "Max": np.maximum,
    "Min": np.minimum, "Mul": np.multiply, "Or": np.logical_or, "Sum": np.add,
}  # fmt: skip

REDUCTIONS: dict[str, Callable[..., Any]] = {
    "ReduceMax": np.max, "ReduceMean": np.mean, "ReduceMin": np.min, "ReduceProd": np.prod, "ReduceSum": np.sum,
}  # fmt: skip

MAX_SIZE_TERM = 2**62
"""Limit of the numerators, denominators and factors of sizes that depend on the batch."""


def simplify(array: Array) -> Array:
    """Return `array` with a numeric type if none of its elements depends on the batch.

    Raise `UnsupportedError` if a size exceeds `MAX_SIZE_TERM` or `MAX_RANK`.
    """
    if array.dtype != object:
        return array
    sizes = [item for item in array.flat if isinstance(item, Size)]
    numbers = [*(size.factor for size in sizes), *(Fraction(item) for item in array.flat if not isinstance(item, Size))]
    if any(abs(size.power) > MAX_RANK for size in sizes) or any(
        max(abs(number.numerator), number.denominator) >= MAX_SIZE_TERM for number in numbers
    ):
        raise UnsupportedError("a size that is out of range")
    return array if sizes else np.array(array.tolist())


def _reserve(call: OnnxCall, shape: tuple[int, ...]) -> None:
    """Count the elements of a result before it is computed; raise `UnsupportedError` if the shape is too large.

    A size of 0 counts as 1, because NumPy may allocate memory for the other axes.
    """
    if min(shape, default=0) < 0:
        raise UnsupportedError("an array of a negative size")
    call.context.spend(math.prod(max(size, 1) for size in shape))


@fold(*UNARY)
def _unary(call: OnnxCall, operands: list[Array]) -> Array:
    return np.asarray(UNARY[call.node.op](operands[0]))


@fold(*BINARY)
def _binary(call: OnnxCall, operands: list[Array]) -> Array:
    _reserve(call, np.broadcast_shapes(*(x.shape for x in operands)))
    return np.asarray(reduce(BINARY[call.node.op], operands))


@fold("Sub")
def _subtract(call: OnnxCall, operands: list[Array]) -> Array:
    a, b = operands
    _reserve(call, np.broadcast_shapes(a.shape, b.shape))
    return np.asarray(np.frompyfunc(minus, 2, 1)(a, b) if object in (a.dtype, b.dtype) else a - b)


@fold("Div")
def _divide(call: OnnxCall, operands: list[Array]) -> Array:
    a, b = operands
    _reserve(call, np.broadcast_shapes(a.shape, b.shape))
    if a.dtype.kind == "f" or b.dtype.kind == "f":
        return np.asarray(a / b)
    if object in (a.dtype, b.dtype):
        return np.asarray(a // b)
    return np.asarray(np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)))  # Round toward zero.


@fold("Mod")
def _modulo(call: OnnxCall, operands: list[Array]) -> Array:
    _reserve(call, np.broadcast_shapes(*(x.shape for x in operands)))
    return np.asarray((np.fmod if call.attr_int("fmod", 0) else np.mod)(*operands))


@fold("Pow")
def _power(call: OnnxCall, operands: list[Array]) -> Array:
    a, b = operands
    _reserve(call, np.broadcast_shapes(a.shape, b.shape))
    return np.asarray(np.power(a.astype(np.float64), b)).astype(a.dtype)


@fold("Floor", "Ceil")
def _floor_ceil(call: OnnxCall, operands: list[Array]) -> Array:
    function: Any = math.floor if call.node.op == "Floor" else math.ceil
    (x,) = operands
    if x.dtype != object:
        return np.asarray((np.floor if call.node.op == "Floor" else np.ceil)(x))
    return np.asarray(np.frompyfunc(lambda item: item if isinstance(item, Size) else function(item), 1, 1)(x))


@fold("Where")
def _where(call: OnnxCall, operands: list[Array]) -> Array:
    condition, a, b = operands
    _reserve(call, np.broadcast_shapes(condition.shape, a.shape, b.shape))
    return np.where(condition.astype(bool), a, b)


@fold("Clip")
def _clip(call: OnnxCall, operands: list[Array]) -> Array:
    low = operands[1] if call.has(1) else None
    return np.asarray(np.clip(operands[0], low, operands[-1] if call.has(2) else None))


@fold(*REDUCTIONS)
def _reduce(call: OnnxCall, operands: list[Array]) -> Array:
    axes = call.axes(1)
    call.ignore("noop_with_empty_axes")
    keepdims = bool(call.attr_int("keepdims", 1))
    return np.asarray(
        REDUCTIONS[call.node.op](operands[0], axis=None if axes is None else tuple(axes), keepdims=keepdims)
    )


@fold("Cast")
def _cast(call: OnnxCall, operands: list[Array]) -> Array:
    call.ignore("saturate", "round_mode")
    data_type, (x,) = call.attr_int("to", 1), operands
    if data_type not in NUMPY_TYPES:
        raise UnsupportedError(f"it casts to the element type {data_type}")
    if x.dtype == object:  # Sizes that depend on the batch.
        return x
    numpy_type = {BOOL: "?", BFLOAT16: "f4"}.get(data_type, NUMPY_TYPES[data_type])
    return x.astype(numpy_type)


@fold("Identity", "Dropout")
def _identity(call: OnnxCall, operands: list[Array]) -> Array:
    call.ignore("ratio", "seed")
    return operands[0]


@fold("Shape")
def _shape(call: OnnxCall, operands: list[Array]) -> Array:
    sizes = operands[0].shape
    return np.array(sizes[slice(call.attr_int("start", 0), call.attr_int("end", len(sizes)))], np.int64)


@fold("Size")
def _size(call: OnnxCall, operands: list[Array]) -> Array:
    return np.asarray(operands[0].size, np.int64)


@fold("Gather")
def _gather(call: OnnxCall, operands: list[Array]) -> Array:
    x, indices = operands
    axis = call.attr_int("axis", 0)
    _reserve(call, (indices.size, x.size // max(x.shape[axis], 1)))
    return np.asarray(np.take(x, indices.astype(np.int64), axis))


@fold("Slice")
def _slice(call: OnnxCall, operands: list[Array]) -> Array:
    (x, *_), starts = operands, call.axes(1, "starts") or []
    stops, axes = call.axes(2, "ends") or [], call.axes(3)
    steps = call.ints(4) if call.has(4) else [1] * len(starts)
    slices = [slice(None)] * x.ndim
    for axis, *bounds in zip(range(len(starts)) if axes is None else axes, starts, stops, steps, strict=True):
        slices[axis] = slice(*bounds)
    return np.asarray(x[tuple(slices)])


@fold("Concat")
def _concat(call: OnnxCall, operands: list[Array]) -> Array:
    _reserve(call, (sum(x.size for x in operands),))
    return np.concatenate(operands, call.attr_int("axis", 0))


@fold("Split")
def _split(call: OnnxCall, operands: list[Array]) -> list[Array]:
    x, axis = operands[0], call.attr_int("axis", 0)
    split, count = call.axes(1, "split"), call.attr_int("num_outputs", len(call.node.outputs))
    return np.split(x, np.cumsum(split or even_split(x.shape[axis], count))[:-1], axis)


@fold("Reshape")
def _reshape(call: OnnxCall, operands: list[Array]) -> Array:
    x, shape = operands[0], call.ints(1)
    if not call.attr_int("allowzero", 0):
        shape = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    return x.reshape(shape)


@fold("Flatten")
def _flatten(call: OnnxCall, operands: list[Array]) -> Array:
    x, axis = operands[0], call.attr_int("axis", 1)
    return x.reshape(math.prod(x.shape[:axis]), -1)


@fold("Transpose")
def _transpose(call: OnnxCall, operands: list[Array]) -> Array:
    return np.transpose(operands[0], call.attr_ints("perm"))


@fold("Squeeze")
def _squeeze(call: OnnxCall, operands: list[Array]) -> Array:
    axes = call.axes(1)
    return np.squeeze(operands[0], None if axes is None else tuple(axes))


@fold("Unsqueeze")
def _unsqueeze(call: OnnxCall, operands: list[Array]) -> Array:
    return np.expand_dims(operands[0], tuple(call.axes(1) or ()))


@fold("Expand")
def _expand(call: OnnxCall, operands: list[Array]) -> Array:
    shape = np.broadcast_shapes(operands[0].shape, tuple(call.ints(1)))
    _reserve(call, shape)
    return np.broadcast_to(operands[0], shape)


@fold("Tile")
def _tile(call: OnnxCall, operands: list[Array]) -> Array:
    repeats = call.ints(1)
    _reserve(call, (operands[0].size, *repeats))
    return np.tile(operands[0], repeats)


@fold("Range")
def _range(call: OnnxCall, operands: list[Array]) -> Array:
    call.ignore("stash_type")
    start, limit, delta = (x.reshape(()).item() for x in operands)
    _reserve(call, (max(0, math.ceil((limit - start) / delta)),))
    return np.arange(float(start), limit, delta).astype(operands[0].dtype)


@rule("ConstantOfShape")
def _constant_of_shape(call: OnnxCall) -> Value:
    shape, tensor = call.sizes(0), call.attribute("value")
    value = call.context.array(tensor).reshape(-1)[:1] if isinstance(tensor, TensorRecord) else np.zeros(1, np.float32)
    if any(isinstance(size, Size) for size in shape):
        return ops.broadcast_to(ops.constant(float(value[0])), tuple(shape))
    sizes = tuple(call.ints(0))
    _reserve(call, sizes)
    return ConstantValue(np.full(sizes, value[0], value.dtype), call.node.outputs[0])


@rule("Constant")
def _constant(call: OnnxCall) -> ConstantValue:
    name = call.node.outputs[0]
    for attribute in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        value = call.attribute(attribute)
        if isinstance(value, TensorRecord):
            return ConstantValue(call.context.array(value), name)
        if isinstance(value, int | float | tuple):
            dtype = np.float32 if "float" in attribute else np.int64
            return ConstantValue(np.array(value, dtype), name)
    raise UnsupportedError("a constant that is not numeric")

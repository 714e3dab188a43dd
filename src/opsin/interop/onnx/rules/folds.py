"""Arithmetic on what is known while the network is read: the shapes that exporters calculate with, and weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

from opsin import ops
from opsin.interop.onnx.call import Array, ConstantValue, OnnxCall, Unsupported, Value
from opsin.interop.onnx.messages import TensorRecord
from opsin.interop.onnx.rules.shapes import shares
from opsin.interop.onnx.rules.table import fold, rule
from opsin.interop.onnx.tensors import KINDS
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


LARGEST = 2**62


def tidy(array: Array) -> Array:
    """`array`, without objects where every one of them is a number. `Unsupported` for sizes that only grow."""
    if array.dtype != object:
        return array
    sizes = [item for item in array.flat if isinstance(item, Size)]
    numbers = [*(size.factor for size in sizes), *(Fraction(item) for item in array.flat if not isinstance(item, Size))]
    if any(abs(size.power) > MAX_RANK for size in sizes) or any(
        max(abs(number.numerator), number.denominator) >= LARGEST for number in numbers
    ):
        raise Unsupported("a size beyond all bounds")
    return array if sizes else np.array(array.tolist())


def _room(call: OnnxCall, shape: tuple[int, ...]) -> None:
    """Refuses results that are too large before they are made, even where a size of 0 comes last."""
    if min(shape, default=0) < 0:
        raise Unsupported("an array of a negative size")
    call.reader.spend(math.prod(max(size, 1) for size in shape))


@fold(*UNARY)
def _unary(call: OnnxCall, operands: list[Array]) -> Array:
    return np.asarray(UNARY[call.node.op](operands[0]))


@fold(*BINARY)
def _binary(call: OnnxCall, operands: list[Array]) -> Array:
    _room(call, np.broadcast_shapes(*(x.shape for x in operands)))
    return np.asarray(reduce(BINARY[call.node.op], operands))


@fold("Sub")
def _subtract(call: OnnxCall, operands: list[Array]) -> Array:
    a, b = operands
    _room(call, np.broadcast_shapes(a.shape, b.shape))
    return np.asarray(np.frompyfunc(minus, 2, 1)(a, b) if object in (a.dtype, b.dtype) else a - b)


@fold("Div")
def _divide(call: OnnxCall, operands: list[Array]) -> Array:
    a, b = operands
    _room(call, np.broadcast_shapes(a.shape, b.shape))
    if a.dtype.kind == "f" or b.dtype.kind == "f":
        return np.asarray(a / b)
    if object in (a.dtype, b.dtype):
        return np.asarray(a // b)
    return np.asarray(np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)))  # towards zero


@fold("Mod")
def _modulo(call: OnnxCall, operands: list[Array]) -> Array:
    _room(call, np.broadcast_shapes(*(x.shape for x in operands)))
    return np.asarray((np.fmod if call.whole("fmod", 0) else np.mod)(*operands))


@fold("Pow")
def _power(call: OnnxCall, operands: list[Array]) -> Array:
    a, b = operands
    _room(call, np.broadcast_shapes(a.shape, b.shape))
    return np.asarray(np.power(a.astype(np.float64), b)).astype(a.dtype)


@fold("Floor", "Ceil")
def _rounded(call: OnnxCall, operands: list[Array]) -> Array:
    way: Any = math.floor if call.node.op == "Floor" else math.ceil
    (x,) = operands
    if x.dtype != object:
        return np.asarray((np.floor if call.node.op == "Floor" else np.ceil)(x))
    return np.asarray(np.frompyfunc(lambda item: item if isinstance(item, Size) else way(item), 1, 1)(x))


@fold("Where")
def _where(call: OnnxCall, operands: list[Array]) -> Array:
    condition, a, b = operands
    _room(call, np.broadcast_shapes(condition.shape, a.shape, b.shape))
    return np.where(condition.astype(bool), a, b)


@fold("Clip")
def _clip(call: OnnxCall, operands: list[Array]) -> Array:
    low = operands[1] if call.has(1) else None
    return np.asarray(np.clip(operands[0], low, operands[-1] if call.has(2) else None))


@fold(*REDUCTIONS)
def _reduce(call: OnnxCall, operands: list[Array]) -> Array:
    axes = call.axes(1)
    call.ignore("noop_with_empty_axes")
    keep = bool(call.whole("keepdims", 1))
    return np.asarray(REDUCTIONS[call.node.op](operands[0], axis=None if axes is None else tuple(axes), keepdims=keep))


@fold("Cast")
def _cast(call: OnnxCall, operands: list[Array]) -> Array:
    call.ignore("saturate", "round_mode")
    kind, (x,) = call.whole("to", 1), operands
    if kind not in KINDS:
        raise Unsupported(f"it makes elements of kind {kind}")
    if x.dtype == object:  # sizes stay as they are
        return x
    wanted = {9: np.dtype(bool), 16: np.dtype(np.float32)}.get(kind, np.dtype(KINDS[kind]))
    return x.astype(wanted)


@fold("Identity", "Dropout")
def _identity(call: OnnxCall, operands: list[Array]) -> Array:
    call.ignore("ratio", "seed")
    return operands[0]


@fold("Shape")
def _shape(call: OnnxCall, operands: list[Array]) -> Array:
    sizes = operands[0].shape
    return np.array(sizes[slice(call.whole("start", 0), call.whole("end", len(sizes)))], np.int64)


@fold("Size")
def _size(call: OnnxCall, operands: list[Array]) -> Array:
    return np.asarray(operands[0].size, np.int64)


@fold("Gather")
def _gather(call: OnnxCall, operands: list[Array]) -> Array:
    x, indices = operands
    axis = call.whole("axis", 0)
    _room(call, (indices.size, x.size // max(x.shape[axis], 1)))
    return np.asarray(np.take(x, indices.astype(np.int64), axis))


@fold("Slice")
def _slice(call: OnnxCall, operands: list[Array]) -> Array:
    (x, *_), starts = operands, call.axes(1, "starts") or []
    stops, axes = call.axes(2, "ends") or [], call.axes(3)
    steps = call.numbers(4) if call.has(4) else [1] * len(starts)
    cut = [slice(None)] * x.ndim
    for axis, *bounds in zip(range(len(starts)) if axes is None else axes, starts, stops, steps, strict=True):
        cut[axis] = slice(*bounds)
    return np.asarray(x[tuple(cut)])


@fold("Concat")
def _concat(call: OnnxCall, operands: list[Array]) -> Array:
    _room(call, (sum(x.size for x in operands),))
    return np.concatenate(operands, call.whole("axis", 0))


@fold("Split")
def _split(call: OnnxCall, operands: list[Array]) -> list[Array]:
    x, axis = operands[0], call.whole("axis", 0)
    given, count = call.axes(1, "split"), call.whole("num_outputs", len(call.node.outputs))
    return np.split(x, np.cumsum(given or shares(x.shape[axis], count))[:-1], axis)


@fold("Reshape")
def _reshape(call: OnnxCall, operands: list[Array]) -> Array:
    x, shape = operands[0], call.numbers(1)
    if not call.whole("allowzero", 0):
        shape = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    return x.reshape(shape)


@fold("Flatten")
def _flatten(call: OnnxCall, operands: list[Array]) -> Array:
    x, axis = operands[0], call.whole("axis", 1)
    return x.reshape(math.prod(x.shape[:axis]), -1)


@fold("Transpose")
def _transpose(call: OnnxCall, operands: list[Array]) -> Array:
    return np.transpose(operands[0], call.wholes("perm"))


@fold("Squeeze")
def _squeeze(call: OnnxCall, operands: list[Array]) -> Array:
    axes = call.axes(1)
    return np.squeeze(operands[0], None if axes is None else tuple(axes))


@fold("Unsqueeze")
def _unsqueeze(call: OnnxCall, operands: list[Array]) -> Array:
    return np.expand_dims(operands[0], tuple(call.axes(1) or ()))


@fold("Expand")
def _expand(call: OnnxCall, operands: list[Array]) -> Array:
    shape = np.broadcast_shapes(operands[0].shape, tuple(call.numbers(1)))
    _room(call, shape)
    return np.broadcast_to(operands[0], shape)


@fold("Tile")
def _tile(call: OnnxCall, operands: list[Array]) -> Array:
    repeats = call.numbers(1)
    _room(call, (operands[0].size, *repeats))
    return np.tile(operands[0], repeats)


@fold("Range")
def _range(call: OnnxCall, operands: list[Array]) -> Array:
    call.ignore("stash_type")
    start, limit, delta = (x.reshape(()).item() for x in operands)
    _room(call, (max(0, math.ceil((limit - start) / delta)),))
    return np.arange(float(start), limit, delta).astype(operands[0].dtype)


@rule("ConstantOfShape")
def _constant_of_shape(call: OnnxCall) -> Value:
    shape, given = call.sizes(0), call.attribute("value")
    value = call.reader.array(given).reshape(-1)[:1] if isinstance(given, TensorRecord) else np.zeros(1, np.float32)
    if any(isinstance(size, Size) for size in shape):
        return ops.broadcast_to(ops.constant(float(value[0])), tuple(shape))
    numbers = tuple(call.numbers(0))
    _room(call, numbers)
    return ConstantValue(np.full(numbers, value[0], value.dtype), call.node.outputs[0])


@rule("Constant")
def _constant(call: OnnxCall) -> ConstantValue:
    name = call.node.outputs[0]
    for form in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        given = call.attribute(form)
        if isinstance(given, TensorRecord):
            return ConstantValue(call.reader.array(given), name)
        if isinstance(given, int | float | tuple):
            kind = np.float32 if "float" in form else np.int64
            return ConstantValue(np.array(given, kind), name)
    raise Unsupported("a constant that is not made of numbers")

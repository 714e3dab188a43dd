"""Rules that write an operation of a graph as ONNX operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from opsin.base.errors import UsageError
from opsin.interop.onnx.composites import transposition
from opsin.interop.onnx.encoding import BOOL, FLOAT, INT32, Attribute
from opsin.interop.onnx.windows import pool_attributes, sliding_attributes, transposed_attributes
from opsin.ir import INT, Node, Shape, Size, Tensor
from opsin.ops import axis_weights


class NodeWriter(Protocol):
    """The interface of the writer for rules."""

    truths: dict[str, str]
    """The name of the truth values that a value, 0 or 1, was made of."""

    def value(self, tensor: Tensor) -> str:
        """Return the name of a tensor that has been written."""

    def emit(self, op: str, inputs: Sequence[str], attributes: dict[str, Attribute] | None = None) -> str:
        """Write a node and return the name of its output."""

    def constant(self, values: Any, dtype: type[Any] = np.float32) -> str:
        """Return the name of an initializer with these values."""


Rule = Callable[[NodeWriter, Node], str]

SIMPLE = {
    "absolute": "Abs", "add": "Add", "divide": "Div", "erf": "Erf", "exp": "Exp", "log": "Log", "maximum": "Max",
    "minimum": "Min", "multiply": "Mul", "negate": "Neg", "relu": "Relu", "sigmoid": "Sigmoid", "sign": "Sign",
    "sqrt": "Sqrt", "subtract": "Sub", "tanh": "Tanh",
}  # fmt: skip
"""Operations that are one operator without attributes."""

RESIZE_MODES: dict[str, dict[str, Attribute]] = {
    "nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    "bilinear_corners": {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
}


def write_operation(writer: NodeWriter, node: Node) -> str:
    """Write a node and return the name of its value. Raise `UsageError` if ONNX has no operator for it here."""
    if node.op.name in SIMPLE:
        return writer.emit(SIMPLE[node.op.name], [writer.value(operand) for operand in node.inputs])
    if node.op.name not in RULES:
        raise UsageError(
            f"{_place(node)} applies '{node.op.name}', which cannot be written to an ONNX file; "
            "take another layer, or ship it as --to web, js or c"
        )
    return RULES[node.op.name](writer, node)


def _place(node: Node) -> str:
    return f"layer '{node.scope}'" if node.scope else "the network"


def _constant(w: NodeWriter, node: Node) -> str:
    value = node.attrs["value"]
    if isinstance(value, Size):
        raise UsageError(f"{_place(node)} computes with the size of the batch, which ONNX files leave free")
    return w.constant(value, np.int32 if node.output.dtype == INT else np.float32)


def _cast(w: NodeWriter, node: Node) -> str:
    return w.emit("Cast", [w.value(node.inputs[0])], {"to": INT32 if node.output.dtype == INT else FLOAT})


def _gather(w: NodeWriter, node: Node) -> str:
    """Write rows of a table; those of indices outside the table are multiplied by 0, as ONNX counts from the end."""
    table, indices = (w.value(operand) for operand in node.inputs)
    last = node.inputs[0].shape[0] - 1  # type: ignore[operator]
    inside = w.emit("Min", [w.emit("Max", [indices, w.constant(0, np.int32)]), w.constant(last, np.int32)])
    is_inside = w.emit("Cast", [w.emit("Equal", [indices, inside])], {"to": FLOAT})
    factors = w.emit("Unsqueeze", [is_inside, w.constant([-1], np.int64)])
    return w.emit("Mul", [w.emit("Gather", [table, inside], {"axis": 0}), factors])


def _with_first(op: str, attributes: Callable[[Node], dict[str, Attribute]]) -> Rule:
    """Return a rule for an operator with the same operands, and these attributes."""
    return lambda w, node: w.emit(op, [w.value(operand) for operand in node.inputs], attributes(node))


def _convert(op: str) -> Rule:
    """Return a rule for the conversion to or from 8-bit integers.

    They are written as uint8, because ONNX Runtime computes with int8 on x86 only in some places.
    """

    def write(w: NodeWriter, node: Node) -> str:
        scale, zero = w.constant(node.attrs["scale"]), w.constant(node.attrs["zero"] + 128, np.uint8)
        return w.emit(op, [w.value(node.inputs[0]), scale, zero])

    return write


def _reduce_sum(w: NodeWriter, node: Node) -> str:
    return w.emit("ReduceSum", [w.value(node.inputs[0]), w.constant(node.attrs["axes"], np.int64)], {"keepdims": 1})


def _variance(w: NodeWriter, node: Node) -> str:
    attributes: dict[str, Attribute] = {"axes": list(node.attrs["axes"]), "keepdims": 1}
    x = w.value(node.inputs[0])
    deviation = w.emit("Sub", [x, w.emit("ReduceMean", [x], attributes)])
    return w.emit("ReduceMean", [w.emit("Mul", [deviation, deviation])], attributes)


def _comparison(op: str) -> Rule:
    def write(w: NodeWriter, node: Node) -> str:
        truth = w.emit(op, [w.value(operand) for operand in node.inputs])
        number = w.emit("Cast", [truth], {"to": FLOAT})
        w.truths[number] = truth
        return number

    return write


def _where(w: NodeWriter, node: Node) -> str:
    condition, a, b = (w.value(operand) for operand in node.inputs)
    return w.emit("Where", [w.truths.get(condition) or w.emit("Cast", [condition], {"to": BOOL}), a, b])


def _slice(w: NodeWriter, node: Node) -> str:
    x, attrs = node.inputs[0], node.attrs
    axes = [
        axis
        for axis, (size, start, stop, step) in enumerate(
            zip(x.shape, attrs["starts"], attrs["stops"], attrs["steps"], strict=True)
        )
        if (start, stop, step) != (0, size, 1)
    ]
    columns = [[attrs[key][axis] for axis in axes] for key in ("starts", "stops", "steps")]
    if any(isinstance(value, Size) for value in (*columns[0], *columns[1])):
        raise UsageError(f"{_place(node)} splits the batch, which ONNX files leave free")
    starts, stops, steps = (w.constant(values, np.int64) for values in columns)
    return w.emit("Slice", [w.value(x), starts, stops, w.constant(axes, np.int64), steps])


def _pad(w: NodeWriter, node: Node) -> str:
    amounts = (*node.attrs["low"], *node.attrs["high"])
    if any(node.attrs["interior"]) or any(isinstance(amount, Size) for amount in amounts):
        raise UsageError(
            f"{_place(node)} pads between elements, or by the size of the batch; ONNX has no such operator"
        )
    return w.emit("Pad", [w.value(node.inputs[0]), w.constant(amounts, np.int64)])


def _reshape(w: NodeWriter, node: Node) -> str:
    sizes = _free_sizes(node, node.inputs[0].shape, node.attrs["shape"])
    return w.emit("Reshape", [w.value(node.inputs[0]), w.constant(sizes, np.int64)])


def _free_sizes(node: Node, source: Shape, shape: Shape) -> list[int]:
    """Return a shape for Reshape: 0 copies a size of the operand, and -1 is inferred; both may be the batch."""
    sizes = [
        0 if isinstance(size, Size) and source[axis : axis + 1] == (size,) else -1 if isinstance(size, Size) else size
        for axis, size in enumerate(shape)
    ]
    if sizes.count(-1) > 1:
        raise UsageError(f"{_place(node)} reshapes to {shape}, in which several sizes depend on the batch")
    return sizes


def _broadcast(w: NodeWriter, node: Node) -> str:
    shape = node.attrs["shape"]
    source = (*[1] * (len(shape) - node.inputs[0].rank), *node.inputs[0].shape)
    if any(isinstance(size, Size) and size != old for size, old in zip(shape, source, strict=True)):
        raise UsageError(f"{_place(node)} repeats a tensor for each image of the batch, which ONNX files leave free")
    sizes = [1 if isinstance(size, Size) else size for size in shape]  # Expand keeps the larger of both sizes.
    return w.emit("Expand", [w.value(node.inputs[0]), w.constant(sizes, np.int64)])


def _resample(w: NodeWriter, node: Node) -> str:
    x, attrs = node.inputs[0], node.attrs
    if attrs["adjoint"]:
        raise UsageError(f"{_place(node)} has the gradient of a resampling, which ONNX files cannot hold")
    if _is_average_pooling(attrs):
        window = [old // new for old, new in zip(attrs["source"], attrs["size"], strict=True)]
        return w.emit("AveragePool", [w.value(x)], {"kernel_shape": window, "strides": window})
    if attrs["mode"] not in RESIZE_MODES:
        return _resample_by_matrices(w, node)
    scales = np.array([1, 1, *np.divide(attrs["size"], attrs["source"])], np.float32)
    source = np.array(attrs["source"])
    products = source.astype(np.float32) * scales[2:], source * scales[2:].astype(np.float64)
    if all(tuple(np.floor(sizes)) == attrs["size"] for sizes in products):  # in either precision that a reader takes
        return w.emit("Resize", [w.value(x), "", w.constant(scales)], RESIZE_MODES[attrs["mode"]])
    batch = w.emit("Slice", [w.emit("Shape", [w.value(x)]), w.constant([0], np.int64), w.constant([2], np.int64)])
    shape = w.emit("Concat", [batch, w.constant(attrs["size"], np.int64)], {"axis": 0})
    return w.emit("Resize", [w.value(x), "", "", shape], RESIZE_MODES[attrs["mode"]])


def _is_average_pooling(attrs: Mapping[str, Any]) -> bool:
    """Return whether a resampling averages windows of equal size that do not overlap."""
    divisible = all(old % new == 0 for old, new in zip(attrs["source"], attrs["size"], strict=True))
    return attrs["mode"] == "area" and divisible


def _resample_by_matrices(w: NodeWriter, node: Node) -> str:
    """Write y = A_h · x · A_wᵀ as products with a matrix for the columns, and then for the rows."""
    y = w.value(node.inputs[0])
    for axis in (1, 0):
        weights = axis_weights(node.attrs["mode"], node.attrs["source"][axis], node.attrs["size"][axis])
        y = y if axis else w.emit("Transpose", [y], {"perm": [0, 1, 3, 2]})
        y = w.emit("MatMul", [y, w.constant(weights.T)])
    return w.emit("Transpose", [y], {"perm": [0, 1, 3, 2]})


RULES: dict[str, Rule] = {
    "avg_pool2d": _with_first("AveragePool", pool_attributes),
    "broadcast_to": _broadcast,
    "cast": _cast,
    "concat": _with_first("Concat", lambda node: {"axis": node.attrs["axis"]}),
    "constant": _constant,
    "conv2d": _with_first("Conv", lambda node: sliding_attributes(node, node.inputs[1].shape)),
    "conv3d": _with_first("Conv", lambda node: sliding_attributes(node, node.inputs[1].shape)),
    "conv_transpose2d": _with_first("ConvTranspose", transposed_attributes),
    "dequantize": _convert("DequantizeLinear"),
    "equal": _comparison("Equal"),
    "gather": _gather,
    "greater": _comparison("Greater"),
    "matmul": _with_first("Gemm", transposition),
    "max": _with_first("ReduceMax", lambda node: {"axes": list(node.attrs["axes"]), "keepdims": 1}),
    "max_pool2d": _with_first("MaxPool", pool_attributes),
    "pad": _pad,
    "power": lambda w, node: w.emit("Pow", [w.value(node.inputs[0]), w.constant(node.attrs["exponent"])]),
    "quantize": _convert("QuantizeLinear"),
    "relu6": lambda w, node: w.emit("Clip", [w.value(node.inputs[0]), w.constant(0.0), w.constant(6.0)]),
    "resample2d": _resample,
    "reshape": _reshape,
    "slice": _slice,
    "stop_gradient": lambda w, node: w.value(node.inputs[0]),
    "sum": _reduce_sum,
    "transpose": _with_first("Transpose", lambda node: {"perm": list(node.attrs["axes"])}),
    "variance": _variance,
    "where": _where,
}  # fmt: skip

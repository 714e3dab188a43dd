"""Import rules of convolutions and pooling, in 2-D and 1-D."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps

from opsin import ops
from opsin.interop.onnx.call import OnnxCall, UnsupportedError, Value
from opsin.interop.onnx.rules.registry import Rule, rule
from opsin.ir import Tensor
from opsin.ops.sliding import Padding, Pair, image


@dataclass(frozen=True)
class Window:
    """The geometry of a convolution or pooling operator: (rows, columns) each, and its padding attributes."""

    image_size: Pair
    kernel: Pair
    stride: Pair
    dilation: Pair
    auto_pad: str
    pads: tuple[int, ...] | None

    @classmethod
    def of(cls, call: OnnxCall, x: Tensor, kernel: Pair | None = None) -> Window:
        """Return the window of `call` on the images `x`; its kernel size is `kernel`, or its attribute `kernel_shape`.

        Raise `UnsupportedError` if the attributes contradict each other.
        """
        if x.rank != 4:
            raise UnsupportedError(
                f"it works on {x.rank - 2}-dimensional data instead of images; its operand is {x.type}"
            )
        _, _, size = image(call.node.op, x.type)
        kernel_shape = call.attr_ints("kernel_shape")
        if kernel is None or kernel_shape is not None:
            pair = _pair(kernel_shape, "kernel_shape")
            if kernel not in (None, pair):
                raise UnsupportedError(f"its kernel_shape {pair} differs from that of its weight, {kernel}")
            kernel = pair
        stride, dilation = (_pair(call.attr_ints(name, (1, 1)), name) for name in ("strides", "dilations"))
        if min(*kernel, *stride, *dilation) < 1:
            raise UnsupportedError("its kernel, strides and dilations are not all at least 1")
        auto_pad = call.attr_string("auto_pad", "NOTSET")
        if auto_pad not in ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"):
            raise UnsupportedError(f"auto_pad {auto_pad}")
        return cls(size, kernel, stride, dilation, auto_pad, call.attr_ints("pads"))

    @property
    def extent(self) -> Pair:
        """Return the size of the dilated kernel."""
        rows, columns = ((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        return rows, columns

    def padding(self) -> Padding:
        """Return the padding of each side.

        For "SAME", the output has ⌈size / stride⌉ rows and columns, as in TensorFlow.
        """
        if self.auto_pad == "VALID":
            return (0, 0), (0, 0)
        if self.auto_pad == "NOTSET":
            return self.explicit_padding()
        total = [
            max(0, (-(-size // stride) - 1) * stride + extent - size)
            for size, stride, extent in zip(self.image_size, self.stride, self.extent, strict=True)
        ]
        return split_padding(total, extra_at_end=self.auto_pad == "SAME_UPPER")

    def explicit_padding(self) -> Padding:
        """Return the padding of the attribute `pads`, or none."""
        top, left, bottom, right = self.pads if self.pads and len(self.pads) == 4 else (0, 0, 0, 0)
        if self.pads is not None and len(self.pads) != 4:
            raise UnsupportedError(f"{len(self.pads)} pads for the four sides of an image")
        return (top, bottom), (left, right)


def split_padding(total: list[int], extra_at_end: bool) -> Padding:
    """Split the total padding of each axis between both sides; the extra pixel of an odd total goes to one side."""
    rows, columns = ((t // 2, t - t // 2) if extra_at_end else (t - t // 2, t // 2) for t in total)
    return rows, columns


def _pair(values: tuple[int, ...] | None, name: str) -> Pair:
    if values is None or len(values) != 2:
        raise UnsupportedError(f"its {name} must be two numbers, for rows and columns; they are {values}")
    return values[0], values[1]


def _kernel_size(w: Tensor) -> Pair:
    if w.rank != 4:
        raise UnsupportedError(f"it works on {w.rank - 2}-dimensional data instead of images; its weight is {w.type}")
    rows, columns = (int(size) for size in w.shape[2:] if isinstance(size, int))
    return rows, columns


UNIT_VALUES = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 0, "output_shape": 1}
"""Attributes with one number per image axis, and the number for an axis of size 1."""


def with_1d_inputs(function: Rule) -> Rule:
    """Extend an import rule for images, N × C × H × W, to N × C × L: images with one row."""

    @wraps(function)
    def wrapper(call: OnnxCall) -> Value | Sequence[Value]:
        x = call.value(0)
        if not isinstance(x, Tensor) or x.rank != 3:
            return function(call)
        attributes = dict(call.node.attributes)
        for name in (*UNIT_VALUES, "pads"):
            values = call.node.attributes.get(name)
            if not isinstance(values, tuple):
                continue
            if name == "pads" and len(values) == 2:
                attributes[name] = (0, int(values[0]), 0, int(values[1]))
            elif name == "pads" or len(values) != 1:
                raise UnsupportedError(
                    f"its {name} are not {'two numbers' if name == 'pads' else 'one number'}: {values}"
                )
            else:
                attributes[name] = (UNIT_VALUES[name], int(values[0]))
        inputs = [_unsqueeze_rows(x), *call.inputs[1:]]
        if call.node.op in ("Conv", "ConvTranspose"):
            weight = call.weight(1)
            if weight.rank != 3:
                raise UnsupportedError(
                    f"its operand is {x.type}, and its weight {weight.type}, of another number of axes"
                )
            inputs[1] = _unsqueeze_rows(weight)
        result = function(
            OnnxCall(call.context, replace(call.node, attributes=attributes), tuple(inputs), call.read_attributes)
        )
        if not isinstance(result, Tensor):
            raise UnsupportedError("several outputs")
        return ops.reshape(result, (*result.shape[:2], *result.shape[3:]))

    return wrapper


def _unsqueeze_rows(x: Tensor) -> Tensor:
    """Return `x`, A × B × L, as A × B × 1 × L."""
    return ops.reshape(x, (*x.shape[:2], 1, x.shape[2]))


@rule("Conv")
@with_1d_inputs
def _conv(call: OnnxCall) -> Tensor:
    x, w = call.tensor(0), call.weight(1)
    if x.rank == w.rank == 5:
        return _conv3d(call, x, w)
    x, pad = _remove_pad(x)
    window = Window.of(call, x, _kernel_size(w))
    if pad != NO_PADDING and window.auto_pad.startswith("SAME"):  # SAME depends on the padded size.
        x, pad = call.tensor(0), NO_PADDING
        window = Window.of(call, x, _kernel_size(w))
    (top, bottom), (left, right) = (
        (low + pad_low, high + pad_high) for (low, high), (pad_low, pad_high) in zip(window.padding(), pad, strict=True)
    )
    bias = call.weight(2) if call.has(2) else None
    return ops.conv2d(
        x, w, bias, window.stride, ((top, bottom), (left, right)), window.dilation, call.attr_int("group", 1)
    )


def _conv3d(call: OnnxCall, x: Tensor, w: Tensor) -> Tensor:
    """Convert a convolution of clips. Its padding is explicit, or none."""
    if call.attr_string("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise UnsupportedError("auto_pad of a convolution of clips; export it with explicit pads")
    call.ignore("kernel_shape")
    strides, dilations = (call.attr_ints(name, (1, 1, 1)) or () for name in ("strides", "dilations"))
    pads = call.attr_ints("pads", (0,) * 6) or ()
    if (len(strides), len(dilations), len(pads)) != (3, 3, 6):
        raise UnsupportedError("its strides, dilations and pads are not those of three axes")
    margins = tuple(zip(pads[:3], pads[3:], strict=True))
    y = ops.OPS["conv3d"](
        x, w, stride=strides, padding=margins, dilation=dilations, groups=call.attr_int("group", 1)
    ).output
    return ops.add(y, ops.reshape(call.weight(2), (w.shape[0], 1, 1, 1))) if call.has(2) else y


NO_PADDING: Padding = ((0, 0), (0, 0))


def _remove_pad(x: Tensor) -> tuple[Tensor, Padding]:
    """Return the operand of a preceding Pad with zeros, and its padding, which the convolution can apply itself.

    Return `x` and no padding if there is no such node.
    """
    attrs = x.node.attrs
    if x.rank != 4 or x.node.op.name != "pad" or any(attrs["interior"]) or any((*attrs["low"][:2], *attrs["high"][:2])):
        return x, NO_PADDING
    rows, columns = zip(attrs["low"][2:], attrs["high"][2:], strict=True)
    return x.node.inputs[0], (rows, columns)


@rule("ConvTranspose")
@with_1d_inputs
def _conv_transpose(call: OnnxCall) -> Tensor:
    x, w = call.tensor(0), call.weight(1)
    window = Window.of(call, x, _kernel_size(w))
    output_padding = _pair(call.attr_ints("output_padding", (0, 0)), "output_padding")
    output_shape = call.attr_ints("output_shape")
    if output_shape is None and window.auto_pad in ("NOTSET", "VALID"):
        padding = window.padding()
    else:
        out = _pair(output_shape[-2:], "output_shape") if output_shape else _multiply(window.image_size, window.stride)
        total = [
            (size - 1) * stride + extra + extent - out_size
            for size, stride, extra, extent, out_size in zip(
                window.image_size, window.stride, output_padding, window.extent, out, strict=True
            )
        ]
        rows, columns = (extra + max(0, -t) for extra, t in zip(output_padding, total, strict=True))
        output_padding = (rows, columns)
        padding = split_padding([max(0, t) for t in total], extra_at_end=window.auto_pad == "SAME_UPPER")
    bias = call.weight(2) if call.has(2) else None
    groups = call.attr_int("group", 1)
    return ops.conv_transpose2d(x, w, bias, window.stride, padding, output_padding, window.dilation, groups)


def _multiply(a: Pair, b: Pair) -> Pair:
    return a[0] * b[0], a[1] * b[1]


def _pooling(call: OnnxCall) -> tuple[Tensor, Window, bool]:
    """Return the operand, the window and the `ceil_mode` of a pooling operator."""
    x = call.tensor(0)
    window = Window.of(call, x)
    ceil_mode = bool(call.attr_int("ceil_mode", 0))
    return x, window, ceil_mode and not window.auto_pad.startswith("SAME")


@rule("MaxPool")
@with_1d_inputs
def _max_pool(call: OnnxCall) -> Tensor:
    call.ignore("storage_order")
    x, window, ceil_mode = _pooling(call)
    return ops.max_pool2d(x, window.kernel, window.stride, window.padding(), ceil_mode, window.dilation)


@rule("AveragePool")
@with_1d_inputs
def _average_pool(call: OnnxCall) -> Tensor:
    x, window, ceil_mode = _pooling(call)
    count_padding = bool(call.attr_int("count_include_pad", 0))
    return ops.avg_pool2d(x, window.kernel, window.stride, window.padding(), ceil_mode, count_padding, window.dilation)


@rule("LpPool")
@with_1d_inputs
def _lp_pool(call: OnnxCall) -> Tensor:
    x, window, ceil_mode = _pooling(call)
    rows, columns = window.kernel
    if ceil_mode:
        raise UnsupportedError("a norm with ceil_mode")

    def window_sum(y: Tensor) -> Tensor:
        mean = ops.avg_pool2d(y, window.kernel, window.stride, window.padding(), dilation=window.dilation)
        return ops.multiply(mean, float(rows * columns))

    return _norm(call, x, window_sum)


@rule("GlobalLpPool")
def _global_lp_pool(call: OnnxCall) -> Tensor:
    return _norm(call, call.tensor(0), lambda y: ops.sum(y, tuple(range(2, y.rank)), keepdims=True))


def _norm(call: OnnxCall, x: Tensor, sum_of: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the p-norm over the elements that `sum_of` adds."""
    p = call.attr_int("p", 2)
    if p == 1:
        return sum_of(ops.absolute(x))
    if p == 2:
        return ops.sqrt(sum_of(ops.square(x)))
    if p < 1:
        raise UnsupportedError(f"the norm of p = {p}")
    return ops.power(sum_of(ops.power(ops.absolute(x), float(p))), 1 / p)


@rule("GlobalAveragePool")
@with_1d_inputs
def _global_average_pool(call: OnnxCall) -> Tensor:
    return ops.global_avg_pool2d(call.tensor(0))


@rule("GlobalMaxPool")
@with_1d_inputs
def _global_max_pool(call: OnnxCall) -> Tensor:
    return ops.global_max_pool2d(call.tensor(0))

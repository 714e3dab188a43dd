"""Operators that slide a window over images: convolutions and pooling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps

from opsin import ops
from opsin.interop.onnx.call import OnnxCall, Unsupported, Value
from opsin.interop.onnx.rules.table import Rule, rule
from opsin.ir import Tensor
from opsin.ops.sliding import Padding, Pair, image


@dataclass(frozen=True)
class Window:
    """The geometry that all of these operators share."""

    size: Pair
    """Of the image."""
    kernel: Pair
    stride: Pair
    dilation: Pair
    auto: str
    pads: tuple[int, ...] | None

    @classmethod
    def of(cls, call: OnnxCall, x: Tensor, kernel: Pair | None = None) -> Window:
        """That of `call` on the images `x`, with the kernel of its weight or its attribute."""
        if x.rank != 4:
            raise Unsupported(f"it works on {x.rank - 2}-dimensional data, not on images; its operand is {x.type}")
        _, _, size = image(call.node.op, x.type)
        given = call.wholes("kernel_shape")
        if kernel is None or given is not None:
            found = _pair(given, "kernel_shape")
            if kernel not in (None, found):
                raise Unsupported(f"its kernel_shape {found} is not that of its weight, {kernel}")
            kernel = found
        stride, dilation = (_pair(call.wholes(name, (1, 1)), name) for name in ("strides", "dilations"))
        if min(*kernel, *stride, *dilation) < 1:
            raise Unsupported("its kernel, strides and dilations are not all at least 1")
        auto = call.text("auto_pad", "NOTSET")
        if auto not in ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"):
            raise Unsupported(f"auto_pad {auto}")
        return cls(size, kernel, stride, dilation, auto, call.wholes("pads"))

    @property
    def extent(self) -> Pair:
        rows, columns = ((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        return rows, columns

    def padding(self) -> Padding:
        """Given, or such that every `stride`-th place has its window ("SAME": TensorFlow's rule)."""
        if self.auto == "VALID":
            return (0, 0), (0, 0)
        if self.auto == "NOTSET":
            return self.given_padding()
        total = [
            max(0, (-(-size // stride) - 1) * stride + extent - size)
            for size, stride, extent in zip(self.size, self.stride, self.extent, strict=True)
        ]
        return shared(total, more_behind=self.auto == "SAME_UPPER")

    def given_padding(self) -> Padding:
        top, left, bottom, right = self.pads if self.pads and len(self.pads) == 4 else (0, 0, 0, 0)
        if self.pads is not None and len(self.pads) != 4:
            raise Unsupported(f"{len(self.pads)} pads for the four sides of an image")
        return (top, bottom), (left, right)


def shared(total: list[int], more_behind: bool) -> Padding:
    """Each total divided evenly between both ends, the odd one to the end or to the beginning."""
    rows, columns = ((t // 2, t - t // 2) if more_behind else (t - t // 2, t // 2) for t in total)
    return rows, columns


def _pair(given: tuple[int, ...] | None, name: str) -> Pair:
    if given is None or len(given) != 2:
        raise Unsupported(f"its {name} are not two numbers, of rows and columns: {given}")
    return given[0], given[1]


def _kernel(w: Tensor) -> Pair:
    if w.rank != 4:
        raise Unsupported(f"it works on {w.rank - 2}-dimensional data, not on images; its weight is {w.type}")
    rows, columns = (int(size) for size in w.shape[2:] if isinstance(size, int))
    return rows, columns


ALONG = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 0, "output_shape": 1}
"""Attributes with a number for each axis of the image, and what a row's height of 1 has for it."""


def along_a_line(function: Rule) -> Rule:
    """The rule, which works on images, also for N × C × length: images that are one row high."""

    @wraps(function)
    def lifted(call: OnnxCall) -> Value | Sequence[Value]:
        x = call.value(0)
        if not isinstance(x, Tensor) or x.rank != 3:
            return function(call)
        attributes = dict(call.node.attributes)
        for name in (*ALONG, "pads"):
            given = call.node.attributes.get(name)
            if not isinstance(given, tuple):
                continue
            if name == "pads" and len(given) == 2:
                attributes[name] = (0, int(given[0]), 0, int(given[1]))
            elif name == "pads" or len(given) != 1:
                raise Unsupported(f"its {name} are not {'two numbers' if name == 'pads' else 'one number'}: {given}")
            else:
                attributes[name] = (ALONG[name], int(given[0]))
        inputs = [_raised(x), *call.inputs[1:]]
        if call.node.op in ("Conv", "ConvTranspose"):
            weight = call.weight(1)
            if weight.rank != 3:
                raise Unsupported(f"its operand is {x.type}, and its weight {weight.type}, of another number of axes")
            inputs[1] = _raised(weight)
        result = function(
            OnnxCall(call.reader, replace(call.node, attributes=attributes), tuple(inputs), call.read_attributes)
        )
        if not isinstance(result, Tensor):
            raise Unsupported("more than one result")
        return ops.reshape(result, (*result.shape[:2], *result.shape[3:]))

    return lifted


def _raised(x: Tensor) -> Tensor:
    """… × length → … × 1 × length."""
    return ops.reshape(x, (*x.shape[:2], 1, x.shape[2]))


@rule("Conv")
@along_a_line
def _conv(call: OnnxCall) -> Tensor:
    x, w = call.tensor(0), call.weight(1)
    x, frame = _without_frame(x)
    window = Window.of(call, x, _kernel(w))
    if frame != NO_FRAME and window.auto.startswith("SAME"):  # whose padding depends on the padded size
        x, frame = call.tensor(0), NO_FRAME
        window = Window.of(call, x, _kernel(w))
    (top, bottom), (left, right) = (
        (low + more_low, high + more_high)
        for (low, high), (more_low, more_high) in zip(window.padding(), frame, strict=True)
    )
    bias = call.weight(2) if call.has(2) else None
    return ops.conv2d(
        x, w, bias, window.stride, ((top, bottom), (left, right)), window.dilation, call.whole("group", 1)
    )


NO_FRAME: Padding = ((0, 0), (0, 0))


def _without_frame(x: Tensor) -> tuple[Tensor, Padding]:
    """The image inside of zeros that a node before has put around it, and their number: convolution adds its own."""
    attrs = x.node.attrs
    if x.rank != 4 or x.node.op.name != "pad" or any(attrs["interior"]) or any((*attrs["low"][:2], *attrs["high"][:2])):
        return x, NO_FRAME
    rows, columns = zip(attrs["low"][2:], attrs["high"][2:], strict=True)
    return x.node.inputs[0], (rows, columns)


@rule("ConvTranspose")
@along_a_line
def _conv_transpose(call: OnnxCall) -> Tensor:
    x, w = call.tensor(0), call.weight(1)
    window = Window.of(call, x, _kernel(w))
    output_padding = _pair(call.wholes("output_padding", (0, 0)), "output_padding")
    given = call.wholes("output_shape")
    if given is None and window.auto in ("NOTSET", "VALID"):
        padding = window.padding()
    else:
        out = _pair(given[-2:], "output_shape") if given else _times(window.size, window.stride)
        total = [
            (size - 1) * stride + extra + extent - wanted
            for size, stride, extra, extent, wanted in zip(
                window.size, window.stride, output_padding, window.extent, out, strict=True
            )
        ]
        rows, columns = (extra + max(0, -t) for extra, t in zip(output_padding, total, strict=True))
        output_padding = (rows, columns)
        padding = shared([max(0, t) for t in total], more_behind=window.auto == "SAME_UPPER")
    bias = call.weight(2) if call.has(2) else None
    groups = call.whole("group", 1)
    return ops.conv_transpose2d(x, w, bias, window.stride, padding, output_padding, window.dilation, groups)


def _times(a: Pair, b: Pair) -> Pair:
    return a[0] * b[0], a[1] * b[1]


def _pooling(call: OnnxCall) -> tuple[Tensor, Window, bool]:
    """Operand, window and ceil_mode of a pooling operator."""
    x = call.tensor(0)
    window = Window.of(call, x)
    ceil = bool(call.whole("ceil_mode", 0))
    return x, window, ceil and not window.auto.startswith("SAME")


@rule("MaxPool")
@along_a_line
def _max_pool(call: OnnxCall) -> Tensor:
    call.ignore("storage_order")
    x, window, ceil = _pooling(call)
    return ops.max_pool2d(x, window.kernel, window.stride, window.padding(), ceil, window.dilation)


@rule("AveragePool")
@along_a_line
def _average_pool(call: OnnxCall) -> Tensor:
    x, window, ceil = _pooling(call)
    count_padding = bool(call.whole("count_include_pad", 0))
    return ops.avg_pool2d(x, window.kernel, window.stride, window.padding(), ceil, count_padding, window.dilation)


@rule("LpPool")
@along_a_line
def _lp_pool(call: OnnxCall) -> Tensor:
    x, window, ceil = _pooling(call)
    rows, columns = window.kernel
    if ceil:
        raise Unsupported("a norm with ceil_mode")

    def total(y: Tensor) -> Tensor:
        mean = ops.avg_pool2d(y, window.kernel, window.stride, window.padding(), dilation=window.dilation)
        return ops.multiply(mean, float(rows * columns))

    return _norm(call, x, total)


@rule("GlobalLpPool")
def _global_lp_pool(call: OnnxCall) -> Tensor:
    return _norm(call, call.tensor(0), lambda y: ops.sum(y, tuple(range(2, y.rank)), keepdims=True))


def _norm(call: OnnxCall, x: Tensor, total: Callable[[Tensor], Tensor]) -> Tensor:
    """The p-norm of what `total` adds up."""
    p = call.whole("p", 2)
    if p == 1:
        return total(ops.absolute(x))
    if p == 2:
        return ops.sqrt(total(ops.square(x)))
    if p < 1:
        raise Unsupported(f"the norm of p = {p}")
    return ops.power(total(ops.power(ops.absolute(x), float(p))), 1 / p)


@rule("GlobalAveragePool")
@along_a_line
def _global_average_pool(call: OnnxCall) -> Tensor:
    return ops.global_avg_pool2d(call.tensor(0))


@rule("GlobalMaxPool")
@along_a_line
def _global_max_pool(call: OnnxCall) -> Tensor:
    return ops.global_max_pool2d(call.tensor(0))

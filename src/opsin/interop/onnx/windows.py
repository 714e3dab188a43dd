"""Attributes of the ONNX operators whose window slides over images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opsin.interop.onnx.encoding import Attribute
from opsin.ir import Node, bind


def sliding_attributes(node: Node, weight_shape: Sequence[Any]) -> dict[str, Attribute]:
    """Return the attributes of a convolution with a weight of this shape."""
    attrs = node.attrs
    return {
        "kernel_shape": [int(size) for size in weight_shape[2:]],
        "strides": list(attrs["stride"]),
        "dilations": list(attrs["dilation"]),
        "pads": _pads(attrs["padding"]),
        "group": attrs["groups"],
    }


def transposed_attributes(node: Node) -> dict[str, Attribute]:
    """Return the attributes of a transposed convolution. `output_padding` is what the size has beyond the least."""
    attrs, (y, weight) = node.attrs, node.inputs
    out, kernel = bind(y.shape, 1)[2:], bind(weight.shape, 1)[2:]
    least = [
        (count - 1) * step - sum(pads) + (taps - 1) * gap + 1
        for count, step, pads, taps, gap in zip(
            out, attrs["stride"], attrs["padding"], kernel, attrs["dilation"], strict=True
        )
    ]
    extra = [size - short for size, short in zip(attrs["size"], least, strict=True)]
    return {**sliding_attributes(node, weight.shape), "output_padding": extra}


def pool_attributes(node: Node) -> dict[str, Attribute]:
    """Return the attributes of a pooling operator.

    PyTorch and Opsin drop a last window that starts beyond the image, ONNX before opset 22 does not. `ceil_mode` is
    therefore written only where both agree; elsewhere the padding at the end gives the same windows.
    """
    attrs = node.attrs
    padding, ceil_mode = attrs["padding"], bool(attrs["ceil_mode"])
    sizes, out = bind(node.inputs[0].shape, 1)[2:], bind(node.output.shape, 1)[2:]
    axes = list(zip(sizes, padding, attrs["window"], attrs["stride"], out, strict=True))
    if ceil_mode and any(-(-(n + sum(pads) - taps) // step) + 1 != count for n, pads, taps, step, count in axes):
        padding = tuple(
            (low, max(high, (count - 1) * step + taps - n - low)) for n, (low, high), taps, step, count in axes
        )
        ceil_mode = False
    result: dict[str, Attribute] = {
        "kernel_shape": list(attrs["window"]), "strides": list(attrs["stride"]), "pads": _pads(padding),
    }  # fmt: skip
    if ceil_mode:
        result["ceil_mode"] = 1
    if attrs.get("count_include_pad"):
        result["count_include_pad"] = 1
    return result


def _pads(padding: Sequence[Sequence[int]]) -> list[int]:
    """Return the padding before each axis, and then that after each: top, left, bottom and right of images."""
    return [before for before, _ in padding] + [after for _, after in padding]

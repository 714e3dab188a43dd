"""Calls of kernels that tiny graphs are lowered to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opsin.compiler.calls import KernelCall
from opsin.compiler.execution_plan import make_plan
from opsin.compiler.views import View
from opsin.ir import Graph, Tensor, input_tensor, variable
from opsin.kernels.ir import Target
from opsin.ops import OPS

BATCH = 4
"""Images of a batch: each is a chunk."""


def lowered(y: Tensor | dict[str, Tensor], inputs: Sequence[Tensor], target: Target, batch: int = BATCH) -> list[Any]:
    """Return the calls that compute one or several outputs."""
    return make_plan(Graph(tuple(inputs), y if isinstance(y, dict) else {"y": y}), batch, target).calls


def conv_attrs(stride: int = 1, padding: int = 1, groups: int = 1) -> dict[str, Any]:
    """Return the attributes of a convolution, the same in both dimensions."""
    margin = (padding, padding)
    return {"stride": (stride, stride), "padding": (margin, margin), "dilation": (1, 1), "groups": groups}


def lowered_conv(
    operation: str, x: tuple[int, ...], w: tuple[int, ...], target: Target, stride: int = 1, groups: int = 1
) -> list[Any]:
    """Return the calls of a convolution x (N C H W) by w (K C/groups k k) that keeps the size, or of a gradient of it.

    The operands are an input and, unless the weights are the result, a variable.
    """
    attrs = conv_attrs(stride, w[2] // 2, groups)
    images, weights = input_tensor("x", x), variable("w", w)
    g = input_tensor("g", (x[0], w[0], -(-x[2] // stride), -(-x[3] // stride)))
    operands, extra = {
        "conv2d": ((images, weights), {}),
        "conv_transpose2d": ((g, weights), {"size": x[2:]}),
        "conv2d_weight": ((images, g), {"kernel": w[2:]}),
    }[operation]
    y = OPS[operation](*operands, **attrs, **extra).output
    return lowered(y, [t for t in operands if t is not weights], target, x[0])


def kernels(calls: Sequence[KernelCall]) -> list[str]:
    """Return the kernels of calls, by name."""
    return [type(call.spec).__name__ for call in calls]


def pointer(call: KernelCall, name: str) -> View:
    """Return an array by its name in the kernel's signature."""
    view = call.arguments[call.spec.signature.pointers.index(name)]
    assert isinstance(view, View)
    return view


def word(call: KernelCall, name: str) -> int:
    """Return a number by its name in the kernel's signature."""
    signature = call.spec.signature
    value = call.arguments[len(signature.pointers) + signature.words.index(name)]
    assert isinstance(value, int)
    return value

"""Depthwise convolutions, forward and backward: one kernel a channel."""

from __future__ import annotations

from opsin.compiler.calls import Argument
from opsin.compiler.fusion import FusionGroup
from opsin.compiler.lower.context import Lowering
from opsin.compiler.lower.pointwise import bind_epilogue, draft_epilogue
from opsin.compiler.views import FILTERS, Places, View, channels_last, row_major
from opsin.ir import Node, Tensor
from opsin.kernels.depthwise import Depthwise
from opsin.kernels.depthwise_weight import DepthwiseWeight
from opsin.kernels.taps import Axis

PARTIAL = 16 * 1024 * 1024
"""Elements that all partial weight gradients of one convolution should stay below."""


def suits(shape: tuple[int, ...], groups: int) -> bool:
    """Whether weights K × C/groups × kh × kw are one kernel for each of several channels."""
    return groups > 1 and shape[:2] == (groups, 1)


def _axes(node: Node, kernel: tuple[int, ...], transposed: bool = False) -> tuple[Axis, Axis]:
    """How the windows move by rows and by columns."""
    attrs = node.attrs
    moves = zip(kernel, attrs["stride"], attrs["dilation"], attrs["padding"], strict=True)
    rows, columns = (Axis(taps, stride, dilation, before, transposed) for taps, stride, dilation, (before, _) in moves)
    return rows, columns


def convolve(lower: Lowering, node: Node, cluster: FusionGroup, kept: list[Tensor], places: Places) -> None:
    """`conv2d`, or `conv_transpose2d` read the other way round."""
    x = lower.image(node.inputs[0])
    w = lower.dense(lower.view(node.inputs[1]), FILTERS)
    tail = bind_epilogue(lower, draft_epilogue(lower, cluster), kept, places, channels_last(4), channel=1)
    _, channels, height, width = x.shape
    out_height, out_width = tail.results[0].shape[2:]
    axes = _axes(node, w.shape[2:], transposed=node.op.name == "conv_transpose2d")
    spec = Depthwise(channels, height, out_height, *axes, tail.epilogue)
    arguments: list[Argument] = [x, w, width, out_width, *tail.arguments]
    macs = int(node.op.macs(node))  # type: ignore[arg-type]
    shared = [w, *tail.shared]
    lower.per_image(spec, arguments, [x, *tail.own], tail.results, shared, blocks=out_width, macs=macs)


def weight_gradient(lower: Lowering, x: View, g: View, node: Node) -> View:
    """Partial gradients, parts × elements, of dense views."""
    kernel = node.attrs["kernel"]
    count, channels, height, width = x.shape
    size = kernel[0] * kernel[1] * channels
    parts = min(-(-count // lower.chunk), max(4, PARTIAL // size))
    images = -(-count // parts)
    parts = -(-count // images)
    partial = lower.new((parts, size), row_major(2))
    spec = DepthwiseWeight(channels, height, g.shape[2], *_axes(node, kernel))
    arguments: list[Argument] = [x, g, partial, count, width, g.shape[3], images]
    macs = int(node.op.macs(node))  # type: ignore[arg-type]
    if images == lower.chunk and count == lower.batch:
        lower.per_chunk(spec, arguments, [x, g], [partial], macs=macs)
    else:
        lower.free(spec, arguments, [x, g], [partial], parts, macs=macs)
    return partial

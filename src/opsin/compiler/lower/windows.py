"""Convolutions: which kernel, on which views, in which blocks."""

from __future__ import annotations

from opsin.compiler.calls import Argument
from opsin.compiler.cluster import Cluster
from opsin.compiler.lower import depthwise, packed, winograd
from opsin.compiler.lower.context import Lowering
from opsin.compiler.lower.geometry import Geometry
from opsin.compiler.lower.pointwise import BoundTail, bind_epilogue, draft_epilogue
from opsin.compiler.views import FILTERS, Buffer, Places, View, channels_last, dense_strides
from opsin.graph import Node, Tensor
from opsin.kernels.conv import Conv2d
from opsin.kernels.conv_weight import Conv2dWeight
from opsin.kernels.expression import IDENTITY
from opsin.kernels.reduce import Combine

PARTIAL = 16 * 1024 * 1024
"""Elements that all partial weight gradients of one convolution should stay below."""


def convolve(lower: Lowering, x: View, w: View, geometry: Geometry, tail: BoundTail, macs: int) -> None:
    """The calls for one convolution of dense views."""
    if not lower.exact and winograd.suits(geometry):
        winograd.convolve(lower, x, w, geometry, tail, macs)
        return
    if packed.suits(geometry):
        packed.convolve(lower, x, w, geometry, tail, macs)
        return
    rows, blocks, scratch = geometry.block(x.shape[0])
    spec = Conv2d(geometry.window, geometry.filters, geometry.out[1], geometry.padded, tail.epilogue)
    arguments: list[Argument] = [x, w, geometry.height, geometry.width, geometry.out[0], *geometry.down, rows, blocks]
    lower.per_image(
        spec, [*arguments, *tail.arguments], [x, *tail.own], tail.results, [w, *tail.shared], blocks, scratch, macs
    )


def conv2d(lower: Lowering, node: Node, cluster: Cluster, kept: list[Tensor], places: Places) -> None:
    if depthwise.suits(node.inputs[1].shape, node.attrs["groups"]):  # type: ignore[arg-type]
        depthwise.convolve(lower, node, cluster, kept, places)
        return
    x = lower.picture(node.inputs[0])
    w = lower.dense(lower.view(node.inputs[1]), FILTERS)
    tail = bind_epilogue(lower, draft_epilogue(lower, cluster), kept, places, channels_last(4), channel=1)
    filters, _, kh, kw = w.shape
    _, _, *out = node.output.shape
    geometry = Geometry(x, filters, (kh, kw), tuple(out), node.attrs)  # type: ignore[arg-type]
    convolve(lower, x, w, geometry, tail, int(node.op.macs(node)))  # type: ignore[arg-type]


def conv_transpose2d(lower: Lowering, node: Node, cluster: Cluster, kept: list[Tensor], places: Places) -> None:
    """As a convolution of stride 1 by the kernel turned by 180°, over the input spread out by the stride."""
    if depthwise.suits(node.inputs[1].shape, node.attrs["groups"]):  # type: ignore[arg-type]
        depthwise.convolve(lower, node, cluster, kept, places)
        return
    attrs = node.attrs
    y = lower.picture(node.inputs[0])
    w = lower.view(node.inputs[1])
    _, _, kh, kw = w.shape
    stride, dilation, groups = attrs["stride"], attrs["dilation"], attrs["groups"]
    (top, _), (left, _) = attrs["padding"]
    if (
        stride != (1, 1)
        and dilation == (1, 1)
        and packed.suits(Geometry(y, w.shape[1] * groups, (kh, kw), (1, 1), attrs))
    ):
        tail = bind_epilogue(lower, draft_epilogue(lower, cluster), kept, places, channels_last(4), channel=1)
        packed.spread(lower, y, w, attrs["size"], attrs, tail, int(node.op.macs(node)))  # type: ignore[arg-type]
        return
    if stride != (1, 1):
        y = _spread(lower, y, stride)
    turned = _turned(lower, w, groups)
    margin = ((kh - 1) * dilation[0] - top, 0), ((kw - 1) * dilation[1] - left, 0)
    inverse = {"stride": (1, 1), "dilation": dilation, "groups": groups, "padding": margin}
    tail = bind_epilogue(lower, draft_epilogue(lower, cluster), kept, places, channels_last(4), channel=1)
    geometry = Geometry(y, turned.shape[0], (kh, kw), attrs["size"], inverse)
    convolve(lower, y, turned, geometry, tail, int(node.op.macs(node)))  # type: ignore[arg-type]


def _spread(lower: Lowering, y: View, stride: tuple[int, int]) -> View:
    """`y` with zeros between its pixels."""
    n, c, h, w = y.shape
    size = ((h - 1) * stride[0] + 1, (w - 1) * stride[1] + 1)
    result = lower.new((n, c, *size))
    lower.fill(result, 0.0)
    lower.pointwise(IDENTITY, [y], [result.sliced((0, 0, 0, 0), (n, c, *size), (1, 1, *stride))])
    return result


def _turned(lower: Lowering, w: View, groups: int) -> View:
    """K × C/g × kh × kw → C × K/g × kh × kw, turned by 180°, dense as weights are."""
    filters, channels, kh, kw = w.shape
    k, c, r, s = w.strides
    own = filters // groups
    split = View(w.buffer, (groups, own, channels, kh, kw), (k * own, k, c, r, s), w.offset)
    turned = split.flipped((3, 4)).transposed((0, 2, 1, 3, 4))
    copy = lower.copy(turned, (3, 4, 2, 0, 1))
    shape = (groups * channels, own, kh, kw)
    return View(copy.buffer, shape, dense_strides(shape, FILTERS))


def conv2d_weight(lower: Lowering, node: Node) -> None:
    x, g = (lower.picture(t) for t in node.inputs)
    kernel: tuple[int, int] = node.attrs["kernel"]
    geometry = Geometry(x, g.shape[1], kernel, (g.shape[2], g.shape[3]), node.attrs)
    result = lower.new(node.output.shape, FILTERS)  # type: ignore[arg-type]
    lower.bind(node.output, result)
    macs = int(node.op.macs(node))  # type: ignore[arg-type]
    if depthwise.suits(result.shape, node.attrs["groups"]):
        combine(lower, depthwise.weight_gradient(lower, x, g, node), result)
        return
    if not lower.exact and winograd.suits(geometry):
        winograd.weight_gradient(lower, x, g, geometry, result, macs)
        return
    if packed.suits(geometry):
        combine(lower, packed.weight_gradient(lower, x, g, geometry, macs), result)
        return
    count = x.shape[0]
    chunks = min(-(-count // lower.chunk), max(4, PARTIAL // result.size))
    pictures = -(-count // chunks)
    chunks = -(-count // pictures)
    partial = View(Buffer(chunks * result.size, "f32", "temporary"), (chunks, result.size), (result.size, 1))
    spec = Conv2dWeight(geometry.window, geometry.filters, geometry.out[1], geometry.padded)
    scratch = geometry.height * geometry.needed * geometry.window.pixel if geometry.padded else 0
    sizes = [count, geometry.height, geometry.width, geometry.out[0], *geometry.down, pictures]
    target = partial if chunks > 1 else result
    if pictures == lower.chunk and count == lower.batch:
        lower.per_chunk(spec, [x, g, target, *sizes], [x, g], [target], scratch=scratch, macs=macs)
    else:
        lower.free(spec, [x, g, target, *sizes], [x, g], [target], chunks, scratch, macs)
    if chunks > 1:
        combine(lower, partial, result)


def combine(lower: Lowering, partial: View, result: View) -> None:
    """Adds the rows of `partial` (parts × elements), in order."""
    parts, count = partial.shape
    block = min(1024, count)
    lower.free(Combine(), [partial, result, count, parts, block], [partial], [result], -(-count // block))


ANCHORED = {"conv2d": conv2d, "conv_transpose2d": conv_transpose2d}
RULES = {"conv2d_weight": conv2d_weight}

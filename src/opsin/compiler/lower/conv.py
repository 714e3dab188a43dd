"""Convolutions: from a problem and the way that is taken to kernels, on which views, in which blocks."""

from __future__ import annotations

from opsin.compiler.calls import Argument
from opsin.compiler.fusion import FusionGroup
from opsin.compiler.lower import depthwise, packed, winograd
from opsin.compiler.lower.context import Lowering
from opsin.compiler.lower.conv_algorithms import WINOGRAD, ConvAlgorithm, decide
from opsin.compiler.lower.geometry import Geometry
from opsin.compiler.lower.pointwise import BoundTail, bind_epilogue, draft_epilogue
from opsin.compiler.views import FILTERS, Buffer, Places, View, channels_last, dense_strides
from opsin.ir import Node, Tensor
from opsin.kernels.conv import Conv2d
from opsin.kernels.conv_weight import Conv2dWeight
from opsin.kernels.expression import IDENTITY

PARTIAL = 16 * 1024 * 1024
"""Elements that all partial weight gradients of one convolution should stay below."""


def direct(lower: Lowering, x: View, w: View, geometry: Geometry, tail: BoundTail, macs: int) -> None:
    """Forward, or the input gradient with a turned kernel, image by image."""
    w = lower.dense(w, FILTERS)
    rows, blocks, scratch = geometry.block(x.shape[0])
    spec = Conv2d(geometry.window, geometry.filters, geometry.out[1], geometry.padded, tail.epilogue)
    arguments: list[Argument] = [x, w, geometry.height, geometry.width, geometry.out[0], *geometry.down, rows, blocks]
    lower.per_image(
        spec, [*arguments, *tail.arguments], [x, *tail.own], tail.results, [w, *tail.shared], blocks, scratch, macs
    )


CONVOLVE = {
    ConvAlgorithm.DIRECT: direct,
    ConvAlgorithm.IMPLICIT_GEMM: packed.convolve,
    ConvAlgorithm.WINOGRAD_FUSED: winograd.by_blocks,
    ConvAlgorithm.WINOGRAD_NONFUSED: winograd.by_points,
}


def conv2d(lower: Lowering, node: Node, cluster: FusionGroup, kept: list[Tensor], places: Places) -> None:
    if depthwise.suits(node.inputs[1].shape, node.attrs["groups"]):  # type: ignore[arg-type]
        depthwise.convolve(lower, node, cluster, kept, places)
        return
    problem, way = decide(lower, node)
    x = lower.image(node.inputs[0])
    w = lower.view(node.inputs[1])
    tail = bind_epilogue(lower, draft_epilogue(lower, cluster), kept, places, channels_last(4), channel=1)
    CONVOLVE[way](lower, x, w, problem.geometry, tail, problem.macs)


def conv_transpose2d(lower: Lowering, node: Node, cluster: FusionGroup, kept: list[Tensor], places: Places) -> None:
    """By phases, or as one of stride 1 by the kernel turned by 180°, over the input spread out by the stride."""
    if depthwise.suits(node.inputs[1].shape, node.attrs["groups"]):  # type: ignore[arg-type]
        depthwise.convolve(lower, node, cluster, kept, places)
        return
    problem, way = decide(lower, node)
    y = lower.image(node.inputs[0])
    w = lower.view(node.inputs[1])
    if way is ConvAlgorithm.STRIDED_DGRAD:
        tail = bind_epilogue(lower, draft_epilogue(lower, cluster), kept, places, channels_last(4), channel=1)
        packed.spread(lower, y, w, problem.size, node.attrs, tail, problem.macs)
        return
    if problem.stride != (1, 1):
        y = _spread(lower, y, problem.stride)
    turned = _turned(lower, w, problem.groups)
    tail = bind_epilogue(lower, draft_epilogue(lower, cluster), kept, places, channels_last(4), channel=1)
    CONVOLVE[way](lower, y, turned, problem.geometry, tail, problem.macs)


def _spread(lower: Lowering, y: View, stride: tuple[int, int]) -> View:
    """`y` with zeros between its pixels."""
    n, c, h, w = y.shape
    size = ((h - 1) * stride[0] + 1, (w - 1) * stride[1] + 1)
    result = lower.new((n, c, *size))
    lower.fill(result, 0.0)
    lower.pointwise(IDENTITY, [y], [result.sliced((0, 0, 0, 0), (n, c, *size), (1, 1, *stride))])
    return result


def _turned(lower: Lowering, w: View, groups: int) -> View:
    """K × C/g × kh × kw → C × K/g × kh × kw, turned by 180°; of several groups, dense as weights are."""
    if groups == 1:
        return w.flipped((2, 3)).transposed((1, 0, 2, 3))
    filters, channels, kh, kw = w.shape
    k, c, r, s = w.strides
    own = filters // groups
    split = View(w.buffer, (groups, own, channels, kh, kw), (k * own, k, c, r, s), w.offset)
    turned = split.flipped((3, 4)).transposed((0, 2, 1, 3, 4))
    copy = lower.copy(turned, (3, 4, 2, 0, 1))
    shape = (groups * channels, own, kh, kw)
    return View(copy.buffer, shape, dense_strides(shape, FILTERS))


def conv2d_weight(lower: Lowering, node: Node) -> None:
    x, g = (lower.image(t) for t in node.inputs)
    result = lower.new(node.output.shape, FILTERS)  # type: ignore[arg-type]
    lower.bind(node.output, result)
    if depthwise.suits(result.shape, node.attrs["groups"]):
        lower.combine(depthwise.weight_gradient(lower, x, g, node), result)
        return
    problem, way = decide(lower, node)
    if way in WINOGRAD:
        in_parts = way is ConvAlgorithm.WINOGRAD_FUSED
        winograd.weight_gradient(lower, x, g, problem.geometry, result, in_parts, problem.macs)
    elif way is ConvAlgorithm.IMPLICIT_GEMM:
        lower.combine(packed.weight_gradient(lower, x, g, problem.geometry, problem.macs), result)
    else:
        _direct_weight(lower, x, g, problem.geometry, result, problem.macs)


def _direct_weight(lower: Lowering, x: View, g: View, geometry: Geometry, result: View, macs: int) -> None:
    """Some images at a time, each with a partial sum of its own where that takes little memory."""
    count = x.shape[0]
    chunks = min(-(-count // lower.chunk), max(4, PARTIAL // result.size))
    images = -(-count // chunks)
    chunks = -(-count // images)
    partial = View(Buffer(chunks * result.size, "f32", "temporary"), (chunks, result.size), (result.size, 1))
    spec = Conv2dWeight(geometry.window, geometry.filters, geometry.out[1], geometry.padded)
    scratch = geometry.height * geometry.needed * geometry.window.pixel if geometry.padded else 0
    sizes = [count, geometry.height, geometry.width, geometry.out[0], *geometry.down, images]
    target = partial if chunks > 1 else result
    if images == lower.chunk and count == lower.batch:
        lower.per_chunk(spec, [x, g, target, *sizes], [x, g], [target], scratch=scratch, macs=macs)
    else:
        lower.free(spec, [x, g, target, *sizes], [x, g], [target], chunks, scratch, macs)
    if chunks > 1:
        lower.combine(partial, result)


ANCHORED = {"conv2d": conv2d, "conv_transpose2d": conv_transpose2d}
RULES = {"conv2d_weight": conv2d_weight}

"""Depthwise convolutions, forward and backward: one kernel for each channel."""

from __future__ import annotations

from math import prod

from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.fusion import FusionGroup
from opsin.compiler.lower.context import Lowering, ViewAndCalls
from opsin.compiler.lower.pointwise import bind_epilogue, draft_epilogue
from opsin.compiler.views import FILTERS, Destinations, View, channels_last, row_major
from opsin.ir import Node, Tensor
from opsin.kernels.depthwise import Depthwise
from opsin.kernels.depthwise_weight import DepthwiseWeight
from opsin.kernels.taps import Axis


def axes(node: Node, kernel: tuple[int, ...], transposed: bool = False) -> tuple[Axis, Axis]:
    """Return how the windows move by rows and by columns."""
    attrs = node.attrs
    moves = zip(kernel, attrs["stride"], attrs["dilation"], attrs["padding"], strict=True)
    rows, columns = (Axis(taps, stride, dilation, before, transposed) for taps, stride, dilation, (before, _) in moves)
    return rows, columns


def channel_block(lowering: Lowering, channels: int, taps: int) -> int | None:
    """Return the channels of a block; its weights stay in the L1 cache. None if those of all channels do."""
    costs = lowering.costs
    if taps * channels <= costs.depthwise_max_weights:
        return None
    multiple = costs.depthwise_block_multiple
    return max(1, costs.depthwise_block_weights // taps // multiple) * multiple


def convolve(
    lowering: Lowering, node: Node, group: FusionGroup, outputs: list[Tensor], destinations: Destinations
) -> list[KernelCall]:
    """Return the calls for `conv2d`, or for `conv_transpose2d`, which moves the same windows over its results."""
    x, x_copies = lowering.image(node.inputs[0])
    w, w_copies = lowering.dense(lowering.view(node.inputs[1]), FILTERS)
    epilogue = bind_epilogue(
        lowering, draft_epilogue(lowering, group), outputs, destinations, channels_last(4), channel=1
    )
    _, channels, height, width = x.shape
    out_height, out_width = epilogue.results[0].shape[2:]
    moves = axes(node, w.shape[2:], transposed=node.op.name == "conv_transpose2d")
    block = channel_block(lowering, channels, prod(w.shape[2:]))
    call = lowering.call(
        Depthwise(channels, height, out_height, *moves, block, epilogue.epilogue),
        pointers={"x": x, "w": w},
        words={"W": width, "OW": out_width},
        epilogue=epilogue.arguments,
        partition=Partition.PER_SAMPLE,
        blocks=out_width,
        reads=[x, *epilogue.per_sample],
        shared=[w, *epilogue.shared],
        writes=epilogue.results,
        macs=int(node.op.macs(node)),  # type: ignore[arg-type]
    )
    return [*x_copies, *w_copies, *epilogue.copies, call]


def weight_gradient(lowering: Lowering, x: View, g: View, node: Node) -> ViewAndCalls:
    """Return partial gradients, parts × elements, of dense views."""
    kernel = node.attrs["kernel"]
    count, channels, height, width = x.shape
    size = prod(kernel) * channels
    block = channel_block(lowering, channels, prod(kernel))
    parts = min(-(-count // lowering.chunk), max(4, lowering.costs.max_partial_elements // size))
    images = -(-count // parts)
    parts = -(-count // images)
    partial = lowering.new((parts, size), row_major(2))
    per_chunk = images == lowering.chunk and count == lowering.batch
    call = lowering.call(
        DepthwiseWeight(channels, height, g.shape[2], *axes(node, kernel), block),
        pointers={"x": x, "g": g, "partial": partial},
        words={"N": count, "W": width, "OW": g.shape[3], "images": images},
        partition=Partition.PER_CHUNK if per_chunk else Partition.ANY,
        blocks=parts,
        reads=[x, g],
        writes=[partial],
        macs=int(node.op.macs(node)),  # type: ignore[arg-type]
    )
    return partial, [call]

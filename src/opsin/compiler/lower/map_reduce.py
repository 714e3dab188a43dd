"""Sums by channel, taken in the sweep that computes what is summed; sums and variances in one pass."""

from __future__ import annotations

from math import prod

from opsin.compiler.calls import Argument, own_images
from opsin.compiler.fusion import FusionGroup
from opsin.compiler.lower.context import Lowering
from opsin.compiler.lower.geometry import PARALLEL
from opsin.compiler.lower.pointwise import draft, stream_kind
from opsin.compiler.views import View, channels_last, row_major
from opsin.ir import Node, Tensor
from opsin.kernels.map_reduce import MapReduceByChannel
from opsin.kernels.moments import MergeMoments, Moments


def lower_sums(lower: Lowering, cluster: FusionGroup, kept: list[Tensor]) -> None:
    """One sweep for what a cluster computes and the sums of it; what is kept of its nodes is stored."""
    made = draft(lower, cluster)
    order = channels_last(len(made.shape))
    ends = {node.output for node in cluster.sums}
    stored = [tensor for tensor in kept if tensor not in ends]
    taken = [node.inputs[0] for node in cluster.sums]
    summed = [made.number[t] if t in made.number else made.operand(t, lower.view(t)) for t in taken]
    expression = made.finish([*(made.number[t] for t in stored), *summed])
    kinds = [stream_kind(view, 1) for view in made.operands]
    operands = [lower.dense(v, order) if k == "same" else v for v, k in zip(made.operands, kinds, strict=True)]
    results = [lower.new(made.shape, order) for _ in stored]
    for tensor, view in zip(stored, results, strict=True):
        lower.bind(tensor, view)
    channels, pixels = made.shape[1], prod(made.shape) // made.shape[1]
    own = [view for view, kind in zip(operands, kinds, strict=True) if kind == "same"]
    shared = [view for view, kind in zip(operands, kinds, strict=True) if kind != "same"]
    by_chunk, parts, block = _parts(lower, [*own, *results], pixels)
    partials = [lower.new((parts, channels), row_major(2)) for _ in cluster.sums]
    spec = MapReduceByChannel(expression, tuple(kinds), len(stored), channels)
    arguments: list[Argument] = [*operands, *results, *partials, pixels, block]
    if by_chunk:
        lower.per_chunk(spec, arguments, own, [*results, *partials], shared)
    else:
        lower.free(spec, arguments, [*own, *shared], [*results, *partials], parts)
    for node, partial in zip(cluster.sums, partials, strict=True):
        result = lower.new(node.output.shape)  # type: ignore[arg-type]
        lower.combine(partial, result)
        lower.bind(node.output, result)


def _parts(lower: Lowering, views: list[View], pixels: int) -> tuple[bool, int, int]:
    """(whether the parts are the batch's chunks, parts, pixels of a part)."""
    if lower.batch % lower.chunk == 0 and lower.chunks > 1 and all(own_images(v, lower.batch) for v in views):
        return True, lower.chunks, pixels // lower.chunks
    block = -(-pixels // PARALLEL)
    return False, -(-pixels // block), block


def variance(lower: Lowering, node: Node, cluster: FusionGroup) -> None:
    """By channel, with the sums over the same axes."""
    (tensor,) = node.inputs
    x = lower.dense(lower.view(tensor), channels_last(len(tensor.shape)))
    channels, pixels = x.shape[1], x.size // x.shape[1]
    by_chunk, parts, block = _parts(lower, [x], pixels)
    partial = lower.new((parts, 2 * channels), row_major(2))
    spec, scratch = Moments(channels), 2 * channels
    if by_chunk:
        lower.per_chunk(spec, [x, partial, pixels, block], [x], [partial], scratch=scratch)
    else:
        lower.free(spec, [x, partial, pixels, block], [x], [partial], parts, scratch)
    sums, result = lower.new(node.output.shape), lower.new(node.output.shape)  # type: ignore[arg-type]
    merged = MergeMoments(channels)
    lower.free(merged, [partial, sums, result, pixels, block], [partial], [sums, result], 1, scratch)
    lower.bind(node.output, result)
    for total in cluster.sums:
        lower.bind(total.output, sums)

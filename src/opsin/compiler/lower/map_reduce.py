"""Sums by channel, taken in the sweep that computes the summands; sums and variances in one pass."""

from __future__ import annotations

from math import prod

from opsin.compiler.calls import KernelCall, Partition, is_per_sample
from opsin.compiler.fusion import FusionGroup
from opsin.compiler.lower.context import Lowering
from opsin.compiler.lower.pointwise import draft, stream_kind
from opsin.compiler.views import View, channels_last, row_major
from opsin.ir import Node, Tensor
from opsin.kernels.map_reduce import PIXEL_UNROLL, MapReduceByChannel
from opsin.kernels.moments import MergeMoments, Moments
from opsin.kernels.reduce import segment_elements


def lower_sums(lowering: Lowering, group: FusionGroup, outputs: list[Tensor]) -> list[KernelCall]:
    """Return the calls that compute `group` and its sums in one sweep, and store what is read of its nodes."""
    expression = draft(lowering, group)
    order = channels_last(len(expression.shape))
    sums = {node.output for node in group.sums}
    tensors = [tensor for tensor in outputs if tensor not in sums]
    numbers = [expression.number[t] for t in tensors]
    for node in group.sums:
        (summand,) = node.inputs
        if summand not in expression.number:
            expression.operand(summand, lowering.view(summand))
        numbers.append(expression.number[summand])
    final_expression = expression.finish(numbers)
    kinds = [stream_kind(view, 1) for view in expression.operands]
    operands, copies = [], []
    for view, kind in zip(expression.operands, kinds, strict=True):
        dense, calls = lowering.dense(view, order) if kind == "same" else (view, [])
        operands.append(dense)
        copies += calls
    results = [lowering.result(tensor, order) for tensor in tensors]
    for tensor, view in zip(tensors, results, strict=True):
        lowering.bind(tensor, view)
    channels, pixels = expression.shape[1], prod(expression.shape) // expression.shape[1]
    arrays = [view for view, kind in zip(operands, kinds, strict=True) if kind == "same"]
    partition, parts, block = _parts(lowering, [*arrays, *results], pixels)
    partials = [lowering.new((parts, channels), row_major(2)) for _ in group.sums]
    segment = segment_elements(block, PIXEL_UNROLL)
    sweep = lowering.call(
        MapReduceByChannel(final_expression, tuple(kinds), len(tensors), channels, segment is not None),
        pointers={"operands": operands, "results": results, "sums": partials},
        words={"pixels": pixels, "segment": [] if segment is None else [segment], "block": block},
        partition=partition,
        blocks=parts,
        reads=arrays,
        shared=[view for view, kind in zip(operands, kinds, strict=True) if kind != "same"],
        writes=[*results, *partials],
        scratch=0 if segment is None else 2 * len(partials) * channels,
    )
    return [*copies, sweep, *(_combined(lowering, *pair) for pair in zip(group.sums, partials, strict=True))]


def _combined(lowering: Lowering, node: Node, partial: View) -> KernelCall:
    """Return the call that adds the partial sums of `node`."""
    result = lowering.result(node.output)
    lowering.bind(node.output, result)
    return lowering.combine(partial, result)


def _parts(lowering: Lowering, views: list[View], pixels: int) -> tuple[Partition, int, int]:
    """Return (the partition, parts, pixels of a part): the parts are the batch's chunks if all views allow that."""
    by_chunk = lowering.batch % lowering.chunk == 0 and lowering.chunks > 1
    if by_chunk and all(is_per_sample(v, lowering.batch) for v in views):
        return Partition.PER_CHUNK, lowering.chunks, pixels // lowering.chunks
    block = -(-pixels // lowering.costs.min_blocks)
    return Partition.ANY, -(-pixels // block), block


def variance(lowering: Lowering, node: Node, group: FusionGroup) -> list[KernelCall]:
    """Return the calls that compute a variance by channel, with the sums over the same axes."""
    (tensor,) = node.inputs
    x, copies = lowering.dense(lowering.view(tensor), channels_last(len(tensor.shape)))
    channels, pixels = x.shape[1], x.size // x.shape[1]
    partition, parts, block = _parts(lowering, [x], pixels)
    partial = lowering.new((parts, 2 * channels), row_major(2))
    words = {"pixels": pixels, "block": block}
    moments = lowering.call(
        Moments(channels),
        pointers={"x": x, "partial": partial},
        words=words,
        partition=partition,
        blocks=parts,
        reads=[x],
        writes=[partial],
        scratch=2 * channels,
    )
    sums, variances = lowering.result(node.output), lowering.result(node.output)
    merge = lowering.call(
        MergeMoments(channels),
        pointers={"partial": partial, "sums": sums, "variances": variances},
        words=words,
        reads=[partial],
        writes=[sums, variances],
        scratch=2 * channels,
    )
    lowering.bind(node.output, variances)
    for total in group.sums:
        lowering.bind(total.output, sums)
    return [*copies, moments, merge]

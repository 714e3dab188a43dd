"""From fusion groups to calls of kernels: a rule for each operation."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from opsin.base.errors import CompileError
from opsin.compiler.calls import KernelCall
from opsin.compiler.fusion import ANCHORS, FusionGroup
from opsin.compiler.lower import conv, ctc, gather, layout, map_reduce, matmul, pool, quantized, reduce
from opsin.compiler.lower.context import Lowering
from opsin.compiler.lower.pointwise import lower_pointwise
from opsin.compiler.views import Destinations
from opsin.ir import Graph, Node, Tensor

RULES = layout.RULES | pool.RULES | reduce.RULES | conv.RULES | quantized.RULES | gather.RULES | ctc.RULES
ANCHORED = conv.ANCHORED | matmul.ANCHORED | quantized.ANCHORED | gather.ANCHORED

assert ANCHORED.keys() == ANCHORS


def lower_group(
    lowering: Lowering,
    graph: Graph,
    group: FusionGroup,
    roots: Collection[Tensor],
    destinations: Destinations,
    passes: Mapping[Node, str],
) -> list[KernelCall]:
    """Return the calls that compute `group`, described by its layer, operation and pass.

    Results that other groups read, or that are among the graph's `roots`, are stored, at `destinations` if they have
    one there.
    """
    node = group.anchor or (group.nodes or group.sums)[-1]
    last = group.anchor or [*group][-1]
    outputs = _stored(graph, group, roots)
    calls = _lowered(lowering, node, group, outputs, destinations)
    selection = lowering.selections.get(node)
    fused_names = tuple(dict.fromkeys([other.op.name for other in group.nodes if other is not last]))
    return [
        call.described(
            scope=node.scope,
            label=node.op.name,
            direction=passes[last],
            fused=fused_names if call is calls[-1] else (),
            tuned=selection is not None and selection.is_tuned,
        )
        for call in calls
    ]


def _stored(graph: Graph, group: FusionGroup, roots: Collection[Tensor]) -> list[Tensor]:
    """Return the results of `group` that other groups read, or that are roots."""
    nodes = [*group]
    members = set(nodes)
    return [
        tensor
        for node in nodes
        for tensor in node.outputs
        if tensor in roots or not members.issuperset(graph.users[tensor])
    ]


def _lowered(
    lowering: Lowering, node: Node, group: FusionGroup, outputs: list[Tensor], destinations: Destinations
) -> list[KernelCall]:
    """Return the calls of the rule for the operation of `node`, which represents `group`."""
    if node.op.name == "variance":
        return map_reduce.variance(lowering, node, group)
    if group.sums:
        return map_reduce.lower_sums(lowering, group, outputs)
    if group.anchor is None:
        return lower_pointwise(lowering, group, outputs, destinations)
    if node.op.name in ANCHORED:
        return ANCHORED[node.op.name](lowering, node, group, outputs, destinations)
    if node.op.name in RULES:
        return RULES[node.op.name](lowering, node)
    raise CompileError(f"there is no native kernel for '{node.op.name}'; run the graph on the reference engine")


__all__ = ["Lowering", "lower_group"]

"""From clusters of nodes to calls of kernels: a rule an operation."""

from __future__ import annotations

from opsin.base.errors import CompileError
from opsin.compiler.fusion import ANCHORS, FusionGroup
from opsin.compiler.lower import conv, layout, map_reduce, matmul, pool, reduce
from opsin.compiler.lower.context import Lowering
from opsin.compiler.lower.conv_algorithms import Choices, fixed
from opsin.compiler.lower.pointwise import lower_pointwise
from opsin.compiler.views import Places
from opsin.ir import Tensor

RULES = layout.RULES | pool.RULES | reduce.RULES | conv.RULES
ANCHORED = conv.ANCHORED | matmul.ANCHORED

assert ANCHORED.keys() == ANCHORS


def lower_cluster(lower: Lowering, cluster: FusionGroup, kept: list[Tensor], places: Places) -> None:
    """Adds the calls that compute `cluster` and binds its `kept` tensors to views, in `places` where given."""
    node = cluster.anchor or (cluster.nodes or cluster.sums)[-1]
    lower.scope, lower.label, lower.timed = node.scope, node.op.name, False
    if node.op.name == "variance":
        map_reduce.variance(lower, node, cluster)
    elif cluster.sums:
        map_reduce.lower_sums(lower, cluster, kept)
    elif cluster.anchor is None:
        lower_pointwise(lower, cluster, kept, places)
    elif node.op.name in ANCHORED:
        ANCHORED[node.op.name](lower, node, cluster, kept, places)
    elif node.op.name in RULES:
        RULES[node.op.name](lower, node)
    else:
        raise CompileError(f"there is no native kernel for '{node.op.name}'; run it on the reference engine")


__all__ = ["Choices", "Lowering", "fixed", "lower_cluster"]

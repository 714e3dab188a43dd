"""Rows of tables, and sums of rows by number."""

from __future__ import annotations

from opsin.compiler.calls import KernelCall, Partition, is_per_sample
from opsin.compiler.fusion import FusionGroup
from opsin.compiler.lower.context import Lowering, ViewAndCalls
from opsin.compiler.lower.pointwise import bind_epilogue, draft_epilogue
from opsin.compiler.views import Destinations, row_major
from opsin.ir import Node, Tensor
from opsin.kernels.gather import Gather, ScatterAdd


def gather(lowering: Lowering, node: Node) -> list[KernelCall]:
    table, table_copies = dense(lowering, node.inputs[0])
    indices, copies = dense(lowering, node.inputs[1])
    result = lowering.new(node.output.shape, row_major(node.output.rank))  # type: ignore[arg-type]
    lowering.bind(node.output, result)
    per_sample = is_per_sample(indices, lowering.batch) and is_per_sample(result, lowering.batch)
    divisor = lowering.batch if per_sample else lowering.costs.min_blocks
    block = max(1, -(-indices.size // divisor))
    call = lowering.call(
        Gather(table.shape[1]),
        pointers={"table": table, "indices": indices, "y": result},
        words={"count": indices.size, "rows": table.shape[0], "block": block},
        partition=Partition.PER_SAMPLE if per_sample else Partition.ANY,
        blocks=1 if per_sample else -(-indices.size // block),
        reads=[indices],
        shared=[table],
        writes=[result],
    )
    return [*table_copies, *copies, call]


def scatter_add(
    lowering: Lowering, node: Node, group: FusionGroup, outputs: list[Tensor], destinations: Destinations
) -> list[KernelCall]:
    """Return the call that adds rows, some results at a time: as many as stay in the cache of a core."""
    (indices, copies), (g, g_copies) = (dense(lowering, t) for t in node.inputs)
    rows, features = node.output.shape
    assert isinstance(rows, int) and isinstance(features, int)
    epilogue = bind_epilogue(lowering, draft_epilogue(lowering, group), outputs, destinations, (0, 1), 1)
    costs = lowering.costs
    block = max(1, min(costs.scatter_block // max(features, 1), -(-rows // costs.min_blocks)))
    call = lowering.call(
        ScatterAdd(features, epilogue.epilogue),
        pointers={"indices": indices, "g": g},
        words={"count": indices.size, "rows": rows, "block": block},
        epilogue=epilogue.arguments,
        blocks=-(-rows // block),
        reads=[indices, g, *epilogue.per_sample, *epilogue.shared],
        writes=epilogue.results,
        scratch=block * features,
    )
    return [*copies, *g_copies, *epilogue.copies, call]


def dense(lowering: Lowering, tensor: Tensor) -> ViewAndCalls:
    """Return `tensor` in row-major order and float32, if it has real numbers."""
    view, widening = lowering.wide(lowering.view(tensor))
    dense, copies = lowering.dense(view, row_major(tensor.rank))
    return dense, [*widening, *copies]


RULES = {"gather": gather}
ANCHORED = {"scatter_add": scatter_add}

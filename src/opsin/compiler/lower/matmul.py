"""Matrix products."""

from __future__ import annotations

from opsin.compiler.calls import KernelCall, Partition, is_per_sample
from opsin.compiler.fusion import FusionGroup
from opsin.compiler.lower.context import Lowering
from opsin.compiler.lower.pointwise import Draft, LoweredEpilogue, bind_epilogue, draft_epilogue
from opsin.compiler.views import Destinations, View, row_major
from opsin.ir import Node, Tensor
from opsin.kernels.matmul import MatMul
from opsin.kernels.matmul_wide import MatMulWide
from opsin.kernels.tile import max_rows


def matmul(
    lowering: Lowering, node: Node, group: FusionGroup, outputs: list[Tensor], destinations: Destinations
) -> list[KernelCall]:
    (a, a_copies), (b, b_copies) = (lowering.wide(lowering.view(t)) for t in node.inputs)
    if node.attrs["transpose_a"]:
        a = a.transposed((1, 0))
    if node.attrs["transpose_b"]:
        b = b.transposed((1, 0))
    expression = draft_epilogue(lowering, group)
    by_columns = _wants_columns(expression)
    if by_columns:
        # (a · b)ᵀ = bᵀ · aᵀ gives the result the order of the operands that it is combined with.
        a, b = b.transposed((1, 0)), a.transposed((1, 0))
    costs = lowering.costs
    is_wide = a.shape[0] <= costs.matmul_wide_max_rows and b.size >= costs.matmul_wide_min_elements
    if (1 not in a.strides or 0 in a.strides) or (is_wide and a.strides[1] != 1):
        a, copies = lowering.copy(a, row_major(2))
        a_copies = [*a_copies, *copies]
    if b.strides[1] != 1 and not (is_wide and b.strides[0] == 1):
        b, copies = lowering.copy(b, row_major(2))
        b_copies = [*b_copies, *copies]
    order, channel = ((1, 0), 0) if by_columns else ((0, 1), 1)
    epilogue = bind_epilogue(lowering, expression, outputs, destinations, order, channel)
    product = _wide(lowering, a, b, epilogue) if is_wide else _blocked(lowering, a, b, epilogue)
    return [*a_copies, *b_copies, *epilogue.copies, product]


def _blocked(lowering: Lowering, a: View, b: View, epilogue: LoweredEpilogue) -> KernelCall:
    """Return a product in blocks of rows: the rows of a chunk if both sides follow the batch."""
    (m, depth), n = a.shape, b.shape[1]
    per_chunk = is_per_sample(a, lowering.batch) and is_per_sample(epilogue.results[0], lowering.batch)
    rows = lowering.chunk if per_chunk else min(m, 2 * max_rows(n, lowering.target))
    return lowering.call(
        MatMul(n, rows, a.strides[0] if a.strides[1] == 1 else None, epilogue.epilogue),
        pointers={"a": a, "b": b},
        words={"m": m, "k": depth, "a_step": a.strides[1], "b_row": b.strides[0]},
        epilogue=epilogue.arguments,
        partition=Partition.PER_CHUNK if per_chunk else Partition.ANY,
        blocks=-(-m // rows),
        reads=[a, *epilogue.per_sample] if per_chunk else [a, b, *epilogue.per_sample],
        shared=[b, *epilogue.shared] if per_chunk else epilogue.shared,
        writes=epilogue.results,
        macs=m * depth * n,
    )


def _wide(lowering: Lowering, a: View, b: View, epilogue: LoweredEpilogue) -> KernelCall:
    """Return a product that reads its right operand once, in stripes."""
    (m, depth), n, costs = a.shape, b.shape[1], lowering.costs
    two_vectors = 2 * lowering.target.lanes
    row_blocks = -(-m // costs.matmul_wide_max_block_rows)
    rows = -(-m // row_blocks)
    is_transposed, has_few_rows = b.strides[1] != 1, rows <= costs.matmul_wide_max_unpacked_rows
    # With few rows, little but the right operand is read, which is faster in longer runs.
    stripes, max_width = costs.min_long_blocks, costs.matmul_wide_max_stripe
    if has_few_rows:
        stripes, max_width = costs.min_blocks // 2, 2 * max_width
    width = min(max_width, -(-n // (stripes * two_vectors)) * two_vectors)
    spec = MatMulWide(
        n,
        rows,
        width,
        is_transposed,
        packed=is_transposed or not has_few_rows,
        depth=costs.matmul_wide_depth,
        unroll=costs.matmul_wide_unroll,
        epilogue=epilogue.epilogue,
    )
    return lowering.call(
        spec,
        pointers={"a": a, "b": b},
        words={"m": m, "k": depth, "a_row": a.strides[0], "b_step": b.strides[1 if is_transposed else 0]},
        epilogue=epilogue.arguments,
        blocks=row_blocks * -(-n // width),
        reads=[a, b, *epilogue.per_sample, *epilogue.shared],
        writes=epilogue.results,
        scratch=spec.scratch(),
        macs=m * depth * n,
    )


def _wants_columns(expression: Draft) -> bool:
    """Whether full-size operands of the epilogue are dense by columns and none by rows."""
    full_operands = [
        v for v in expression.operands[1:] if all(s != 0 for s, n in zip(v.strides, v.shape, strict=True) if n > 1)
    ]
    return any(v.is_dense((1, 0)) for v in full_operands) and not any(v.is_dense((0, 1)) for v in full_operands)


ANCHORED = {"matmul": matmul}

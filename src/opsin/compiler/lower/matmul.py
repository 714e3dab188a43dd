"""Matrix products."""

from __future__ import annotations

from opsin.compiler.calls import KernelCall, Partition, is_per_sample
from opsin.compiler.fusion import FusionGroup
from opsin.compiler.lower.context import Lowering
from opsin.compiler.lower.geometry import MIN_BLOCKS
from opsin.compiler.lower.pointwise import Draft, LoweredEpilogue, bind_epilogue, draft_epilogue
from opsin.compiler.views import Destinations, View, row_major
from opsin.ir import Node, Tensor
from opsin.kernels.matmul import MatMul
from opsin.kernels.matmul_wide import MAX_UNPACKED_ROWS, MatMulWide
from opsin.kernels.tile import max_rows

MIN_WIDE_ELEMENTS = 2**17
"""Elements of a right operand from which on no cache of a core holds it, so that it should be read only once."""
MAX_WIDE_ROWS = 256
"""Rows of the left operand up to which the right one is large compared with it."""
MAX_STRIPE = 256
"""Most columns of a block's stripe."""
MAX_BLOCK_ROWS = 64
"""Most rows of a block's sums."""


def matmul(
    lowering: Lowering, node: Node, group: FusionGroup, stored: list[Tensor], destinations: Destinations
) -> list[KernelCall]:
    a, b = (lowering.view(t) for t in node.inputs)
    if node.attrs["transpose_a"]:
        a = a.transposed((1, 0))
    if node.attrs["transpose_b"]:
        b = b.transposed((1, 0))
    expression = draft_epilogue(lowering, group)
    by_columns = _wants_columns(expression)
    if by_columns:
        # (a · b)ᵀ = bᵀ · aᵀ gives the result the order of the operands that it is combined with.
        a, b = b.transposed((1, 0)), a.transposed((1, 0))
    is_wide = a.shape[0] <= MAX_WIDE_ROWS and b.size >= MIN_WIDE_ELEMENTS
    a_copies: list[KernelCall] = []
    b_copies: list[KernelCall] = []
    if (1 not in a.strides or 0 in a.strides) or (is_wide and a.strides[1] != 1):
        a, a_copies = lowering.copy(a, row_major(2))
    if b.strides[1] != 1 and not (is_wide and b.strides[0] == 1):
        b, b_copies = lowering.copy(b, row_major(2))
    order, channel = ((1, 0), 0) if by_columns else ((0, 1), 1)
    epilogue = bind_epilogue(lowering, expression, stored, destinations, order, channel)
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
    (m, depth), n = a.shape, b.shape[1]
    two_vectors = 2 * lowering.target.lanes
    # A single row reads only the right operand, which is faster in longer runs.
    stripes, max_width = (MIN_BLOCKS, MAX_STRIPE) if m > MAX_UNPACKED_ROWS else (MIN_BLOCKS // 2, 2 * MAX_STRIPE)
    width = min(max_width, -(-n // (stripes * two_vectors)) * two_vectors)
    row_blocks = -(-m // MAX_BLOCK_ROWS)
    is_transposed = b.strides[1] != 1
    spec = MatMulWide(n, -(-m // row_blocks), width, is_transposed, epilogue.epilogue)
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
    full = [v for v in expression.operands[1:] if all(s != 0 for s, n in zip(v.strides, v.shape, strict=True) if n > 1)]
    return any(v.is_dense((1, 0)) for v in full) and not any(v.is_dense((0, 1)) for v in full)


ANCHORED = {"matmul": matmul}

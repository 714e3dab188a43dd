"""Matrix products."""

from __future__ import annotations

from opsin.compiler.calls import Argument, own_images
from opsin.compiler.fusion import FusionGroup
from opsin.compiler.lower.context import Lowering
from opsin.compiler.lower.geometry import PARALLEL
from opsin.compiler.lower.pointwise import BoundTail, Draft, bind_epilogue, draft_epilogue
from opsin.compiler.views import Places, View, row_major
from opsin.ir import Node, Tensor
from opsin.kernels.matmul import MatMul
from opsin.kernels.matmul_wide import MAX_UNPACKED_ROWS, MatMulWide
from opsin.kernels.tile import max_rows

LARGE = 2**17
"""Elements of a right operand that no cache of a core holds, so that it should be read once."""
FEW = 256
"""Rows up to which that operand is large beside the left one."""
STRIPE = 256
"""Most columns of a block's stripe."""
ROWS = 64
"""Most rows of a block's sums."""


def matmul(lower: Lowering, node: Node, cluster: FusionGroup, kept: list[Tensor], places: Places) -> None:
    a, b = (lower.view(t) for t in node.inputs)
    if node.attrs["transpose_a"]:
        a = a.transposed((1, 0))
    if node.attrs["transpose_b"]:
        b = b.transposed((1, 0))
    made = draft_epilogue(lower, cluster)
    turned = _wants_columns(made)
    if turned:
        # (a · b)ᵀ = bᵀ · aᵀ, so that the result lies as what it is combined with.
        a, b = b.transposed((1, 0)), a.transposed((1, 0))
    wide = a.shape[0] <= FEW and b.size >= LARGE
    if (1 not in a.strides or 0 in a.strides) or (wide and a.strides[1] != 1):
        a = lower.copy(a, row_major(2))
    if b.strides[1] != 1 and not (wide and b.strides[0] == 1):
        b = lower.copy(b, row_major(2))
    order, channel = ((1, 0), 0) if turned else ((0, 1), 1)
    tail = bind_epilogue(lower, made, kept, places, order, channel)
    (m, depth), n = a.shape, b.shape[1]
    if wide:
        _wide(lower, a, b, tail, m * depth * n)
        return
    by_image = own_images(a, lower.batch) and own_images(tail.results[0], lower.batch)
    rows = lower.chunk if by_image else min(m, 2 * max_rows(n, lower.target))
    across = a.strides[1] == 1
    spec = MatMul(n, rows, a.strides[0] if across else None, tail.epilogue)
    arguments: list[Argument] = [a, b, m, depth, a.strides[1], b.strides[0], *tail.arguments]
    macs = m * depth * n
    if by_image:
        lower.per_chunk(spec, arguments, [a, *tail.own], tail.results, [b, *tail.shared], macs=macs)
    else:
        reads = [a, b, *tail.own, *tail.shared]
        lower.free(spec, arguments, reads, tail.results, -(-m // rows), macs=macs)


def _wide(lower: Lowering, a: View, b: View, tail: BoundTail, macs: int) -> None:
    """A product whose right operand is read once, in stripes."""
    (m, depth), n = a.shape, b.shape[1]
    pair = 2 * lower.target.lanes
    # Longer runs for what is just read.
    stripes, most = (PARALLEL, STRIPE) if m > MAX_UNPACKED_ROWS else (PARALLEL // 2, 2 * STRIPE)
    width = min(most, -(-n // (stripes * pair)) * pair)
    groups = -(-m // ROWS)
    rows = -(-m // groups)
    turned = b.strides[1] != 1
    spec = MatMulWide(n, rows, width, turned, tail.epilogue)
    arguments: list[Argument] = [a, b, m, depth, a.strides[0], b.strides[1 if turned else 0], *tail.arguments]
    reads = [a, b, *tail.own, *tail.shared]
    lower.free(spec, arguments, reads, tail.results, groups * -(-n // width), spec.scratch(), macs)


def _wants_columns(made: Draft) -> bool:
    """Whether full-size operands of the epilogue lie by columns and none by rows."""
    full = [v for v in made.operands[1:] if all(s != 0 for s, n in zip(v.strides, v.shape, strict=True) if n > 1)]
    return any(v.is_dense((1, 0)) for v in full) and not any(v.is_dense((0, 1)) for v in full)


ANCHORED = {"matmul": matmul}

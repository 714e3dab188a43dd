"""In which order the engine may add the terms of a weight's gradient: one order for each of its kernels.

The kernels are those of `opsin.kernels`: `Conv2dWeight` (direct), `ConvWeightTaps` (a matrix product of blocks of
pixels), `DepthwiseWeight`, and the sum over a channel. Which of them was chosen is found by comparing sums.
"""

from __future__ import annotations

from opsin.compiler.cost_model import EPYC_ZEN3
from opsin.explain.backpropagation.sums import ROW_BY_ROW, GradientOrder
from opsin.explain.backpropagation.uses import CONV, SCALE, SHIFT, TRANSPOSED, Use
from opsin.kernels.summation import Summation
from opsin.kernels.tile import row_ranges

DEPTHWISE_ROWS = 4
"""Rows of the output in a tile of the depthwise kernel."""


def candidates(use: Use, rows: int, columns: int, summation: Summation | None) -> list[GradientOrder]:
    """Return the orders in which δ of rows × columns may be added, the most likely first.

    `summation` is what the plan says of the sum, if it does (`arithmetic.orders`).
    """
    if use.kind == SCALE:
        return []  # the engine adds δ · x and δ apart
    if use.kind == SHIFT and summation and summation.lanes == 1:
        return [_of_shift(summation)]
    if use.kind not in (CONV, TRANSPOSED):
        return [ROW_BY_ROW]
    weight, groups = use.node.inputs[1], use.node.attrs["groups"]
    filters = int(str(weight.shape[0]))
    if weight.shape[1] == 1 and groups > 1:
        starts = _starts([size for tiles, size in row_ranges(rows, DEPTHWISE_ROWS) for _ in range(tiles)])
        tiles = GradientOrder("in tiles of a few rows, column by column", starts, columns_first=True)
        return [tiles]
    block = max(1, EPYC_ZEN3.direct_gradient_block // (columns * filters))
    starts, split = tuple(range(0, rows, block)), f", in blocks of {block} rows" if block < rows else ""
    return [
        GradientOrder(f"row by row{split}", starts),
        GradientOrder(f"row by row{split}, even and odd columns in two sums", starts, sets=2),
        GradientOrder(f"row by row, in blocks of {EPYC_ZEN3.wgrad_depth} terms", block=EPYC_ZEN3.wgrad_depth),
    ]


def _of_shift(summation: Summation) -> GradientOrder:
    segment, unroll = summation.segment or 0, summation.unroll
    words = f"row by row, in blocks of {segment} terms" if segment else "row by row"
    if unroll > 1:
        words += f", {unroll} at a time"
    return GradientOrder(words, segment=segment, unroll=unroll)


def _starts(sizes: list[int]) -> tuple[int, ...]:
    return tuple(sum(sizes[:number]) for number in range(len(sizes)))

"""Matrix products of bfloat16 in tile registers (AMX): blocks of 16 or 32 rows × 32 columns.

A tile of the left operand is 16 rows of 16 pairs, which are adjacent in a row. A tile of the right operand is 16 pairs
of 16 columns, as they are in the panels of `PackPanels`. Four sums stay in tile registers, because the result of an
instruction is available much later than the next one can start.
"""

from __future__ import annotations

from collections.abc import Callable

from opsin.kernels.ir import TILE_ROWS, Builder, Operand, Pointer, Target, Value

TILE_PAIRS = 2 * TILE_ROWS
"""The numbers in a row of a tile of bfloat16: a multiple of this is multiplied."""
COLUMNS = 2 * TILE_ROWS
"""The columns of a block."""
BLOCK_ROWS = 2 * TILE_ROWS
SUMS = BLOCK_ROWS * COLUMNS
"""The words of memory for the sums of a block."""
LEFT, RIGHT = 4, 6
"""The tile registers of the operands; those before hold the sums."""


def fills_tiles(depth: int, target: Target) -> bool:
    """Whether products that sum over `depth` bfloat16 are computed in tile registers of `target`."""
    return target.tiles and depth > 0 and depth % TILE_PAIRS == 0


def multiply_block(
    k: Builder, left: Callable[[int, Value], tuple[Pointer, Operand]], left_row: Operand, right: Pointer,
    steps: Operand, sums: Pointer, groups: int,
) -> None:  # fmt: skip
    """Write the product of `groups` × 16 rows and 32 columns to `sums`, rows of 32.

    `left(g, step)` is the place of the tile of row group g, whose rows are `left_row` words apart; `right` is a panel,
    and `steps` the number of tiles along the sum.
    """
    for number in range(2 * groups):
        k.tile_zero(number)
    with k.loop(0, steps) as step:
        for half in (0, 1):
            k.tile_load(RIGHT + half, right, step * (TILE_ROWS * COLUMNS) + half * TILE_ROWS, COLUMNS)
        for group in range(groups):
            k.tile_load(LEFT + group, *left(group, step), left_row)
            for half in (0, 1):
                k.tile_dot(2 * group + half, LEFT + group, RIGHT + half)
    for number in range(2 * groups):
        k.tile_store(number, sums, number // 2 * (TILE_ROWS * COLUMNS) + number % 2 * TILE_ROWS, COLUMNS)

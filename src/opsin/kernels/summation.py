"""The order in which a kernel adds the terms of a result, as plain data.

Sums of floating-point numbers depend on it. To explain a result number by number, `explain.arithmetic` adds in the same
order, so each kernel that adds describes its own (`KernelSpec.summation`).
"""

from __future__ import annotations

from dataclasses import dataclass

ROW, COLUMN, CHANNEL, DEPTH = "row", "column", "channel", "depth"
"""The axes of a sum: rows and columns of a window, the channels of a group, and the one axis of a matrix product."""
NEIGHBOURS, HALVES = "neighbours", "halves"
"""How lanes are added at the end, until one is left: 0 + 1, 2 + 3, …; or the first half and the second half."""


@dataclass(frozen=True)
class Summation:
    """How a kernel adds the terms of one result; every partial sum starts from zero.

    `axes` are the loops over the terms, outermost first; they are empty if the layout of the operand decides. Terms
    outside the image are zero, or left out; the sum is bit-identical.

    The terms are dealt in turn to `lanes` partial sums, which are added at the end as `fold` says. The lanes begin
    again with every `row` terms (None: only once). Terms that do not fill all lanes have a separate sum, which is added
    last.

    If there is a `segment`, so many terms are summed at a time, and these sums are added in order. `unroll` terms are
    added to each other first, and then to the sum; those at the end of a segment one by one. Kernels with lanes have
    neither. `weighted`: the sum of each segment is multiplied by a weight of its own when it is added.

    Windows are read in the order of the image, except along the axes `descending`.
    """

    axes: tuple[str, ...] = ()
    lanes: int = 1
    fold: str = NEIGHBOURS
    row: int | None = None
    segment: int | None = None
    unroll: int = 1
    weighted: bool = False
    descending: tuple[str, ...] = ()

"""The transforms of Winograd's F(4×4, 3×3), applied to one row at a time.

The matrices are those of A. Lavin & S. Gray, "Fast Algorithms for Convolutional Neural Networks" (2016), with common
subexpressions eliminated. `both_axes` applies a transform to the columns and then the rows of a tile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from opsin.kernels.ir import Value

STEP, SIDE = 4, 6
"""Outputs and inputs of a tile along each axis."""
POINTS = SIDE * SIDE
"""Points of a transformed tile, each of which has its own matrix product."""


def input_row(d: Sequence[Value]) -> list[Value]:
    """Return Bᵀ times a vector of six inputs: six points."""
    k = d[0].builder
    even, odd = k.fma(k.constant(-4.0, d[2].kind), d[2], d[4]), k.fma(k.constant(-4.0, d[1].kind), d[1], d[3])
    outer_difference, inner_difference = d[4] - d[2], (d[3] - d[1]) * 2.0
    return [
        k.fma(k.constant(4.0, d[0].kind), d[0], k.fma(k.constant(-5.0, d[2].kind), d[2], d[4])),
        even + odd,
        even - odd,
        outer_difference + inner_difference,
        outer_difference - inner_difference,
        k.fma(k.constant(4.0, d[1].kind), d[1], k.fma(k.constant(-5.0, d[3].kind), d[3], d[5])),
    ]


def output_row(m: Sequence[Value]) -> list[Value]:
    """Return Aᵀ times a vector of six points: four outputs."""
    k = m[0].builder
    a, b, c, d = m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]

    def scaled(factor: float, value: Value, addend: Value) -> Value:
        return k.fma(k.constant(factor, value.kind), value, addend)

    return [m[0] + a + c, scaled(2.0, d, b), scaled(4.0, c, a), scaled(8.0, d, b) + m[5]]


def filter_row(g: Sequence[Value]) -> list[Value]:
    """Return G times a vector of three weights: six points."""
    ends, sides = (g[0] + g[2]) * (-1 / 6), g[1] * (1 / 6)
    outer, middle = g[0] * (1 / 24) + g[2] * (1 / 6), g[1] * (1 / 12)
    return [g[0] * 0.25, ends - sides, ends + sides, outer + middle, outer - middle, g[2]]


def gradient_row(y: Sequence[Value]) -> list[Value]:
    """Return A times a vector of four gradients: six points. It is the transpose of `output_row`."""
    a, b = y[0] + y[2], y[1] + y[3]
    c, d = y[0] + y[2] * 4.0, (y[1] + y[3] * 4.0) * 2.0
    return [y[0], a + b, a - b, c + d, c - d, y[3]]


def filter_gradient_row(u: Sequence[Value]) -> list[Value]:
    """Return Gᵀ times a vector of six points: three taps. It is the transpose of `filter_row`."""
    inner, outer = u[1] + u[2], u[3] + u[4]
    return [
        u[0] * 0.25 - inner * (1 / 6) + outer * (1 / 24),
        (u[2] - u[1]) * (1 / 6) + (u[3] - u[4]) * (1 / 12),
        (outer - inner) * (1 / 6) + u[5],
    ]


def both_axes(
    rows: int, columns: int, read: Callable[[int, int], Value], transform: Callable[[Sequence[Value]], list[Value]]
) -> list[list[Value]]:
    """Apply `transform` to every column of a `rows` × `columns` tile, and then to every row."""
    down = [transform([read(i, j) for i in range(rows)]) for j in range(columns)]
    return [transform([down[j][i] for j in range(columns)]) for i in range(len(down[0]))]

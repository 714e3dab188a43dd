"""Sums of products in float32, in the orders in which the engine's kernels add them.

The kernels multiply and add in one step with one rounding (fused multiply-add), and flush numbers below 2⁻¹²⁶ to zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SMALLEST = np.float32(2.0**-126)


def multiply_add(a: Floats, b: Floats, c: Floats, fused: bool = True) -> Floats:
    """Return a · b + c, rounded once, as arrays that broadcast together; unless `fused`, the product is rounded, too.

    The product is exact in float64. The sum is rounded to odd there (Boldo & Melquiond 2008), so that the second
    rounding, to float32, is the only one that counts.
    """
    if not fused:
        return flushed(flushed(a * b) + c)
    product, addend = a.astype(np.float64) * b, c.astype(np.float64)
    total = np.asarray(product + addend)
    part = total - product
    error = (product - (total - part)) + (addend - part)
    bits = total.view(np.int64)
    step = np.where((error > 0) == (total > 0), 1, -1)
    odd = np.where((error != 0) & (bits % 2 == 0), bits + step, bits).view(np.float64)
    return flushed(odd.astype(np.float32))


def flushed(x: Floats) -> Floats:
    """Return `x` with zeros for numbers that are not normal."""
    return np.where(np.abs(x) < SMALLEST, np.copysign(np.float32(0), x), x).astype(np.float32)


@dataclass(frozen=True)
class Order:
    """An order of summation of rows × columns terms.

    The terms are added row by row, in blocks that begin at the rows `starts`, or in blocks of `block` terms of which
    none lies beyond the border of the map. The sums of the blocks are added one after another. Within a block, `sets`
    sums take turns along a row. With `columns_first` a block is passed column by column, and the sum goes on from block
    to block. If the multiply-adds are not `fused`, each product is rounded before it is added.
    """

    words: str
    starts: tuple[int, ...] = (0,)
    block: int = 0
    sets: int = 1
    columns_first: bool = False
    fused: bool = True

    def sequence(self, inside: NDArray[np.bool_]) -> list[list[list[int]]]:
        """Return for each block and each of its sums the numbers of the terms, in their order.

        `inside` (rows × columns) says which of them are products of a value of the map, and not of its border.
        """
        rows, columns = inside.shape
        if self.block:
            numbers = [int(n) for n in np.flatnonzero(inside)]
            return [[numbers[first : first + self.block]] for first in range(0, len(numbers), self.block)]
        grid = np.arange(rows * columns).reshape(rows, columns)
        ends = [*self.starts[1:], rows]
        blocks = [grid[first:last] for first, last in zip(self.starts, ends, strict=True)]
        if self.columns_first:
            return [[[int(n) for block in blocks for n in block.T.ravel()]]]
        whole = columns // self.sets * self.sets
        return [[self._set(block, number, whole) for number in range(self.sets)] for block in blocks]

    def _set(self, block: NDArray[np.int64], number: int, whole: int) -> list[int]:
        chosen = [*range(number, whole, self.sets), *(range(whole, block.shape[1]) if number == 0 else ())]
        return [int(n) for row in block for n in row[chosen]]


ROW_BY_ROW = Order("row by row")


def dot(a: Floats, b: Floats, order: Order, inside: NDArray[np.bool_] | None = None) -> Floats:
    """Return the sums of the products a · b over the last two axes (rows × columns) as a kernel adds them."""
    rows, columns = a.shape[-2:]
    left, right = (x.reshape(*x.shape[:-2], rows * columns) for x in np.broadcast_arrays(a, b))
    if order.starts == (0,) and order.sets == 1 and not order.block and np.all(right == 1):
        return flushed(np.cumsum(left, axis=-1, dtype=np.float32)[..., -1])
    total = np.zeros(left.shape[:-1], np.float32)
    for sums in order.sequence(np.ones((rows, columns), bool) if inside is None else inside):
        block: Floats | None = None
        for numbers in sums:
            part = np.zeros_like(total)
            for number in numbers:
                part = multiply_add(left[..., number], right[..., number], part, order.fused)
            block = part if block is None else flushed(block + part)
        total = total if block is None else flushed(total + block)
    return total

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


def multiply_add(a: Floats, b: Floats, c: Floats) -> Floats:
    """Return a · b + c, rounded once, as arrays that broadcast together.

    The product is exact in float64. The sum is rounded to odd there (Boldo & Melquiond 2008), so that the second
    rounding, to float32, is the only one that counts.
    """
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
    """An order of summation of N × rows × columns terms.

    The terms are added row by row, in blocks of `block` terms or of `rows` rows; the sums of the blocks are added one
    after another. Within a block, `sets` sums take turns along a row. With `columns_first` a block is passed column by
    column.
    """

    words: str
    rows: int = 0
    block: int = 0
    sets: int = 1
    columns_first: bool = False

    def sequence(self, rows: int, columns: int) -> list[list[list[int]]]:
        """Return for each block and each of its sums the numbers of the terms, in their order."""
        height = self.rows or rows
        numbers = np.arange(rows * columns).reshape(rows, columns)
        blocks = [numbers[first : first + height] for first in range(0, rows, height)]
        if self.block:
            flat = numbers.ravel()
            return [[list(flat[first : first + self.block])] for first in range(0, len(flat), self.block)]
        if self.columns_first:
            return [[[int(n) for block in blocks for n in block.T.ravel()]]]
        whole = columns // self.sets * self.sets
        return [[self._set(block, number, whole) for number in range(self.sets)] for block in blocks]

    def _set(self, block: NDArray[np.int64], number: int, whole: int) -> list[int]:
        chosen = [*range(number, whole, self.sets), *(range(whole, block.shape[1]) if number == 0 else ())]
        return [int(n) for row in block for n in row[chosen]]


ROW_BY_ROW = Order("row by row")
ORDERS = (
    ROW_BY_ROW,
    Order("row by row, even and odd columns in two sums", sets=2),
    Order("in blocks of four rows, column by column", rows=4, columns_first=True),
    Order("row by row, in blocks of 96 terms", block=96),
)
"""The orders of the engine's kernels for weight gradients: direct, depthwise, and as a matrix product."""


def dot(a: Floats, b: Floats, order: Order) -> Floats:
    """Return the sums of the products a · b over the last two axes (rows × columns) as a kernel adds them."""
    rows, columns = a.shape[-2:]
    flat = [x.reshape(*x.shape[:-2], rows * columns) for x in np.broadcast_arrays(a, b)]
    total: Floats | None = None
    for sums in order.sequence(rows, columns):
        parts = [_chain(flat[0], flat[1], numbers) for numbers in sums if numbers]
        block = parts[0]
        for part in parts[1:]:
            block = flushed(block + part)
        total = block if total is None else flushed(total + block)
    assert total is not None
    return total


def _chain(a: Floats, b: Floats, numbers: list[int]) -> Floats:
    total = np.zeros(a.shape[:-1], np.float32)
    for number in numbers:
        total = multiply_add(a[..., number], b[..., number], total)
    return total


def running(a: Floats, b: Floats, order: Order) -> tuple[Floats, Floats]:
    """Return the terms of one sum, rows × columns each of `a` and `b`, as running sums by number of the term.

    Element n of the first array is the sum in which term n was added, right after it; the second array is the number of
    that sum and of its block, for orders that need several.
    """
    rows, columns = a.shape
    flat_a, flat_b = a.ravel(), b.ravel()
    sums, owners = np.zeros(rows * columns, np.float32), np.zeros(rows * columns, np.int32)
    owner = 0
    for block in order.sequence(rows, columns):
        for numbers in block:
            total = np.float32(0)
            for number in numbers:
                total = multiply_add(flat_a[number], flat_b[number], np.float32(total))[()]
                sums[number], owners[number] = total, owner
            owner += 1
    return sums, owners


def matching_order(find: Callable[[Order], Floats], expected: Floats) -> Order | None:
    """Return the first order whose sums `find(order)` equal `expected` bit by bit; None if there is none."""
    for order in ORDERS:
        if np.array_equal(find(order).view(np.int32), expected.view(np.int32)):
            return order
    return None

"""Sums of products in float32, in the orders in which the engine's kernels for weight gradients add them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.explain.arithmetic.float32 import Floats, add, add_product, exact_products
from opsin.explain.arithmetic.sums import add_terms
from opsin.kernels.summation import Summation


@dataclass(frozen=True)
class GradientOrder:
    """An order of summation of rows × columns terms.

    The terms are added row by row, in blocks that begin at the rows `starts`, or in blocks of `block` terms of which
    none lies beyond the border of the map. The sums of the blocks are added one after another. Within a block, `sets`
    sums take the terms of a row in turn. With `columns_first` a block is read column by column, and one sum extends
    over all blocks. Unless `fused`, each product is rounded before it is added.

    Biases have terms without a factor: blocks of `segment` terms, of which `unroll` are added to each other before they
    are added to the sum (see `kernels.summation`).
    """

    words: str
    starts: tuple[int, ...] = (0,)
    block: int = 0
    sets: int = 1
    columns_first: bool = False
    fused: bool = True
    segment: int = 0
    unroll: int = 1

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


ROW_BY_ROW = GradientOrder("row by row")


def dot(a: Floats, b: Floats, order: GradientOrder, inside: NDArray[np.bool_] | None = None) -> Floats:
    """Return the sums of the products a · b over the last two axes (rows × columns) as a kernel adds them."""
    rows, columns = a.shape[-2:]
    left, right = (x.reshape(*x.shape[:-2], rows * columns) for x in np.broadcast_arrays(a, b))
    if order.segment or order.unroll > 1:
        summation = Summation(segment=order.segment or None, unroll=order.unroll)
        return add_terms(np.moveaxis(left, -1, 0), None, summation, order.fused).result
    products = np.moveaxis(exact_products(left, right, order.fused), -1, 0).copy()
    total = np.zeros(left.shape[:-1], np.float32)
    for sums in order.sequence(np.ones((rows, columns), bool) if inside is None else inside):
        block: Floats | None = None
        for numbers in sums:
            part = np.zeros_like(total)
            for number in numbers:
                part = add_product(products[number], part)
            block = part if block is None else add(block, part)
        total = total if block is None else add(total, block)
    return total

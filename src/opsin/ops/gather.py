"""Rows of a table by their numbers, and the gradient: a sum of rows for each number.

If `one_hot(indices)` is the matrix with a row of zeros and a 1 for each index, then `gather` is its product with the
table, and `scatter_add` the product of its transpose with the gradient. Each is the gradient of the other. An index
outside the table has no 1: its row is zero and it adds to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import INT, Node, Tensor, Type
from opsin.ops import sampling
from opsin.ops.registry import Array, Primitive, Sample, need_float, register


class Gather(Primitive):
    """table V × D, indices (whole numbers of any shape S) → S × D: row `index` of the table, 0 outside 0 … V-1."""

    name = "gather"

    def infer(self, table: Type, indices: Type) -> Type:
        need_float(self.name, table)
        _need_indices(self.name, indices)
        if len(table.shape) != 2:
            raise ShapeError(f"{self.name}: expected a table rows × features, got {table}")
        return Type((*indices.shape, table.shape[1]))

    def evaluate(self, table: Array, indices: Array) -> Array:
        is_inside = (indices >= 0) & (indices < len(table))
        rows = table[np.where(is_inside, indices, 0)] if len(table) else np.zeros((*indices.shape, table.shape[1]))
        return np.where(is_inside[..., None], rows, 0).astype(table.dtype)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        table, indices = node.inputs
        return _scatter_add(indices, g, rows=table.shape[0]).output, None

    def sample(self, rng: np.random.Generator) -> Sample:
        rows, features, indices = _sample(rng)
        return Sample((sampling.normal(rng, (rows, features)), indices), {}, (0,))


class ScatterAdd(Primitive):
    """indices of any shape S, g S × D → `rows` × D: the sum of the rows of g with each index, in their order.

    Rows of g whose index is outside 0 … rows-1 are left out.
    """

    name = "scatter_add"

    def infer(self, indices: Type, g: Type, *, rows: int) -> Type:
        need_float(self.name, g)
        _need_indices(self.name, indices)
        if not g.shape or g.shape[:-1] != indices.shape:
            raise ShapeError(f"{self.name}: expected a row of features for each of the indices {indices}, got {g}")
        return Type((rows, g.shape[-1]))

    def evaluate(self, indices: Array, g: Array, *, rows: int) -> Array:
        result = np.zeros((rows, g.shape[-1]), g.dtype)
        is_inside = (indices >= 0) & (indices < rows)
        np.add.at(result, indices[is_inside], g[is_inside])
        return result

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return None, _gather(g, node.inputs[0]).output

    def sample(self, rng: np.random.Generator) -> Sample:
        rows, features, indices = _sample(rng)
        return Sample((indices, sampling.normal(rng, (*indices.shape, features))), {"rows": rows}, (1,))


def _need_indices(name: str, indices: Type) -> None:
    if indices.dtype != INT:
        raise ShapeError(f"{name}: indices are whole numbers, got {indices} of real ones; cast them first")


def _sample(rng: np.random.Generator) -> tuple[int, int, Array]:
    """Return rows, features, and indices of which some are outside the table."""
    rows, features = (sampling.pick(rng, sampling.CHANNELS) for _ in range(2))
    return rows, features, sampling.whole(rng, sampling.shape(rng, 1, 2), -2, rows + 2)


_gather = register(Gather())
_scatter_add = register(ScatterAdd())


def gather(table: Tensor, indices: Tensor) -> Tensor:
    """Return the rows of `table` V × D at `indices` of shape S as S × D; rows of zeros for indices outside 0 … V-1.

    These rows also have no gradient. Data from outside should be checked where it is read.
    """
    return _gather(table, indices).output

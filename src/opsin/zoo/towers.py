"""Networks for several inputs together: a tower for each column (see `opsin.data.several`), joined, and a head.

The joins are those that are usual for questions about images: the vectors of the columns one after the other, their
product number by number (Antol et al., "VQA: visual question answering", 2015), and feature-wise linear modulation
(FiLM; Perez et al., "FiLM: visual reasoning with a general conditioning layer", 2018).
"""

from __future__ import annotations

from functools import partial

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import BatchNorm2d, Conv2d, Dropout, Layer, Linear, ReLU, Sequential
from opsin.zoo.registry import register

WIDTH, PLACES = 128, 64
"""Numbers in the vector of a column, and places of an image, 8 × 8, at each of which there is such a vector."""

CONCAT, PRODUCT, FILM = "concat", "product", "film"

BLOCKS = 2
"""Modulated blocks of FiLM."""


class Towers(Layer):
    """The results of the towers N × width × columns × places → logits N × classes.

    The first column has a vector at each place, such as the parts of an image. Those of another column are equal.
    """

    def __init__(self, classes: int, join: str) -> None:
        self.join = Film() if join == FILM else Joined(join)
        self.head = Sequential(Linear(2 * WIDTH), ReLU(), Dropout(0.2), Linear(classes))

    def forward(self, x: Tensor) -> Tensor:
        columns = [ops.narrow(x, 2, number, 1) for number in range(int(str(x.shape[2])))]
        return self.head(self.join(columns[0], [_vector(column) for column in columns[1:]]))


class Joined(Layer):
    """The largest number of each feature at any place, and the other columns: one after the other, or multiplied."""

    def __init__(self, join: str) -> None:
        self.multiplies = join == PRODUCT
        self.main, self.other = Linear(WIDTH), Linear(WIDTH)

    def forward(self, x: Tensor, others: list[Tensor]) -> Tensor:
        main = ops.max(x, (2, 3))
        if not self.multiplies:
            return ops.concat([main, *others], 1) if others else main
        product = self.main(main)
        for vector in others:
            product = ops.multiply(product, ops.tanh(self.other(vector)))
        return product


class Film(Layer):
    """Blocks in which the other columns scale and shift the features of the first one at all its places."""

    def __init__(self) -> None:
        self.blocks = [Modulated() for _ in range(BLOCKS)]

    def forward(self, x: Tensor, others: list[Tensor]) -> Tensor:
        condition = ops.concat(others, 1) if others else None
        for block in self.blocks:
            x = block(x, condition)
        joined = ops.max(x, (2, 3))
        return joined if condition is None else ops.concat([joined, condition], 1)


class Modulated(Layer):
    """A residual block of FiLM: its second convolution is scaled by 1 + γ and shifted by β before the ReLU."""

    def __init__(self) -> None:
        self.first, self.second = Conv2d(WIDTH, 1), Conv2d(WIDTH, 1, bias=False)
        self.norm, self.scale, self.shift = BatchNorm2d(), Linear(WIDTH), Linear(WIDTH)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        kept = ops.relu(self.first(x))
        changed = self.norm(self.second(kept))
        if condition is not None:
            scale, shift = (_everywhere(layer(condition)) for layer in (self.scale, self.shift))
            changed = ops.add(ops.multiply(changed, ops.add(scale, 1.0)), shift)
        return ops.add(kept, ops.relu(changed))


def _vector(column: Tensor) -> Tensor:
    """Return the vector of a column that is the same at all places, N × width."""
    return ops.reshape(ops.narrow(column, 3, 0, 1), (column.shape[0], column.shape[1]))


def _everywhere(vector: Tensor) -> Tensor:
    return ops.reshape(vector, (*vector.shape, 1, 1))


def _register(join: str) -> object:
    return register(f"towers_{join}", partial(Towers, join=join), (WIDTH, 2, PLACES), classes=10, kind="several")


towers_concat, towers_product, towers_film = map(_register, (CONCAT, PRODUCT, FILM))

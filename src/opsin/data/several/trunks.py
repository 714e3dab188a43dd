"""The layers between rows and networks: from the numbers of each column to its vector, or its map of places."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt, prod
from typing import Any

from opsin import ops
from opsin.inputs.kind import Shape
from opsin.inputs.registry import IMAGE, NUMBER, SOUND, TEXT
from opsin.ir import Tensor
from opsin.nn import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Layer, Linear, MaxPool2d, ReLU, Sequential
from opsin.nn.initializers import normal

WORD_FEATURES, SPECTRUM = 64, (1, 40, 101)
"""What the front ends of texts and recordings give: vectors of words, and log-mel bands."""

MIN_CONV_WIDTH, MIN_TIME = 16, 8
"""The channels of the first convolution; moments at which a sequence is not halved any more."""


@dataclass(frozen=True)
class Place:
    """Where a column lies in a row: its flag at `flag`, and then as many numbers as `shape` has."""

    flag: int
    shape: Shape


class Columns(Layer):
    """Rows N × 1 × 1 × length → vectors of the columns N × width × columns × places.

    The first column is that of `main`, the others follow in their order. If `main` is an image, it has a vector at each
    of its 8 × 8 places; the vector of any other column is repeated. An empty cell has a vector of its own, which is
    learned.
    """

    def __init__(self, places: dict[str, Place], kinds: dict[str, Any], main: str, shape: Shape) -> None:
        self.width, _, self.count = shape
        self.places = {main: places[main]} | places
        self.columns = [
            Column(kinds[name], self.width, isqrt(self.count) if name == main else 0) for name in self.places
        ]

    def forward(self, x: Tensor) -> Tensor:
        vectors = []
        for column, place in zip(self.columns, self.places.values(), strict=True):
            flag = ops.narrow(x, 3, place.flag, 1)
            values = ops.narrow(x, 3, place.flag + 1, prod(place.shape))
            result = column(ops.reshape(values, (x.shape[0], *place.shape)), flag)
            vectors.append(ops.broadcast_to(result, (x.shape[0], self.width, 1, self.count)))
        return ops.concat(vectors, 2)


class Column(Layer):
    """The tower of one column: the samples of a kind → N × width × 1 × places, or × 1 for a single vector."""

    def __init__(self, kind: Any, width: int, side: int) -> None:
        self.width = width
        self.front_end = kind.front_end(FEATURES.get(kind.kind, kind.shape))
        self.trunk = _trunk(kind, width, side)

    def forward(self, x: Tensor, flag: Tensor) -> Tensor:
        vectors = self.trunk(x if self.front_end is None else self.front_end(x))
        empty = self.parameter("empty", (1, self.width, 1, 1), normal(0.1)((self.width,)))
        return ops.add(ops.multiply(vectors, flag), ops.multiply(empty, ops.subtract(1.0, flag)))


FEATURES: dict[str, Shape] = {TEXT: (WORD_FEATURES, 1, 1), SOUND: SPECTRUM}


def _trunk(kind: Any, width: int, side: int) -> Layer:
    if kind.kind == IMAGE:
        return Images(kind.shape, width, side)
    if kind.kind == NUMBER:
        return Numbers(width)
    return Words(width) if kind.kind == TEXT else Sequences(width)


class Images(Layer):
    """Convolutions, each with half as many places and twice as many channels as the one before, down to 8 × 8 places.

    With a `side` of 0, the result is a single vector: the largest number of each feature.
    """

    def __init__(self, shape: Shape, width: int, side: int) -> None:
        self.side = side
        halvings = max(1, (max(shape[1:]) // 8).bit_length() - 1)
        widths = [min(width, max(MIN_CONV_WIDTH, width >> (halvings - number))) for number in range(halvings)]
        layers: list[Layer] = []
        for channels in widths:
            layers += [Conv2d(channels, 3, padding=1, bias=False), BatchNorm2d(), ReLU(), MaxPool2d(2)]
        self.layers = Sequential(*layers, Conv2d(width, 3, padding=1, bias=False), BatchNorm2d(), ReLU())
        self.resize = AdaptiveAvgPool2d((side, side)) if side else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(x)
        if not self.side or self.resize is None:
            return ops.max(x, (2, 3), keepdims=True)
        x = x if x.shape[2:] == (self.side, self.side) else self.resize(x)
        return ops.reshape(x, (x.shape[0], x.shape[1], 1, self.side**2))


class Words(Layer):
    """Vectors of words → the largest result of filters over one, two and three words, and a linear layer (Kim 2014)."""

    def __init__(self, width: int) -> None:
        self.filters = [Conv2d(width, (1, count), padding=(0, count - 1)) for count in (1, 2, 3)]
        self.linear = Linear(width)

    def forward(self, x: Tensor) -> Tensor:
        results = [ops.max(ops.relu(layer(x)), (2, 3)) for layer in self.filters]
        return _column(ops.relu(self.linear(ops.concat(results, 1))))


class Numbers(Layer):
    """A number → two linear layers."""

    def __init__(self, width: int) -> None:
        self.first, self.second = Linear(width), Linear(width)

    def forward(self, x: Tensor) -> Tensor:
        return _column(ops.relu(self.second(ops.relu(self.first(ops.flatten(x))))))


class Sequences(Layer):
    """Spectra of recordings, or signals → blocks of convolutions, and the mean over time and frequency."""

    def __init__(self, width: int, blocks: int = 3) -> None:
        self.blocks = [(Conv2d(width >> (blocks - 1 - n), 3, padding=1), BatchNorm2d()) for n in range(blocks)]
        self.norm = BatchNorm2d()

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        for conv, norm in self.blocks:
            x = ops.relu(norm(conv(x)))
            height, time = (int(str(size)) for size in x.shape[2:])
            steps = (2 if height > 1 else 1, 2 if time > MIN_TIME else 1)
            x = ops.max_pool2d(x, steps, steps)
        return ops.mean(x, (2, 3), keepdims=True)


def _column(x: Tensor) -> Tensor:
    """Return vectors N × width as N × width × 1 × 1."""
    return ops.reshape(x, (*x.shape, 1, 1))

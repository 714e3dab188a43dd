"""The forces between the points of a map in two dimensions: attraction by neighbours, repulsion by all (t-SNE)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opsin.kernels.ir import F32, I32, Builder, Kernel, Pointer, ScalarType, Target, Value
from opsin.kernels.spec import KernelSpec, Signature

POINTS_MULTIPLE = 16
"""The number of points is padded to a multiple of this, which is a multiple of every processor's vectors."""


@dataclass(frozen=True)
class TSNEForces(KernelSpec):
    """The sums over j of which the gradient of t-SNE at point i consists, with q = 1 / (1 + |y_i - y_j|²).

    `forces` is points × 5: Σ p q (y_i - y_j), in both dimensions, over the neighbours j of i; Σ q² (y_i - y_j), in both
    dimensions, and Σ q over all `count` points, i included. `horizontal` and `vertical` are the coordinates of `count`
    points, a multiple of `POINTS_MULTIPLE`; points that only fill up are so far away that their q² is 0. The neighbours
    of i are the numbers `neighbours`, with the weights `p`, from `starts[i]` up to `starts[i + 1]`. A block is one
    point, and its sums have one order, so they do not depend on the division into blocks.
    """

    signature: ClassVar[Signature] = Signature(
        ("horizontal", "vertical", "starts", "neighbours", "p", "forces"),
        ("count",),
        elements={"starts": I32, "neighbours": I32},
    )

    def build(self, target: Target) -> Kernel:
        k = Builder("tsne_forces")
        (horizontal, vertical, starts, neighbours, p, forces), (count,) = self.bind(k)
        with k.loop(k.begin, k.end) as point:
            origin = k.load(horizontal, point), k.load(vertical, point)
            first, stop = (k.convert("index", k.load(starts, point + i)) for i in (0, 1))
            attraction = _attraction(k, origin, (horizontal, vertical), (neighbours, p), first, stop)
            repulsion = _repulsion(k, origin, (horizontal, vertical), count, target.lanes)
            for number, value in enumerate([*attraction, *repulsion]):
                k.store(forces, point * 5 + number, value)
        return k.kernel()


def _attraction(
    k: Builder,
    origin: tuple[Value, Value],
    points: tuple[Pointer, Pointer],
    neighbours: tuple[Pointer, Pointer],
    first: Value,
    stop: Value,
) -> list[Value]:
    """Emit the sums over the neighbours from number `first` up to `stop`."""
    sums = [k.register(k.constant(0.0, ScalarType(F32))) for _ in range(2)]
    with k.loop(first, stop) as edge:
        other = k.convert("index", k.load(neighbours[0], edge))
        x, y = (start - k.load(axis, other) for start, axis in zip(origin, points, strict=True))
        weight = k.load(neighbours[1], edge) / (x * x + (y * y + 1.0))
        for total, difference in zip(sums, (x, y), strict=True):
            total.set(total.get() + weight * difference)
    return [total.get() for total in sums]


def _repulsion(
    k: Builder, origin: tuple[Value, Value], points: tuple[Pointer, Pointer], count: Value, lanes: int
) -> list[Value]:
    """Emit the sums over all points."""
    starts = [k.broadcast(value, lanes) for value in origin]
    sums = [k.register(k.broadcast(0.0, lanes)) for _ in range(3)]
    with k.loop(0, count, lanes) as other:
        x, y = (start - k.load(axis, other, lanes) for start, axis in zip(starts, points, strict=True))
        q = 1.0 / (x * x + (y * y + 1.0))
        for total, term in zip(sums, (q * q * x, q * q * y, q), strict=True):
            total.set(total.get() + term)
    return [k.reduce_lanes("add", total.get()) for total in sums]

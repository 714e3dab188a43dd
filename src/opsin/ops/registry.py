"""The primitives by name, and what each of them is: an `Op` with one output and sample cases.

A graph file names its operations, an engine lowers them by name, and the tests draw cases from
every one of them: all three look here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import GraphError, ShapeError
from opsin.ir import FLOAT, Node, Op, Tensor, Type, current_scope

Array: TypeAlias = "NDArray[Any]"


@dataclass(frozen=True)
class Sample:
    """One small case of an operation: float64 or int32 arrays, attributes, and which inputs have a gradient."""

    inputs: tuple[Array, ...]
    attrs: dict[str, Any]
    differentiable: tuple[int, ...] = ()


class Primitive(Op):
    """An operation with one output, which engines know by name and tests by its samples."""

    def gradient(self, node: Node, *grads: Tensor) -> Sequence[Tensor | None]:
        (g,) = grads
        return self.backward(node, g)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        """For each input, the gradient of a scalar whose gradient by the output is `g`."""
        raise GraphError(f"{self.name} cannot be differentiated")

    def sample(self, rng: np.random.Generator) -> Sample:
        """A random case, small enough to compute often and odd enough to find mistakes."""
        raise NotImplementedError

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        """Random cases without end."""
        while True:
            yield self.sample(rng)


P = TypeVar("P", bound=Primitive)

OPS: dict[str, Primitive] = {}
"""Every primitive by its name."""


def register(op: P) -> P:
    """Makes `op` known by its name, and returns it."""
    if op.name in OPS:
        raise GraphError(f"two operations are called '{op.name}'")
    OPS[op.name] = op
    return op


def misfit(message: str) -> ShapeError:
    """Return a `ShapeError` in the layer that is being traced, for checks outside a shape rule."""
    return ShapeError(message).in_layer(current_scope())


def need_float(name: str, *types: Type) -> None:
    """Raises `ShapeError` unless every operand holds real numbers."""
    for kind in types:
        if kind.dtype != FLOAT:
            raise ShapeError(f"{name}: expected real numbers, got {kind}; cast the whole numbers first")


def precision(*arrays: Array) -> np.dtype[Any]:
    """The float type of `arrays`; float64, which the engine rounds, where all are whole numbers."""
    floats = [a.dtype for a in arrays if a.dtype.kind == "f"]
    return floats[0] if floats else np.dtype(np.float64)

"""The registry of primitives: operations with one output and random test cases.

Graph files name their operations, backends lower them by name, and the tests draw cases from each of them; all three
use this registry.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import GraphError, ShapeError
from opsin.ir import FLOAT, INT8, Node, Op, Tensor, Type, current_scope

Array: TypeAlias = "NDArray[Any]"


@dataclass(frozen=True)
class Sample:
    """A small test case of an operation: float64 or whole numbers, attributes, and which inputs have a gradient."""

    inputs: tuple[Array, ...]
    attrs: dict[str, Any]
    differentiable: tuple[int, ...] = ()


class Primitive(Op):
    """An operation with one output, which backends know by name and tests by its samples."""

    def gradient(self, node: Node, *grads: Tensor) -> Sequence[Tensor | None]:
        (g,) = grads
        return self.backward(node, g)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        """Return the gradient of a scalar for each input, given its gradient `g` for the output."""
        raise GraphError(f"{self.name} cannot be differentiated")

    def sample(self, rng: np.random.Generator) -> Sample:
        """Return a random case, small enough to compute often and irregular enough to find mistakes."""
        raise NotImplementedError

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        """Yield random cases endlessly."""
        while True:
            yield self.sample(rng)


P = TypeVar("P", bound=Primitive)

OPS: dict[str, Primitive] = {}
"""Every primitive by its name."""


def register(op: P) -> P:
    """Register `op` by its name and return it. Raise `GraphError` if the name is taken."""
    if op.name in OPS:
        raise GraphError(f"two operations are called '{op.name}'")
    OPS[op.name] = op
    return op


def shape_error(message: str) -> ShapeError:
    """Return a `ShapeError` in the layer that is being traced, for checks outside a shape rule."""
    return ShapeError(message).in_layer(current_scope())


def need_float(name: str, *types: Type) -> None:
    """Raise `ShapeError` unless every operand has real numbers."""
    for kind in types:
        if kind.dtype != FLOAT:
            raise ShapeError(f"{name}: expected real numbers, got {kind}; cast the whole numbers first")


def need_int8(name: str, *types: Type) -> None:
    """Raise `ShapeError` unless every operand has 8-bit integers."""
    for kind in types:
        if kind.dtype != INT8:
            raise ShapeError(f"{name}: expected 8-bit integers, got {kind}; quantize the real numbers first")


def precision(*arrays: Array) -> np.dtype[Any]:
    """Return the float type of `arrays`; float64, which the backend rounds, if all are whole numbers."""
    floats = [a.dtype for a in arrays if a.dtype.kind == "f"]
    return floats[0] if floats else np.dtype(np.float64)

"""Constants, and the rule by which Python numbers take part in operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from opsin.graph import FLOAT, INT, Node, Size, Tensor, Type
from opsin.ops.registry import Array, Primitive, Sample, register

Operand: TypeAlias = "Tensor | float | Size"
"""What pointwise operations take: a tensor, or a number that becomes a constant."""


NUMBER = Type(())


class Constant(Primitive):
    """A number, shape (). `value` may be a `Size`, a number once the batch is known; whole numbers have a dtype."""

    name = "constant"

    def infer(self, *, value: float | Size, dtype: str = FLOAT) -> Type:
        return NUMBER if dtype == FLOAT else Type((), dtype)

    def evaluate(self, *, value: float, dtype: str = FLOAT) -> Array:
        return np.asarray(value, dtype=np.int32 if dtype == INT else np.float64)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return ()

    def sample(self, rng: np.random.Generator) -> Sample:
        return Sample((), {"value": float(rng.standard_normal())})


_constant = register(Constant())


def constant(value: float | Size, dtype: str = FLOAT) -> Tensor:
    """A scalar that never changes. `dtype` "int" makes it a whole number."""
    if dtype == INT:
        return _constant(value=value, dtype=INT).output
    return _constant(value=value if isinstance(value, Size) else float(value)).output


def as_tensor(value: Operand, dtype: str = FLOAT) -> Tensor:
    """`value` itself if it is a tensor, otherwise a constant of `dtype`."""
    return value if isinstance(value, Tensor) else constant(value, dtype)


def as_tensors(*values: Operand) -> tuple[Tensor, ...]:
    """All `values` as tensors; numbers take the dtype of the tensors they go with."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    if len(tensors) == len(values):
        return tuple(tensors)
    dtype = INT if {tensor.dtype for tensor in tensors} == {INT} else FLOAT
    return tuple([as_tensor(value, dtype) for value in values])

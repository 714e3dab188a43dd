"""Constants, and the rule by which Python numbers take part in operations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ShapeError, UsageError
from opsin.ir import FLOAT, INT, Node, Size, Tensor, Type, scope, variable
from opsin.ir.arguments import MAX_SIZE, real, whole
from opsin.ops.registry import Array, Primitive, Sample, register

Number: TypeAlias = "float | np.number[Any] | Size | NDArray[Any]"
Operand: TypeAlias = "Tensor | Number"
"""What pointwise operations take: a tensor, or a number, or an array of them, that becomes a constant."""

WHAT = "what goes with a tensor, and is no tensor or array itself,"
"""How messages call a number."""

MOST = 2**16
"""Numbers of an array that becomes a constant."""

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


def constant(value: Number, dtype: str = FLOAT) -> Tensor:
    """A number that never changes, or an array of them. `dtype` "int" makes whole numbers of them."""
    if type(value) is float and dtype == FLOAT:  # as most often
        return _constant(value=value).output
    if isinstance(value, Size):
        return _constant(value=value, dtype=dtype).output if dtype == INT else _constant(value=value).output
    if getattr(value, "ndim", 0):
        return _array(np.asarray(value), dtype)
    number = float(value) if isinstance(value, bool | np.bool_) else real(WHAT, value, finite=False)
    if dtype != INT:
        return _constant(value=number).output
    if not number.is_integer():
        raise ShapeError(f"{number:g} is no whole number, as the tensors are that it goes with; cast those first")
    return _constant(value=whole("a whole constant", int(number), -MAX_SIZE - 1, MAX_SIZE), dtype=INT).output


def _array(values: Array, dtype: str) -> Tensor:
    """An array as a variable that does not learn."""
    if values.dtype.kind not in "fiub" or values.size > MOST or not values.size:
        raise UsageError(
            f"an array in a network is one of 1 to {MOST:,} real numbers, not of {values.dtype} {values.shape}; "
            "a larger one is a parameter: self.parameter(name, shape, ('values', numbers), trainable=False)"
        )
    if dtype == INT and values.dtype.kind == "f":
        raise ShapeError("an array of fractions cannot go with tensors of whole numbers; cast those first")
    kept = np.ascontiguousarray(values, np.int32 if dtype == INT else np.float32)
    return _kept(kept.shape, dtype, kept.tobytes())


@cache
def _kept(shape: tuple[int, ...], dtype: str, content: bytes) -> Tensor:
    """One and the same tensor for equal arrays, since each name stands for one variable."""
    values = np.frombuffer(content, np.int32 if dtype == INT else np.float32).tolist()
    name = blake2b(f"{dtype} {shape} ".encode() + content, digest_size=8).hexdigest()
    with scope(""):
        return variable(f"constant.{name}", shape, dtype, init=("values", tuple(values)))


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

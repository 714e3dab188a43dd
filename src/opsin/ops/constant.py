"""Constants, and the conversion of Python numbers in operations."""

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
"""An argument of pointwise operations: a tensor, or a number or an array that becomes a constant."""

OPERAND = "an operand that is neither a tensor nor an array"
"""How messages call a number."""

MAX_NUMBERS = 2**16
"""The largest number of elements of an array that becomes a constant."""

SCALAR = Type(())


class Constant(Primitive):
    """A number, shape (). `value` may be a `Size`, which is a number once the batch is known."""

    name = "constant"

    def infer(self, *, value: float | Size, dtype: str = FLOAT) -> Type:
        return SCALAR if dtype == FLOAT else Type((), dtype)

    def evaluate(self, *, value: float, dtype: str = FLOAT) -> Array:
        return np.asarray(value, dtype=np.int32 if dtype == INT else np.float64)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return ()

    def sample(self, rng: np.random.Generator) -> Sample:
        return Sample((), {"value": float(rng.standard_normal())})


_constant = register(Constant())


def constant(value: Number, dtype: str = FLOAT) -> Tensor:
    """Return a constant: a number or an array of numbers, with `dtype` "int" whole numbers.

    Raise `ShapeError` if a number is not whole, `UsageError` for arrays that are too large.
    """
    if type(value) is float and dtype == FLOAT:  # the usual case
        return _constant(value=value).output
    if isinstance(value, Size):
        return _constant(value=value, dtype=dtype).output if dtype == INT else _constant(value=value).output
    if getattr(value, "ndim", 0):
        return _array(np.asarray(value), dtype)
    number = float(value) if isinstance(value, bool | np.bool_) else real(OPERAND, value, finite=False)
    if dtype != INT:
        return _constant(value=number).output
    if not number.is_integer():
        raise ShapeError(f"{number:g} is no whole number, unlike the tensors it is combined with; cast those first")
    return _constant(value=whole("a whole constant", int(number), -MAX_SIZE - 1, MAX_SIZE), dtype=INT).output


def _array(values: Array, dtype: str) -> Tensor:
    """Return an array as a variable that is not trained."""
    if values.dtype.kind not in "fiub" or values.size > MAX_NUMBERS or not values.size:
        raise UsageError(
            f"an array in a network is one of 1 to {MAX_NUMBERS:,} real numbers, not of {values.dtype} {values.shape}; "
            "a larger one is a parameter: self.parameter(name, shape, ('values', numbers), trainable=False)"
        )
    if dtype == INT and values.dtype.kind == "f":
        raise ShapeError("an array of fractions cannot be combined with tensors of whole numbers; cast those first")
    array = np.ascontiguousarray(values, np.int32 if dtype == INT else np.float32)
    return _shared_variable(array.shape, dtype, array.tobytes())


@cache
def _shared_variable(shape: tuple[int, ...], dtype: str, content: bytes) -> Tensor:
    """Return the same tensor for equal arrays, since each name stands for one variable."""
    values = np.frombuffer(content, np.int32 if dtype == INT else np.float32).tolist()
    name = blake2b(f"{dtype} {shape} ".encode() + content, digest_size=8).hexdigest()
    with scope(""):
        return variable(f"constant.{name}", shape, dtype, init=("values", tuple(values)))


def as_tensor(value: Operand, dtype: str = FLOAT) -> Tensor:
    """Return `value` itself if it is a tensor, otherwise a constant of `dtype`."""
    return value if isinstance(value, Tensor) else constant(value, dtype)


def as_tensors(*values: Operand) -> tuple[Tensor, ...]:
    """Return all `values` as tensors. Numbers take the dtype of the tensors among them."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    if len(tensors) == len(values):
        return tuple(tensors)
    dtype = INT if {tensor.dtype for tensor in tensors} == {INT} else FLOAT
    return tuple([as_tensor(value, dtype) for value in values])

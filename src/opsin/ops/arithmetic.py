"""Sums, differences, products and quotients, with broadcasting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.ir import Node, Tensor, Type
from opsin.ops import sampling
from opsin.ops.broadcast import random_operand
from opsin.ops.constant import Operand, as_tensors
from opsin.ops.pointwise import Binary, Unary
from opsin.ops.registry import Array, Sample, need_float, register


class Negate(Unary):
    """-x."""

    name = "negate"

    def evaluate(self, x: Array) -> Array:
        return np.asarray(-x)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return (negate(g),)


class Add(Binary):
    """a + b."""

    name = "add"

    def evaluate(self, a: Array, b: Array) -> Array:
        return np.asarray(a + b)

    def slopes(self, a: Tensor, b: Tensor, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        return g, g


class Subtract(Binary):
    """a - b."""

    name = "subtract"

    def evaluate(self, a: Array, b: Array) -> Array:
        return np.asarray(a - b)

    def slopes(self, a: Tensor, b: Tensor, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        return g, negate(g)


class Multiply(Binary):
    """a · b."""

    name = "multiply"

    def evaluate(self, a: Array, b: Array) -> Array:
        return np.asarray(a * b)

    def slopes(self, a: Tensor, b: Tensor, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        return multiply(g, b), multiply(g, a)


class Divide(Binary):
    """a / b, of real numbers."""

    name = "divide"

    def infer(self, a: Type, b: Type) -> Type:
        need_float(self.name, a, b)
        return super().infer(a, b)

    def evaluate(self, a: Array, b: Array) -> Array:
        return np.asarray(a / b)

    def slopes(self, a: Tensor, b: Tensor, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        by_a = divide(g, b)
        return by_a, negate(multiply(by_a, y))

    def sample(self, rng: np.random.Generator) -> Sample:
        shape = sampling.shape(rng)
        sign = -1.0 if sampling.flip(rng) else 1.0
        divisor = sign * sampling.distinct(rng, random_operand(rng, shape), 0.3, 3.0)
        return Sample((sampling.normal(rng, random_operand(rng, shape)), divisor), {}, (0, 1))


_negate = register(Negate())
_add = register(Add())
_subtract = register(Subtract())
_multiply = register(Multiply())
_divide = register(Divide())


def negate(x: Tensor) -> Tensor:
    """Return -x, element by element."""
    return _negate(x).output


def add(a: Operand, b: Operand) -> Tensor:
    """Return a + b, element by element, with broadcasting."""
    return _add(*as_tensors(a, b)).output


def subtract(a: Operand, b: Operand) -> Tensor:
    """Return a - b, element by element, with broadcasting."""
    return _subtract(*as_tensors(a, b)).output


def multiply(a: Operand, b: Operand) -> Tensor:
    """Return a · b, element by element, with broadcasting."""
    return _multiply(*as_tensors(a, b)).output


def divide(a: Operand, b: Operand) -> Tensor:
    """Return a / b, element by element, with broadcasting."""
    return _divide(*as_tensors(a, b)).output


def square(x: Tensor) -> Tensor:
    """Return x², element by element."""
    return multiply(x, x)

"""Functions of one number, element by element."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from opsin.ir import Node, Tensor
from opsin.ops import sampling
from opsin.ops.arithmetic import divide, multiply, negate, square, subtract
from opsin.ops.compare import greater
from opsin.ops.pointwise import Unary
from opsin.ops.registry import Array, Sample, register
from opsin.ops.where import where


class Smooth(Unary):
    """A function with a derivative that is computed from its argument and its value."""

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return (self.slope(node.inputs[0], node.output, g),)

    def slope(self, x: Tensor, y: Tensor, g: Tensor) -> Tensor:
        """Return the gradient for x, given y = f(x) and its gradient g."""
        raise NotImplementedError


class Exp(Smooth):
    """e^x."""

    name = "exp"

    def evaluate(self, x: Array) -> Array:
        return np.asarray(np.exp(x))

    def slope(self, x: Tensor, y: Tensor, g: Tensor) -> Tensor:
        return multiply(g, y)


class Log(Smooth):
    """The natural logarithm."""

    name = "log"
    domain = (0.2, 5.0)

    def evaluate(self, x: Array) -> Array:
        return np.asarray(np.log(x))

    def slope(self, x: Tensor, y: Tensor, g: Tensor) -> Tensor:
        return divide(g, x)


class Sqrt(Smooth):
    """√x. At 0, where the derivative is infinite, the gradient is 0."""

    name = "sqrt"
    domain = (0.2, 5.0)

    def evaluate(self, x: Array) -> Array:
        return np.asarray(np.sqrt(x))

    def slope(self, x: Tensor, y: Tensor, g: Tensor) -> Tensor:
        return where(greater(y, 0.0), divide(multiply(g, 0.5), y), 0.0)


class Tanh(Smooth):
    """The hyperbolic tangent."""

    name = "tanh"

    def evaluate(self, x: Array) -> Array:
        return np.asarray(np.tanh(x))

    def slope(self, x: Tensor, y: Tensor, g: Tensor) -> Tensor:
        return multiply(g, subtract(1.0, square(y)))


class Sigmoid(Smooth):
    """1 / (1 + e^-x)."""

    name = "sigmoid"

    def evaluate(self, x: Array) -> Array:
        small = np.exp(-np.abs(x))  # at most 1: never overflows
        return np.asarray(np.where(x >= 0, 1, small) / (1 + small))

    def slope(self, x: Tensor, y: Tensor, g: Tensor) -> Tensor:
        return multiply(g, multiply(y, subtract(1.0, y)))


class Erf(Smooth):
    """The error function, 2/√π · ∫₀ˣ e^(-t²) dt."""

    name = "erf"

    def evaluate(self, x: Array) -> Array:
        return np.asarray(np.vectorize(math.erf, otypes=[x.dtype])(x))

    def slope(self, x: Tensor, y: Tensor, g: Tensor) -> Tensor:
        return multiply(g, multiply(exp(negate(square(x))), 2.0 / math.sqrt(math.pi)))


class Absolute(Smooth):
    """|x|; its gradient at 0 is 0."""

    name = "absolute"

    def evaluate(self, x: Array) -> Array:
        return np.asarray(np.abs(x))

    def slope(self, x: Tensor, y: Tensor, g: Tensor) -> Tensor:
        return multiply(g, sign(x))


class Sign(Unary):
    """-1, 0 or 1; it has no gradient."""

    name = "sign"

    def evaluate(self, x: Array) -> Array:
        return np.asarray(np.sign(x))

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return (None,)

    def sample(self, rng: np.random.Generator) -> Sample:
        return Sample((sampling.whole(rng, sampling.shape(rng), -2, 3) * 0.3,), {})


class Relu(Smooth):
    """max(x, 0); its gradient at 0 is 0."""

    name = "relu"

    def evaluate(self, x: Array) -> Array:
        return np.asarray(np.maximum(x, 0))

    def slope(self, x: Tensor, y: Tensor, g: Tensor) -> Tensor:
        return where(greater(y, 0.0), g, 0.0)  # reading y instead of x, so that x need not be saved


class Relu6(Smooth):
    """min(max(x, 0), 6) (Krizhevsky 2010); its gradient at 0 and at 6 is 0."""

    name = "relu6"

    def evaluate(self, x: Array) -> Array:
        return np.asarray(np.minimum(np.maximum(x, 0), 6))

    def slope(self, x: Tensor, y: Tensor, g: Tensor) -> Tensor:
        return where(greater(y, 0.0), where(greater(6.0, y), g, 0.0), 0.0)


class Power(Unary):
    """x to the constant power `exponent`."""

    name = "power"

    def evaluate(self, x: Array, *, exponent: float) -> Array:
        return np.asarray(x**exponent)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        (x,), exponent = node.inputs, node.attrs["exponent"]
        return (multiply(g, multiply(power(x, exponent - 1.0), exponent)),)

    def sample(self, rng: np.random.Generator) -> Sample:
        x = sampling.distinct(rng, sampling.shape(rng), 0.2, 5.0)
        return Sample((x,), {"exponent": (-2.0, -0.75, -0.5, 0.75, 1.5, 3.0)[int(rng.integers(6))]}, (0,))


_exp = register(Exp())
_log = register(Log())
_sqrt = register(Sqrt())
_tanh = register(Tanh())
_sigmoid = register(Sigmoid())
_erf = register(Erf())
_absolute = register(Absolute())
_sign = register(Sign())
_relu = register(Relu())
_relu6 = register(Relu6())
_power = register(Power())


def exp(x: Tensor) -> Tensor:
    """Return e^x, element by element."""
    return _exp(x).output


def log(x: Tensor) -> Tensor:
    """Return the natural logarithm, element by element."""
    return _log(x).output


def sqrt(x: Tensor) -> Tensor:
    """Return √x, element by element; the gradient at 0 is 0."""
    return _sqrt(x).output


def rsqrt(x: Tensor) -> Tensor:
    """Return 1 / √x, element by element."""
    return divide(1.0, sqrt(x))


def tanh(x: Tensor) -> Tensor:
    """Return the hyperbolic tangent, element by element."""
    return _tanh(x).output


def sigmoid(x: Tensor) -> Tensor:
    """Return 1 / (1 + e^-x), element by element."""
    return _sigmoid(x).output


def erf(x: Tensor) -> Tensor:
    """Return the error function, element by element."""
    return _erf(x).output


def absolute(x: Tensor) -> Tensor:
    """Return |x|, element by element; the gradient at 0 is 0."""
    return _absolute(x).output


def sign(x: Tensor) -> Tensor:
    """Return -1, 0 or 1, element by element. It has no gradient."""
    return _sign(x).output


def relu(x: Tensor) -> Tensor:
    """Return max(x, 0), element by element; the gradient at 0 is 0."""
    return _relu(x).output


def relu6(x: Tensor) -> Tensor:
    """Return min(max(x, 0), 6) (Krizhevsky 2010); the gradient at 0 and at 6 is 0."""
    return _relu6(x).output


def power(x: Tensor, exponent: float) -> Tensor:
    """Return x^exponent, element by element. Whole exponents take any x, others x ≥ 0."""
    return _power(x, exponent=float(exponent)).output

"""Real numbers rounded as 8-bit integers would round them, with a gradient: the simulation in training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import Node, Tensor, Type
from opsin.ops import sampling
from opsin.ops.arithmetic import add, divide, subtract
from opsin.ops.broadcast import broadcast_shapes
from opsin.ops.compare import greater
from opsin.ops.constant import Operand, as_tensors
from opsin.ops.extrema import maximum
from opsin.ops.registry import Array, Primitive, Sample, need_float, register
from opsin.ops.where import where


class FakeQuantize(Primitive):
    """x, step, low, high → y = step · round(clamp(x / step, low, high)), real numbers of the shape of x.

    `low` and `high` are whole numbers, and ties round up, as sums of integers do; these and the step broadcast to x and
    have no gradient. That of x is the straight-through estimator (Bengio, Léonard & Courville 2013): it passes as if
    there were no rounding, and is 0 where a number is clipped (Jacob et al. 2018).
    """

    name = "fake_quantize"

    def infer(self, x: Type, step: Type, low: Type, high: Type) -> Type:
        need_float(self.name, x, step, low, high)
        for operand in (step, low, high):
            if broadcast_shapes(self.name, x.shape, operand.shape) != x.shape:
                raise ShapeError(f"{self.name}: {operand} does not broadcast to {x}")
        return x

    def evaluate(self, x: Array, step: Array, low: Array, high: Array) -> Array:
        return np.asarray(np.floor(np.clip(x / step, low, high) + x.dtype.type(0.5)) * step)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        x, step, low, high = node.inputs
        place = divide(x, step)
        is_clipped = maximum(greater(subtract(low, 0.5), place), greater(place, add(high, 0.5)))
        return where(is_clipped, 0.0, g), None, None, None

    def sample(self, rng: np.random.Generator) -> Sample:
        shape = sampling.shape(rng)
        by_channel = tuple(size if axis == 1 else 1 for axis, size in enumerate(shape))
        step = rng.uniform(0.01, 0.5, by_channel if sampling.flip(rng) else ())
        low, high = (np.asarray(float(sampling.between(rng, *ends))) for ends in ((-9, 0), (1, 9)))
        away_from_ties = rng.integers(-12, 13, shape) + rng.uniform(-0.4, 0.4, shape)
        return Sample((away_from_ties * step, step, low, high), {})


_fake_quantize = register(FakeQuantize())


def fake_quantize(x: Tensor, step: Operand, low: Operand, high: Operand) -> Tensor:
    """Return `x` rounded to multiples of `step`, from `low` to `high` steps; see `FakeQuantize` for the gradient."""
    return _fake_quantize(x, *as_tensors(step, low, high)).output

"""A tensor that counts as a constant in backpropagation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.ir import Node, Tensor, Type
from opsin.ops.registry import Array, Primitive, Sample, register
from opsin.ops.sampling import normal, shape


class StopGradient(Primitive):
    """x, any shape → x; its gradient is not propagated."""

    name = "stop_gradient"

    def infer(self, x: Type) -> Type:
        return x

    def evaluate(self, x: Array) -> Array:
        return x

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return (None,)

    def sample(self, rng: np.random.Generator) -> Sample:
        return Sample((normal(rng, shape(rng)),), {})


_stop_gradient = register(StopGradient())


def stop_gradient(x: Tensor) -> Tensor:
    """Return `x` unchanged; gradients are not propagated through it."""
    return _stop_gradient(x).output

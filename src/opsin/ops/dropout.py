"""Dropout (Srivastava et al. 2014), and its random numbers.

The numbers are counter-based: each is a hash of the seed, the layer, the step and the index of the element. There is no
generator state, and any thread can compute any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import FLOAT, INT, Node, Shape, Tensor, Type
from opsin.ops import sampling
from opsin.ops.arithmetic import multiply
from opsin.ops.registry import Array, Primitive, Sample, register, shape_error


def mix(x: Array) -> Array:
    """Return a bijection of 32-bit numbers; each input bit flips half of the output bits (Wellons' lowbias32)."""
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(0x7FEB352D)
    x = x ^ (x >> np.uint32(15))
    x = x * np.uint32(0x846CA68B)
    return np.asarray(x ^ (x >> np.uint32(16)))


class Bernoulli(Primitive):
    """seed, step (whole scalars) → `shape`, 1 with probability `keep`, else 0; `site` is the number of the layer."""

    name = "bernoulli"

    def infer(self, seed: Type, step: Type, *, shape: Shape, keep: float, site: int) -> Type:
        if seed != Type((), INT) or step != Type((), INT):
            raise ShapeError(f"bernoulli: seed and step are whole scalars, got {seed} and {step}")
        if not 0.0 < keep <= 1.0:
            raise ShapeError(f"bernoulli: expected a probability in (0, 1], got {keep}")
        return Type(shape, FLOAT)

    def evaluate(self, seed: Array, step: Array, *, shape: tuple[int, ...], keep: float, site: int) -> Array:
        key, layer, counter = (np.asarray([number]).astype(np.uint32) for number in (seed, site, step))
        key = mix(mix(mix(key) + layer) + counter)
        index = np.arange(prod(shape), dtype=np.uint32)
        bits = mix(mix(index + key) ^ key) >> np.uint32(8)
        return (bits < round(keep * 2**24)).astype(np.float64).reshape(shape)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return None, None

    def sample(self, rng: np.random.Generator) -> Sample:
        seed, step = (sampling.whole(rng, (), -(2**31), 2**31) for _ in range(2))
        attrs = {"shape": sampling.shape(rng), "keep": float(rng.uniform(0.1, 1)), "site": sampling.between(rng, 0, 9)}
        return Sample((seed, step), attrs)


_bernoulli = register(Bernoulli())


def bernoulli(seed: Tensor, step: Tensor, shape: Shape, keep: float, site: int) -> Tensor:
    """Return a tensor of `shape`, 1 with probability `keep`, else 0; a function of seed, step, `site` and index."""
    return _bernoulli(seed, step, shape=shape, keep=float(keep), site=site).output


def dropout(x: Tensor, keep: float, seed: Tensor, step: Tensor, site: int) -> Tensor:
    """Return `x` with each element kept with probability `keep` and divided by it, else 0."""
    if not 0.0 < keep <= 1.0:
        raise shape_error(f"dropout: expected a probability to keep in (0, 1], got {keep}")
    if keep == 1.0:
        return x
    return multiply(x, multiply(bernoulli(seed, step, x.shape, keep, site), 1.0 / keep))

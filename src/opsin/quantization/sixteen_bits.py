"""Which results have 16-bit integers: those whose rounding to 8 bits costs a layer too much.

The error of rounding is the same for all numbers of a tensor. It costs a layer much if few large numbers, which a layer
multiplies by small weights or subtracts from each other, set the step for all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.ir import Tensor
from opsin.ops.quantized.int16 import LARGEST16
from opsin.quantization.ranges import Ranges
from opsin.quantization.scales import SHARES, Scale
from opsin.quantization.steps import Move, Product, Step, origins_of
from opsin.quantization.weights import LARGEST, MAX_SUM

COSTLY = 0.01
"""The variance of a layer's error, relative to that of its results, from which its input has 16 bits."""
MAX_TERMS = 2304
"""Layers with more weights for a filter keep inputs of 8 bits, because 32-bit sums leave too few of 16."""
BYTE = 256
BYTE_MOVES = frozenset(("reshape", "transpose", "slice", "pad", "stop_gradient"))
"""Moves that treat the two bytes of numbers alike, unlike maxima."""


@dataclass(frozen=True)
class Bytes:
    """16-bit integers, 256 · high + low, with their scale, whose zero point is a multiple of 256."""

    high: Tensor
    low: Tensor
    scale: Scale


def scales_of(steps: Sequence[Step], ranges: Ranges) -> dict[Tensor, Scale]:
    """Return the scales of the tensors that have 16 bits: those in `ranges.wide` that products read.

    As many steps are used as the sums of all readers allow, and none of the numbers that were observed is clipped.
    """
    terms: dict[Tensor, int] = {}
    for step in reversed(steps):
        count = _terms(step) if isinstance(step, Product) else terms.get(step.output, 0)
        if isinstance(step, Product | Move) and step.inputs[0] in ranges.wide and count:
            terms[step.inputs[0]] = max(count, terms.get(step.inputs[0], 0))
    origins = origins_of(steps)
    scales: dict[Tensor, Scale] = {}
    for tensor in terms:
        origin = origins.get(tensor, tensor)
        largest = min(LARGEST16, MAX_SUM // (LARGEST * terms[origin]))
        low, high = (bound / SHARES.min() for bound in ranges.bounds[origin])
        scale = Scale.of(low, high, -largest, largest)
        scales[tensor] = Scale(scale.step, BYTE * round(scale.zero / BYTE), -largest, largest)
    return scales


def costly_inputs(steps: Sequence[Step], ranges: Ranges, covariances: Mapping[Tensor, NDArray[Any]]) -> set[Tensor]:
    """Return the inputs whose rounding to 8 bits costs a product too much, and what they are moved from.

    `covariances` are those of what the filters of products multiply, by the result. Only inputs that are images or
    results of other products can have 16 bits.
    """
    makers, found = {step.output: step for step in steps}, set[Tensor]()
    for step in steps:
        if isinstance(step, Product) and step.output in covariances and _terms(step) <= MAX_TERMS:
            chain = [step.inputs[0]]
            while isinstance(maker := makers.get(chain[-1]), Move) and maker.node.op.name in BYTE_MOVES:
                chain.append(maker.inputs[0])
            is_possible = (maker is None or isinstance(maker, Product)) and ranges.factors.keys().isdisjoint(chain)
            if is_possible and relative_error(step, ranges.scale(chain[-1]), covariances[step.output]) > COSTLY:
                found.update(chain)
    return found


def relative_error(step: Product, x: Scale, covariance: NDArray[Any]) -> float:
    """Return the variance of a product's error, if its input is rounded, relative to the variance of its results.

    `covariance` is that of what its filters multiply, groups × n × n. Errors of rounding are uniform and independent.
    """
    weight = step.weight.reshape(len(covariance), -1, covariance.shape[1])
    signal = float(((weight @ covariance.astype(np.float64)) * weight).sum())
    return x.step**2 / 12 * float((weight**2).sum()) / max(signal, 1e-30)


def _terms(step: Product) -> int:
    return prod(step.weight.shape[1:])

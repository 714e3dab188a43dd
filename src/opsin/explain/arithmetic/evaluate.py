"""One operation of a graph, computed for some places of its result as the engine computes it, from float32 inputs.

This is the definition that the page's arithmetic is tested against.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from opsin.explain.arithmetic import float32
from opsin.explain.arithmetic.float32 import Floats
from opsin.explain.arithmetic.orders import Order
from opsin.explain.arithmetic.sums import Total, add_terms
from opsin.explain.arithmetic.terms import (
    Places,
    Terms,
    convolution_terms,
    phases,
    pooling_terms,
    product_terms,
    resampling_terms,
    sum_terms,
    transposed_terms,
)
from opsin.ir import Node
from opsin.kernels.summation import CHANNEL, COLUMN, ROW, Summation
from opsin.ops.pool_avg import divisor
from opsin.ops.sliding import pool_window

CARRIED = frozenset("exp log tanh sigmoid erf".split())
"""Functions that the engine approximates by polynomials: their results are taken from it."""
SUMS = frozenset("conv2d conv_transpose2d matmul avg_pool2d resample2d sum".split())
"""Operations that add terms."""
CONVOLUTIONS = frozenset(("conv2d", "conv_transpose2d"))
WEIGHTED = CONVOLUTIONS | {"matmul"}
"""Sums of products with parameters: the second operand."""
MAXIMA = frozenset(("max_pool2d", "max"))


def power(x: Floats, exponent: float) -> Floats | None:
    """Compute as `kernels.expression` does; None for exponents that need a logarithm."""
    size = abs(exponent)
    if size == int(size):
        result, factor, left = np.ones_like(x), x, int(size)
        while left:
            if left % 2:
                result = float32.multiply(result, factor)
            factor, left = float32.multiply(factor, factor), left // 2
    elif size in (0.5, 0.75):
        result = float32.sqrt(x)
        if size == 0.75:
            result = float32.multiply(result, float32.sqrt(result))
    else:
        return None
    return result if exponent >= 0 else float32.divide(1.0, result)


def _one(condition: Any) -> Floats:
    return np.asarray(condition).astype(np.float32)


FUNCTIONS: dict[str, Callable[..., Floats]] = {
    "add": float32.add,
    "subtract": lambda a, b: float32.add(a, -np.asarray(b)),
    "multiply": float32.multiply,
    "divide": float32.divide,
    "maximum": lambda a, b: np.asarray(np.where(a > b, a, b), np.float32),
    "minimum": lambda a, b: np.asarray(np.where(a < b, a, b), np.float32),
    "greater": lambda a, b: _one(a > b),
    "equal": lambda a, b: _one(a == b),
    "where": lambda c, a, b: np.asarray(np.where(c == 0, b, a), np.float32),
    "negate": lambda x: -x,
    "sqrt": float32.sqrt,
    "absolute": np.abs,
    "sign": lambda x: _one(x > 0) - _one(x < 0),
    "relu": lambda x: np.where(x < 0, np.float32(0), x),
    "relu6": lambda x: np.where(x > 6, np.float32(6), np.where(x < 0, np.float32(0), x)),
}
"""The functions of single values, by the name of the operation."""


def evaluate(node: Node, inputs: Sequence[Floats], places: Places, order: Order | None) -> Floats | None:
    """Return the results of `node` at `places` (count × rank) for one image; None if they have to be carried.

    `inputs` are whole tensors with N = 1.
    """
    name = node.op.name
    if name in SUMS:
        results = np.empty(len(places), np.float32)
        for numbers in phases(node, places):
            results[numbers] = summed(node, inputs, places[numbers], order)[1].result
        return results
    if name in MAXIMA:
        terms = window_terms(node, inputs, places)
        return np.asarray(np.where(terms.inside, terms.left, -np.inf).max(0), np.float32)
    if name in FUNCTIONS or name == "power":
        values = [at_places(x, places) for x in inputs]
        return power(values[0], node.attrs["exponent"]) if name == "power" else FUNCTIONS[name](*values)
    return None


def summed(node: Node, inputs: Sequence[Floats], places: Places, order: Order | None) -> tuple[Terms, Total]:
    """Return the terms of a sum and their total, in the engine's order; in the usual one if that is not described.

    The places are of one phase (`terms.phases`). The total of an average pooling is multiplied by one over the number
    of terms.
    """
    summation = None if order is None else order.summation
    if summation is None:
        summation = Summation((ROW, COLUMN, CHANNEL) if node.op.name in CONVOLUTIONS else ())
    match node.op.name:
        case "conv2d":
            terms = convolution_terms(node, inputs[0], inputs[1], places, summation.axes)
        case "conv_transpose2d":
            terms = transposed_terms(node, inputs[0], inputs[1], places, summation)
        case "resample2d":
            terms = resampling_terms(node, inputs[0], places)
        case "matmul":
            terms = product_terms(node, inputs[0], inputs[1], places)
        case "avg_pool2d":
            terms = pooling_terms(node, inputs[0], places)
        case _:
            terms = sum_terms(node, inputs[0], places, order)
    total = add_terms(terms.left, terms.right, summation, order is None or order.fused, terms.segments)
    if node.op.name == "avg_pool2d":
        total.result = float32.multiply(total.result, reciprocals(node, inputs[0], places))
    return terms, total


def window_terms(node: Node, inputs: Sequence[Floats], places: Places) -> Terms:
    """Return the numbers that a maximum is taken of."""
    if node.op.name == "max":
        return sum_terms(node, inputs[0], places, None)
    return pooling_terms(node, inputs[0], places)


def reciprocals(node: Node, x: Floats, places: Places) -> Floats:
    """Return what the sum of each window of an average pooling is multiplied by."""
    sizes = divisor(pool_window(node, x.shape[2:]), node.attrs["count_include_pad"])
    return (1.0 / sizes[places[:, 2], places[:, 3]]).astype(np.float32)


def at_places(x: Floats, places: Places) -> Floats:
    """Return the numbers of `x`, broadcast to the result, at `places`."""
    if not x.ndim:
        return np.full(len(places), x)
    behind = places[:, places.shape[1] - x.ndim :]
    return np.asarray(x[tuple(np.where(np.array(x.shape) == 1, 0, behind).T)])

"""The ranges of a network's results on images, with what follows from how they are used."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.ir import Graph, Tensor
from opsin.quantization.alignment import align
from opsin.quantization.constants import constant_values
from opsin.quantization.demand import observed_tensors
from opsin.quantization.functions import table
from opsin.quantization.ranges import Engine, Ranges, Statistics, bounds, largest, statistics
from opsin.quantization.scales import clipped_range
from opsin.quantization.steps import Function, Join, Move, Product, Step, origins_of
from opsin.quantization.weights import channel_steps

SHARED_RANGE = 0.6
"""An operand with at least this share of the range of a concatenation takes its scale, and is not rounded again."""

LEVELS = 255
MIN_RATIO = 8
"""The smallest step of a channel whose numbers are multiplied by a factor, in steps of its sums."""


def ranges_of(
    graph: Graph,
    state: Mapping[str, NDArray[Any]],
    steps: Sequence[Step],
    images: NDArray[np.float32],
    engine: Engine,
    threads: int | None = None,
    float_layers: Collection[str] = (),
) -> Ranges:
    """Return the ranges of the results of `steps` for normalized images N × C × H × W."""
    values = constant_values(graph, state)
    observed = observed_tensors(steps, float_layers)
    readers = _readers(steps)
    scaled = {t for step in steps for t in _read_by_channel(step, readers, values)}
    inputs = [t for step in steps if isinstance(step, Product) for t in step.inputs]
    tensors = list(dict.fromkeys([*observed, *inputs]))
    found = statistics(graph, state, tensors, images, engine, threads, [t for t in tensors if t in scaled])
    ranges = Ranges(means={t: found[t].mean for t in inputs})
    for tensor in observed:
        is_scaled = tensor in scaled
        ranges.bounds[tensor] = _clipped(found[tensor], is_scaled, _function(tensor, readers, values, is_scaled))
    origins = origins_of(steps)
    for step in steps:
        chain = _read_by_channel(step, readers, values)
        if chain and step.output in found and isinstance(step, Product):
            x = ranges.scale(origins.get(step.inputs[0], step.inputs[0]))
            finest = MIN_RATIO * LEVELS * x.step * channel_steps(step, x)
            ranges.factors |= dict.fromkeys(chain, 1 / np.maximum(largest(found[step.output]), finest))
    _share(steps, ranges)
    align(steps, ranges)
    return ranges


def _clipped(known: Statistics, scaled: bool, function: Any) -> tuple[float, float]:
    low, high = bounds(known, scaled)
    return clipped_range(known.counts, low, high, function) if high > low else (low, high)


def _readers(steps: Sequence[Step]) -> dict[Tensor, list[Step]]:
    readers: dict[Tensor, list[Step]] = {}
    for step in steps:
        for tensor in step.inputs:
            readers.setdefault(tensor, []).append(step)
    return readers


def _function(tensor: Tensor, readers: Mapping[Tensor, list[Step]], values: Any, scaled: bool) -> Any:
    """Return the function by whose results the error of `tensor` counts: the only step that reads it, if it is one."""
    steps = readers.get(tensor, [])
    if scaled or len(steps) != 1 or not isinstance(steps[0], Function):
        return None
    step = steps[0]
    if len(table(step, values, np.linspace(-3.0, 3.0, 7))) != 1:
        return None
    return lambda numbers: table(step, values, numbers)[0]


def _read_by_channel(step: Step, readers: Mapping[Tensor, list[Step]], values: Any) -> list[Tensor]:
    """Return the result of a product and its maxima, if only a function that differs by channel reads them."""
    if not isinstance(step, Product) or step.low not in (-np.inf, 0.0) or step.high != np.inf:
        return []
    chain = [step.output]
    while len(users := readers.get(chain[-1], [])) == 1:
        (user,) = users
        if isinstance(user, Move) and user.node.op.name == "max_pool2d":
            chain.append(user.output)
            continue
        is_by_channel = isinstance(user, Function) and len(table(user, values, np.linspace(-3.0, 3.0, 7))) > 1
        return chain if is_by_channel else []
    return []


def _share(steps: Sequence[Step], ranges: Ranges) -> None:
    """Give the operands of concatenations the range of the result, if it is not much larger than their own."""
    source = {step.output: step.inputs[0] for step in steps if isinstance(step, Move)}
    for step in reversed(steps):
        if not isinstance(step, Join) or step.output not in ranges.bounds:
            continue
        low, high = ranges.bounds[step.output]
        for operand in step.inputs:
            while operand in source:
                operand = source[operand]
            if operand not in ranges.bounds or operand in ranges.factors:
                continue
            own = ranges.bounds[operand]
            if own[1] - own[0] >= SHARED_RANGE * (high - low):
                ranges.bounds[operand] = low, high

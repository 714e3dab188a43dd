"""Ranges that are changed slightly, so that the scales of a step's operands and result have simple ratios.

The arithmetic then rounds nothing but the result: the factors of an addition are whole numbers over a power of two, and
an average or a product is divided by an odd number (see `fixed_point`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.ir import Tensor
from opsin.quantization.fixed_point import factors_of, odd_divisors
from opsin.quantization.ranges import Ranges
from opsin.quantization.steps import Addition, Join, Mean, Multiplication, Step, origins_of


def align(steps: Sequence[Step], ranges: Ranges) -> None:
    """Change the ranges of operands of additions, and of averages and products of results.

    What is concatenated keeps its range, because operands share that of the result.
    """
    origins, bounds = origins_of(steps), ranges.bounds
    fixed = {t for step in steps if isinstance(step, Join) for t in (*step.inputs, step.output)} | set(ranges.factors)

    def stretch(tensor: Tensor, factor: float) -> None:
        if tensor not in fixed:
            bounds[tensor] = bounds[tensor][0] * factor, bounds[tensor][1] * factor
            fixed.add(tensor)

    for step in reversed(steps):
        operands = [origins.get(t, t) for t in step.inputs]
        if isinstance(step, Addition) and all(t in bounds for t in (step.output, *operands)):
            ratios = [ranges.scale(t).step / ranges.scale(step.output).step for t in operands]
            shift, factors = factors_of(ratios)
            for tensor, ratio, factor in zip(operands, ratios, factors, strict=True):
                stretch(tensor, max(1, factor) / 2**shift / ratio)
    for step in steps:
        operands = [origins.get(t, t) for t in step.inputs]
        if isinstance(step, Mean | Multiplication) and all(t in bounds for t in (step.output, *operands)):
            unit = float(np.prod([ranges.scale(t).step for t in operands]))
            unit *= step.factor if isinstance(step, Mean) else 1.0
            ratio = ranges.scale(step.output).step / unit
            stretch(step.output, float(odd_divisors(np.array([ratio]))[0]) / ratio)

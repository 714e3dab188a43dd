"""Which tensors of a quantized network are 8-bit integers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from opsin.ir import Tensor
from opsin.quantization.steps import Move, Product, Rest, Step


def is_integer(step: Step, float_layers: Collection[str]) -> bool:
    """Whether a step can be computed with integers."""
    return not isinstance(step, Rest) and step.layer not in float_layers


def integer_tensors(steps: Sequence[Step], float_layers: Collection[str] = ()) -> set[Tensor]:
    """Return the tensors that some step reads as 8-bit integers.

    Products always read integers. Other steps do if their result is read as integers; otherwise they would round for
    nothing.
    """
    tensors: set[Tensor] = set()
    for step in reversed(steps):
        if is_integer(step, float_layers) and (isinstance(step, Product) or step.output in tensors):
            tensors.update(step.inputs)
    return tensors


def observed_tensors(steps: Sequence[Step], float_layers: Collection[str] = ()) -> list[Tensor]:
    """Return the tensors whose ranges must be known: all integer ones that are not merely moved, in order."""
    integers = integer_tensors(steps, float_layers)
    moved = {step.output for step in steps if isinstance(step, Move) and is_integer(step, float_layers)}
    order = dict.fromkeys(t for step in steps for t in (*step.inputs, step.output))
    return [t for t in order if t in integers and t not in moved]

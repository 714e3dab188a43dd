"""Receptive fields: how much of the picture one number of each tensor can see (Araujo, Norris & Sim 2019).

By rows and by columns a tensor has an extent, the pixels one of its places sees, and a jump, the pixels from
one place to the next. A window of k places with stride s sees (k - 1) · jump more, and multiplies the jump by s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from opsin import ops
from opsin.graph import Dim, Graph, Node, Tensor

Step = tuple[Fraction | int, Fraction | int]
"""How many places of its operand one place of a result sees, and how many lie between neighbours."""
STAY: Step = (1, 1)


@dataclass(frozen=True)
class Sight:
    """What one place sees along one axis, in pixels."""

    extent: Fraction = Fraction(1)
    jump: Fraction = Fraction(1)

    def through(self, step: Step) -> Sight:
        places, stride = step
        return Sight(self.extent + (places - 1) * self.jump, self.jump * stride)

    def joined(self, other: Sight) -> Sight:
        return Sight(max(self.extent, other.extent), max(self.jump, other.jump))


def receptive_fields(graph: Graph) -> dict[Tensor, tuple[int, int]]:
    """Rows and columns that one place of each tensor sees of the first input, at most all of it.

    Tensors that do not depend on the input are left out.
    """
    (pictures, *_) = graph.inputs
    height, width = pictures.shape[-2:]
    seen: dict[Tensor, tuple[Sight, Sight]] = {pictures: (Sight(), Sight())}
    for node in graph.nodes:
        operands = [seen[t] for t in node.inputs if t in seen]
        if operands:
            rows, columns = operands[0]
            for more_rows, more_columns in operands[1:]:
                rows, columns = rows.joined(more_rows), columns.joined(more_columns)
            down, across = _steps(node)
            seen.update({t: (rows.through(down), columns.through(across)) for t in node.outputs})
    return {t: (_clip(rows, height), _clip(columns, width)) for t, (rows, columns) in seen.items()}


def _clip(sight: Sight, size: Dim) -> int:
    extent = math.ceil(sight.extent)
    return min(extent, size) if isinstance(size, int) else extent


def _steps(node: Node) -> tuple[Step, Step]:
    """How the places of `node`, by rows and by columns, see those of its first operand."""
    window = node.op.window(node)
    if window is not None:
        return window
    x, attrs = node.inputs[0], node.attrs
    if x.rank < 4:
        return STAY, STAY
    last = (x.rank - 2, x.rank - 1)
    match node.op.name:
        case "conv_transpose2d":
            return _enlarged(node, 0), _enlarged(node, 1)
        case "resample2d":
            return _resampled(attrs, 0), _resampled(attrs, 1)
        case "slice":
            return (1, attrs["steps"][-2]), (1, attrs["steps"][-1])
        case "sum" | "max" if 0 not in attrs["axes"]:  # over the batch too it is a statistic, not a view
            down, across = (axis in attrs["axes"] for axis in last)
            return _all(x.shape[-2]) if down else STAY, _all(x.shape[-1]) if across else STAY
        case "reshape" if node.output.shape[-2:] != x.shape[-2:]:
            return _all(x.shape[-2]), _all(x.shape[-1])
        case "transpose" if attrs["axes"][-2:] != last:
            return _all(x.shape[-2]), _all(x.shape[-1])
    return STAY, STAY


def _all(size: Dim) -> Step:
    return (size, 1) if isinstance(size, int) else STAY


def _enlarged(node: Node, axis: int) -> Step:
    """Of a transposed convolution: the places whose window covers a new one."""
    kernel, dilation, stride = (
        node.inputs[1].type.shape[2 + axis],
        node.attrs["dilation"][axis],
        node.attrs["stride"][axis],
    )
    extent = (kernel - 1) * dilation + 1 if isinstance(kernel, int) else 1
    return math.ceil(Fraction(extent, stride)), Fraction(1, stride)


def _resampled(attrs: Mapping[str, Any], axis: int) -> Step:
    """Of a resampling: the most old places that a new one takes from."""
    source, size = attrs["source"][axis], attrs["size"][axis]
    taps = np.count_nonzero(ops.axis_weights(attrs["mode"], source, size), axis=1)
    return int(taps.max()), Fraction(source, size)

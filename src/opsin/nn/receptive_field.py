"""Receptive fields: how much of the image one number of each tensor can see.

Followed place by place rather than by formula (Araujo, Norris & Sim 2019), so that padding, branches and layers that
enlarge come out right: for every row of a tensor the first and the last row of the image that it sees, and likewise
for its columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.ir import Graph, Node, Shape, Tensor, bind

Places = NDArray[np.int64]


@dataclass(frozen=True)
class PixelSpan:
    """Along one axis, the first and the last pixel that each place sees. One entry stands for all places."""

    first: Places
    last: Places

    def __len__(self) -> int:
        return len(self.first)

    def through(self, begin: Places, end: Places) -> PixelSpan:
        """What places see that see the places from `begin` to `end` here."""
        top = len(self) - 1
        return PixelSpan(self.first[np.clip(begin, 0, top)], self.last[np.clip(end, 0, top)])

    def joined(self, other: PixelSpan) -> PixelSpan:
        return PixelSpan(np.minimum(self.first, other.first), np.maximum(self.last, other.last))

    def whole(self) -> PixelSpan:
        """What all places see together."""
        return PixelSpan(self.first.min(keepdims=True), self.last.max(keepdims=True))

    @property
    def extent(self) -> int:
        """The pixels that the place with the best view sees."""
        return max(0, int(np.max(self.last - self.first)) + 1)


NOTHING = PixelSpan(np.array([2**40]), np.array([-1]))


def receptive_fields(graph: Graph) -> dict[Tensor, tuple[int, int]]:
    """Rows and columns of the graph's first input that one place of each tensor sees.

    Numbers without a place, such as those of a linear layer, see what all of their operands see; statistics over the
    batch count as seeing nothing. Tensors that do not depend on the input are left out.
    """
    (images, *_) = graph.inputs
    seen = {images: [PixelSpan(np.arange(size), np.arange(size)) for size in _places(images.shape)]}
    for node in graph.nodes:
        operands = [seen[t] for t in node.inputs if t in seen]
        if operands:
            sights = [_sight(node, axis, [pair[axis] for pair in operands]) for axis in (0, 1)]
            seen |= dict.fromkeys(node.outputs, sights)
    return {tensor: (rows.extent, columns.extent) for tensor, (rows, columns) in seen.items()}


def _places(shape: Shape) -> tuple[int, int]:
    """Rows and columns; one of each where there are none."""
    rows, columns = bind(shape[-2:], 1) if len(shape) >= 4 else (1, 1)
    return rows, columns


def _sight(node: Node, axis: int, operands: list[PixelSpan]) -> PixelSpan:
    """What `node` sees by rows (axis 0) or by columns (axis 1)."""
    if node.op.name in ("sum", "max", "variance") and 0 in node.attrs["axes"]:
        return NOTHING
    count = _places(node.output.shape)[axis]
    reach = _reach(node, axis, np.arange(count)) if node.inputs[0].rank >= 4 else None
    if reach is not None:
        return operands[0].through(*reach)
    if any(len(sight) not in (1, count) for sight in operands):
        operands = [sight.whole() for sight in operands]
    return reduce(PixelSpan.joined, operands)


def _reach(node: Node, axis: int, place: Places) -> tuple[Places, Places] | None:
    """The first and the last place of the first operand that each `place` sees; `None` if only itself."""
    attrs, window, shape = node.attrs, node.op.window(node), _places(node.inputs[0].shape)
    if window is not None:
        extent, stride = window[axis]
        begin = place * stride - attrs["padding"][axis][0]
        return begin, begin + extent - 1
    match node.op.name:
        case "conv_transpose2d":
            kernel, dilation = _places(node.inputs[1].shape)[axis], attrs["dilation"][axis]
            at, stride = place + attrs["padding"][axis][0], attrs["stride"][axis]
            return -(((kernel - 1) * dilation - at) // stride), at // stride
        case "resample2d":
            taken = ops.axis_weights(attrs["mode"], attrs["source"][axis], attrs["size"][axis]) != 0
            return taken.argmax(1), shape[axis] - 1 - taken[:, ::-1].argmax(1)
        case "slice":
            at = attrs["starts"][axis - 2] + place * attrs["steps"][axis - 2]
            return at, at
        case "pad":
            at = (place - attrs["low"][axis - 2]) // (attrs["interior"][axis - 2] + 1)
            return at, at
        case "reshape" | "transpose" if _moved(node):
            return np.zeros_like(place), np.full_like(place, shape[axis] - 1)
    return None


def _moved(node: Node) -> bool:
    """Whether a reshape or a transposition takes elements to other rows and columns."""
    rank = node.inputs[0].rank
    if node.op.name == "transpose":
        return bool(node.attrs["axes"][-2:] != (rank - 2, rank - 1))
    return node.output.shape[-2:] != node.inputs[0].shape[-2:]

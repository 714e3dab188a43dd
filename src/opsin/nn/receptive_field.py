"""Receptive fields: the rows and columns of the image that one number of each tensor depends on.

They are propagated position by position rather than by formula (Araujo, Norris & Sim 2019): for every row of a tensor,
the first and the last row of the image that it depends on, and likewise for its columns. Padding, branches and
upsampling are therefore exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.ir import Graph, Node, Shape, Tensor, bind

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class PixelSpan:
    """The first and the last pixel that each position along an axis depends on. A single entry applies to all."""

    first: Positions
    last: Positions

    def __len__(self) -> int:
        return len(self.first)

    def compose(self, begin: Positions, end: Positions) -> PixelSpan:
        """Compose spans: the input pixels seen by outputs that read `begin … end` of this tensor."""
        top = len(self) - 1
        return PixelSpan(self.first[np.clip(begin, 0, top)], self.last[np.clip(end, 0, top)])

    def union(self, other: PixelSpan) -> PixelSpan:
        """Return the pixels that either span covers, position by position."""
        return PixelSpan(np.minimum(self.first, other.first), np.maximum(self.last, other.last))

    def hull(self) -> PixelSpan:
        """Return the pixels that all positions together depend on."""
        return PixelSpan(self.first.min(keepdims=True), self.last.max(keepdims=True))

    @property
    def extent(self) -> int:
        """The number of pixels of the widest entry."""
        return max(0, int(np.max(self.last - self.first)) + 1)


EMPTY_SPAN = PixelSpan(np.array([2**40]), np.array([-1]))


def receptive_fields(graph: Graph) -> dict[Tensor, tuple[int, int]]:
    """Return the number of rows and columns of the first input that one position of each tensor depends on.

    Tensors that do not depend on it are left out.
    """
    spans = receptive_spans(graph)
    return {tensor: (rows.extent, columns.extent) for tensor, (rows, columns) in spans.items()}


def receptive_spans(graph: Graph) -> dict[Tensor, tuple[PixelSpan, PixelSpan]]:
    """Return the rows and the columns of the first input that each position of each tensor depends on.

    Where an output reads padding, they extend only over the image. Vectors, such as the outputs of linear layers,
    depend on everything that their operands depend on. Statistics over the batch count as independent of the input.
    Tensors that do not depend on it are left out.
    """
    (images, *_) = graph.inputs
    height, width = (PixelSpan(np.arange(size), np.arange(size)) for size in _image_size(images.shape))
    spans = {images: (height, width)}
    for node in graph.nodes:
        operands = [spans[t] for t in node.inputs if t in spans]
        if operands:
            rows, columns = (_span(node, axis, [operand[axis] for operand in operands]) for axis in (0, 1))
            spans |= dict.fromkeys(node.outputs, (rows, columns))
    return spans


def _image_size(shape: Shape) -> tuple[int, int]:
    """Return rows and columns; 1 and 1 for tensors without these axes."""
    rows, columns = bind(shape[-2:], 1) if len(shape) >= 4 else (1, 1)
    return rows, columns


def _span(node: Node, axis: int, operands: list[PixelSpan]) -> PixelSpan:
    """Return the span of the outputs of `node`, by rows (axis 0) or by columns (axis 1)."""
    if node.op.name in ("sum", "max", "variance") and 0 in node.attrs["axes"]:
        return EMPTY_SPAN
    count = _image_size(node.output.shape)[axis]
    reach = _reach(node, axis, np.arange(count)) if node.inputs[0].rank >= 4 else None
    if reach is not None:
        return operands[0].compose(*reach)
    if any(len(span) not in (1, count) for span in operands):
        operands = [span.hull() for span in operands]
    return reduce(PixelSpan.union, operands)


def _reach(node: Node, axis: int, position: Positions) -> tuple[Positions, Positions] | None:
    """Return the first and the last position of the first operand that each `position` reads; `None` if only itself."""
    attrs, window, shape = node.attrs, node.op.window(node), _image_size(node.inputs[0].shape)
    if window is not None:
        extent, stride = window[axis]
        begin = position * stride - attrs["padding"][axis][0]
        return begin, begin + extent - 1
    match node.op.name:
        case "conv_transpose2d":
            kernel, dilation = _image_size(node.inputs[1].shape)[axis], attrs["dilation"][axis]
            at, stride = position + attrs["padding"][axis][0], attrs["stride"][axis]
            return -(((kernel - 1) * dilation - at) // stride), at // stride
        case "resample2d":
            is_read = ops.axis_weights(attrs["mode"], attrs["source"][axis], attrs["size"][axis]) != 0
            return is_read.argmax(1), shape[axis] - 1 - is_read[:, ::-1].argmax(1)
        case "slice":
            at = attrs["starts"][axis - 2] + position * attrs["steps"][axis - 2]
            return at, at
        case "pad":
            at = (position - attrs["low"][axis - 2]) // (attrs["interior"][axis - 2] + 1)
            return at, at
        case "reshape" | "transpose" if _mixes_positions(node):
            return np.zeros_like(position), np.full_like(position, shape[axis] - 1)
    return None


def _mixes_positions(node: Node) -> bool:
    """Return whether a reshape or a transposition moves elements to other rows and columns."""
    rank = node.inputs[0].rank
    if node.op.name == "transpose":
        return bool(node.attrs["axes"][-2:] != (rank - 2, rank - 1))
    return node.output.shape[-2:] != node.inputs[0].shape[-2:]

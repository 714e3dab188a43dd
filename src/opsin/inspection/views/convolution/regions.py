"""Which numbers a part of a step's output is made of: regions of the tensors that the step reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opsin.compiler.simplify import constant_value
from opsin.explain.arithmetic.evaluate import CARRIED, FUNCTIONS, WEIGHTED
from opsin.ir import Node, Shape, Tensor, bind
from opsin.kernels.resample import nonzero_runs
from opsin.ops import axis_weights

Span = tuple[int, int]
"""The first index, and the one past the last."""
POINTWISE = frozenset(FUNCTIONS) | CARRIED | {"power"}
WINDOWS = frozenset(("max_pool2d", "avg_pool2d"))
REDUCTIONS = frozenset(("sum", "max"))


@dataclass(frozen=True)
class Region:
    """Some channels, and the `rows` and `columns` of each: of an N×C×H×W tensor, or of N×C, whose sides are 1."""

    channels: tuple[int, ...]
    rows: Span = (0, 1)
    columns: Span = (0, 1)

    @property
    def count(self) -> int:
        """The numbers of the region."""
        return len(self.channels) * (self.rows[1] - self.rows[0]) * (self.columns[1] - self.columns[0])

    def joined(self, other: Region) -> Region:
        """Return the smallest region that contains both."""
        return Region(
            tuple(sorted({*self.channels, *other.channels})),
            (min(self.rows[0], other.rows[0]), max(self.rows[1], other.rows[1])),
            (min(self.columns[0], other.columns[0]), max(self.columns[1], other.columns[1])),
        )


def sides(shape: Shape) -> tuple[int, int, int]:
    """Return (channels, rows, columns) of a tensor N×C×H×W or N×C."""
    channels, rows, columns = (*bind(shape[1:], 1), 1, 1)[:3]
    return channels, rows, columns


def whole(shape: Shape) -> Region:
    """Return the region of a whole tensor."""
    channels, rows, columns = sides(shape)
    return Region(tuple(range(channels)), (0, rows), (0, columns))


def read_regions(nodes: Sequence[Node], output: Region) -> dict[Tensor, Region] | None:
    """Return the regions of images and vectors that the nodes of a step read, and those of their own results.

    Parameters are not among them. None if a node is not one that the page can compute.
    """
    regions: dict[Tensor, Region] = {nodes[-1].output: output}
    for node in reversed(nodes):
        needed = regions.get(node.output)
        if needed is None:
            continue
        for tensor in node.inputs:
            if not is_map(tensor) or (tensor is not node.inputs[0] and node.op.name in WEIGHTED):
                continue
            region = _read(node, tensor, needed)
            if region is None:
                return None
            regions[tensor] = regions[tensor].joined(region) if tensor in regions else region
    return regions


def is_map(tensor: Tensor) -> bool:
    """Whether a tensor has the batch axis, and is no constant."""
    return tensor.rank in (2, 4) and not isinstance(tensor.shape[0], int) and constant_value(tensor) is None


def _read(node: Node, tensor: Tensor, needed: Region) -> Region | None:
    """Return what `node` reads of an operand for a region of its result."""
    name, attrs, full = node.op.name, node.attrs, whole(tensor.shape)
    if name == "conv2d":
        filters, channels, *kernel = bind(node.inputs[1].shape, 1)
        per_group = filters // attrs["groups"]
        groups = sorted({k // per_group for k in needed.channels})
        inputs = tuple(g * channels + c for g in groups for c in range(channels))
        spans = _windows(needed, kernel, attrs["stride"], attrs["dilation"], attrs["padding"], full)
        return Region(inputs, *spans)
    if name == "conv_transpose2d":
        channels, filters, *kernel = bind(node.inputs[1].shape, 1)
        per_group = channels // attrs["groups"]
        groups = sorted({k // filters for k in needed.channels})
        return Region(
            tuple(g * per_group + c for g in groups for c in range(per_group)), *_reaching(needed, kernel, node)
        )
    if name == "resample2d":
        return Region(needed.channels, *_resampled(needed, node))
    if name in WINDOWS:
        return Region(
            needed.channels, *_windows(needed, attrs["window"], attrs["stride"], (1, 1), attrs["padding"], full)
        )
    if name == "matmul":
        return full
    if name in REDUCTIONS:
        axes = attrs["axes"]
        numbers = needed.channels if 1 not in axes else full.channels
        return Region(numbers, *(full.rows, full.columns) if 2 in axes else (needed.rows, needed.columns))
    if name in POINTWISE:
        _, rows, columns = sides(tensor.shape)
        shown = full.channels if len(full.channels) == 1 else needed.channels
        return Region(shown, (0, 1) if rows == 1 else needed.rows, (0, 1) if columns == 1 else needed.columns)
    if name == "slice" and set(attrs["steps"]) == {1}:
        return _shifted(needed, [int(n) for n in attrs["starts"]], full)
    if name == "pad" and not any(attrs["interior"]):
        return _shifted(needed, [-int(n) for n in attrs["low"]], full)
    return None


def _windows(
    needed: Region,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[tuple[int, int]],
    full: Region,
) -> tuple[Span, Span]:
    """Return the rows and columns under the windows of `needed`, as far as they are inside the image."""
    spans = []
    for axis, (first, last) in enumerate((needed.rows, needed.columns)):
        start = first * stride[axis] - padding[axis][0]
        stop = (last - 1) * stride[axis] - padding[axis][0] + (kernel[axis] - 1) * dilation[axis] + 1
        spans.append(_inside((start, stop), (full.rows, full.columns)[axis][1]))
    return spans[0], spans[1]


def _reaching(needed: Region, kernel: Sequence[int], node: Node) -> tuple[Span, Span]:
    """Return the rows and columns of a transposed convolution's input whose kernels reach `needed`."""
    spans, attrs = [], node.attrs
    for axis, (first, last) in enumerate((needed.rows, needed.columns)):
        stride, before = attrs["stride"][axis], attrs["padding"][axis][0]
        start = -(-(first + before - (kernel[axis] - 1) * attrs["dilation"][axis]) // stride)
        size = sides(node.inputs[0].shape)[1 + axis]
        spans.append(_inside((start, (last - 1 + before) // stride + 1), size))
    return spans[0], spans[1]


def _resampled(needed: Region, node: Node) -> tuple[Span, Span]:
    """Return the rows and columns that `resample2d` reads."""
    spans, attrs = [], node.attrs
    for source, size, (first, last) in zip(attrs["source"], attrs["size"], (needed.rows, needed.columns), strict=True):
        starts, counts, _ = nonzero_runs(axis_weights(attrs["mode"], source, size))
        spans.append((int(starts[first:last].min()), int((starts + counts)[first:last].max())))
    return spans[0], spans[1]


def _shifted(needed: Region, by: Sequence[int], full: Region) -> Region:
    channels, rows, columns = (*by[1:], 0, 0)[:3]
    numbers = tuple(c + channels for c in needed.channels if 0 <= c + channels < len(full.channels)) or (0,)
    moved = [
        (first + shift, last + shift)
        for (first, last), shift in zip((needed.rows, needed.columns), (rows, columns), strict=True)
    ]
    return Region(numbers, _inside(moved[0], full.rows[1]), _inside(moved[1], full.columns[1]))


def _inside(span: Span, size: int) -> Span:
    """Return the part of `span` inside an axis of `size`; one index if there is none."""
    first, last = max(0, span[0]), min(size, span[1])
    return (first, last) if first < last else (min(max(0, span[0]), size - 1), min(max(0, span[0]), size - 1) + 1)

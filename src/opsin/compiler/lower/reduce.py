"""Reductions, divided over the batch or over blocks."""

from __future__ import annotations

from math import prod

from opsin.compiler.calls import KernelCall, Partition, is_per_sample
from opsin.compiler.lower.context import Lowering
from opsin.compiler.views import View, row_major
from opsin.ir import Node
from opsin.kernels.argmax import ArgMax
from opsin.kernels.reduce import Reduce, segment_elements


def reduce(lowering: Lowering, node: Node) -> list[KernelCall]:
    axes: tuple[int, ...] = node.attrs["axes"]
    x = lowering.view(node.inputs[0])
    copies: list[KernelCall] = []
    if not _is_readable(x):
        x, copies = lowering.copy(x, row_major(len(x.shape)))
    result = lowering.result(node.output, _result_order(x, axes))
    lowering.bind(node.output, result)
    return [*copies, *_reduce(lowering, node.op.name, axes, x, result)]


def _reduce(lowering: Lowering, function: str, axes: tuple[int, ...], x: View, result: View) -> list[KernelCall]:
    """Return the calls that reduce a readable view: by chunks, by samples, by blocks, or in one block."""
    loops = _Loops(x, result, axes)
    batch = lowering.batch

    def call(destination: View, shared: int, block: int, partition: Partition, blocks: int = 1) -> KernelCall:
        segment_loop, segment = loops.segments(lowering.target.lanes, block if shared else None)
        if function != "sum":
            segment_loop, segment = None, []
        return lowering.call(
            Reduce(function, len(loops.kept), len(loops.reduced), loops.channels, segment_loop),
            pointers={"x": x, "y": destination},
            words={**loops.words, "segment": segment, "shared": shared, "block": block},
            partition=partition,
            blocks=blocks,
            reads=[x],
            writes=[destination],
        )

    over_batch = 0 in axes and is_per_sample(x, batch) and batch > 1
    if function == "sum" and over_batch and loops.reduced and lowering.chunks > 1:
        partial = lowering.new((lowering.chunks, result.size), row_major(2))
        per_sample = loops.reduced[0][0] // batch
        return [
            call(partial, 1, lowering.chunk * per_sample, Partition.PER_CHUNK),
            lowering.combine(partial, result),
        ]
    if loops.kept and is_per_sample(x, batch) and is_per_sample(result, batch):
        return [call(result, 0, loops.kept[0][0] // batch, Partition.PER_SAMPLE)]
    return [call(result, 0, 1, Partition.ANY, loops.kept[0][0] if loops.kept else 1)]


def _is_readable(x: View) -> bool:
    """Whether the innermost dimension is contiguous and no dimension is broadcast."""
    strides = [s for n, s in zip(x.shape, x.strides, strict=True) if n > 1]
    return min(strides, default=1) == 1


def _result_order(x: View, axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the order of `x` in memory; reduced dimensions have extent 1, and their position does not matter."""
    return tuple(axes) + tuple(d for d in x.order if d not in axes)


class _Loops:
    """Kept and reduced dimensions, outermost first, neighbours of a kind merged, and the innermost by itself."""

    def __init__(self, x: View, result: View, axes: tuple[int, ...]) -> None:
        dims: list[tuple[bool, int, int, int]] = []  # reduced, extent, stride in x, stride in the result
        for d in x.order:
            if x.shape[d] == 1:
                continue
            is_reduced, n, sx, sy = d in axes, x.shape[d], x.strides[d], result.strides[d]
            if dims and dims[-1][0] == is_reduced and dims[-1][2] == n * sx and (is_reduced or dims[-1][3] == n * sy):
                dims[-1] = (is_reduced, dims[-1][1] * n, sx, sy)
            else:
                dims.append((is_reduced, n, sx, sy))
        inner = dims.pop() if dims else (True, 1, 1, 1)
        self.channels = None if inner[0] else inner[1]
        self.extent = inner[1]
        self.kept = [(n, sx, sy) for is_reduced, n, sx, sy in dims if not is_reduced]
        self.reduced = [(n, sx) for is_reduced, n, sx, _ in dims if is_reduced]

    @property
    def words(self) -> dict[str, list[int]]:
        """The words of `Reduce` about the loops: extents and strides."""
        return {
            "kept": [word for loop in self.kept for word in loop],
            "reduced": [word for loop in self.reduced for word in loop],
            "extent": [self.extent] if self.channels is None else [],
        }

    def segments(self, lanes: int, block: int | None) -> tuple[int | None, list[int]]:
        """Return the loop whose range is divided for an accurate sum, and the word for it; (None, []) if none is.

        `block` are the indices of the first reduced dimension that are summed together; None stands for all.
        """
        extents = [n for n, _ in self.reduced]
        if block is not None:
            extents[0] = min(extents[0], block)
        inner = self.extent if self.channels is None else 1
        width = lanes if self.channels is None else 1
        elements = segment_elements(prod(extents) * inner, width)
        if elements is None:
            return None, []
        for number in range(len(extents)):
            step = prod(extents[number + 1 :]) * inner  # The elements of one index.
            if step <= elements:
                return number, [elements // step]
        return len(extents), [elements]


def argmax(lowering: Lowering, node: Node) -> list[KernelCall]:
    axis: int = node.attrs["axis"]
    x = lowering.view(node.inputs[0])
    copies: list[KernelCall] = []
    around = _around(x, axis)
    if around is None:
        x, copies = lowering.copy(x, row_major(len(x.shape)))
        around = _around(x, axis)
        assert around is not None
    result = lowering.new(node.output.shape, row_major(len(node.output.shape)), "i32")  # type: ignore[arg-type]
    lowering.bind(node.output, result)
    count = around.size
    per_sample = is_per_sample(x, lowering.batch) and is_per_sample(result, lowering.batch)
    call = lowering.call(
        ArgMax(),
        pointers={"x": x, "y": result},
        words={
            "count": count,
            "length": x.shape[axis],
            "block": count // lowering.batch if per_sample else count,
            "inner": around.shape[1],
            "outer_stride": around.strides[0],
            "inner_stride": around.strides[1],
            "axis_stride": x.strides[axis],
        },
        partition=Partition.PER_SAMPLE if per_sample else Partition.ANY,
        reads=[x],
        writes=[result],
    )
    return [*copies, call]


def _around(x: View, axis: int) -> View | None:
    """Return `x` without `axis` as two dimensions, those before it and those after it, or None if that needs a copy."""
    outer, inner = x.shape[:axis], x.shape[axis + 1 :]
    rest = View(x.buffer, outer + inner, x.strides[:axis] + x.strides[axis + 1 :], x.offset)
    return rest.reshaped((prod(outer), prod(inner)))


RULES = {"sum": reduce, "max": reduce, "argmax": argmax}

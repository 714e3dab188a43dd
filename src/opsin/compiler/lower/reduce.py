"""Reductions, shared out over the batch or over blocks where that pays."""

from __future__ import annotations

from math import prod

from opsin.compiler.calls import own_images
from opsin.compiler.lower.context import Lowering
from opsin.compiler.views import View, row_major
from opsin.ir import Node
from opsin.kernels.argmax import ArgMax
from opsin.kernels.reduce import Reduce


def reduce(lower: Lowering, node: Node) -> None:
    axes: tuple[int, ...] = node.attrs["axes"]
    x = lower.view(node.inputs[0])
    if not _readable(x):
        x = lower.copy(x, row_major(len(x.shape)))
    result = lower.new(node.output.shape, _kept_order(x, axes))  # type: ignore[arg-type]
    lower.bind(node.output, result)
    loops = _Loops(x, result, axes)
    spec = Reduce(node.op.name, len(loops.kept), len(loops.reduced), loops.channels)
    sizes = [word for row in loops.kept for word in row] + [word for row in loops.reduced for word in row]
    sizes += [loops.extent] if loops.channels is None else []
    over_batch = 0 in axes and own_images(x, lower.batch) and lower.batch > 1
    if node.op.name == "sum" and over_batch and loops.reduced and lower.chunks > 1:
        partial = lower.new((lower.chunks, result.size), row_major(2))
        per_image = loops.reduced[0][0] // lower.batch
        lower.per_chunk(spec, [x, partial, *sizes, 1, lower.chunk * per_image], [x], [partial])
        lower.combine(partial, result)
    elif loops.kept:
        by_image = own_images(x, lower.batch) and own_images(result, lower.batch)
        if by_image:
            block = loops.kept[0][0] // lower.batch
            lower.per_image(spec, [x, result, *sizes, 0, block], [x], [result])
        else:
            lower.free(spec, [x, result, *sizes, 0, 1], [x], [result], loops.kept[0][0])
    else:
        lower.free(spec, [x, result, *sizes, 0, 1], [x], [result])


def _readable(x: View) -> bool:
    """Whether the innermost dimension is contiguous and nothing is stretched."""
    strides = [s for n, s in zip(x.shape, x.strides, strict=True) if n > 1]
    return min(strides, default=1) == 1


def _kept_order(x: View, axes: tuple[int, ...]) -> tuple[int, ...]:
    """The order of `x` in memory; reduced dimensions have extent 1, so their place does not matter."""
    return tuple(axes) + tuple(d for d in x.order if d not in axes)


class _Loops:
    """Kept and reduced dimensions, outermost first, neighbours of a kind merged, the innermost apart."""

    def __init__(self, x: View, result: View, axes: tuple[int, ...]) -> None:
        dims: list[tuple[bool, int, int, int]] = []  # reduced, extent, stride in x, stride in the result
        for d in x.order:
            if x.shape[d] == 1:
                continue
            reduced, n, sx, sy = d in axes, x.shape[d], x.strides[d], result.strides[d]
            if dims and dims[-1][0] == reduced and dims[-1][2] == n * sx and (reduced or dims[-1][3] == n * sy):
                dims[-1] = (reduced, dims[-1][1] * n, sx, sy)
            else:
                dims.append((reduced, n, sx, sy))
        inner = dims.pop() if dims else (True, 1, 1, 1)
        self.channels = None if inner[0] else inner[1]
        self.extent = inner[1]
        self.kept = [(n, sx, sy) for reduced, n, sx, sy in dims if not reduced]
        self.reduced = [(n, sx) for reduced, n, sx, _ in dims if reduced]


def argmax(lower: Lowering, node: Node) -> None:
    axis: int = node.attrs["axis"]
    x = lower.view(node.inputs[0])
    groups = _around(x, axis)
    if groups is None:
        x = lower.copy(x, row_major(len(x.shape)))
        groups = _around(x, axis)
        assert groups is not None
    length, step = x.shape[axis], x.strides[axis]
    rank = len(node.output.shape)
    result = lower.new(node.output.shape, row_major(rank), "i32")  # type: ignore[arg-type]
    lower.bind(node.output, result)
    count = groups.size
    by_image = own_images(x, lower.batch) and own_images(result, lower.batch)
    block = count // lower.batch if by_image else count
    words = [count, length, block, groups.shape[1], groups.strides[0], groups.strides[1], step]
    if by_image:
        lower.per_image(ArgMax(), [x, result, *words], [x], [result])
    else:
        lower.free(ArgMax(), [x, result, *words], [x], [result])


def _around(x: View, axis: int) -> View | None:
    """What is left of `x` without `axis`, as two dimensions: before it and after it."""
    outer, inner = x.shape[:axis], x.shape[axis + 1 :]
    kept = View(x.buffer, outer + inner, x.strides[:axis] + x.strides[axis + 1 :], x.offset)
    return kept.reshaped((prod(outer), prod(inner)))


RULES = {"sum": reduce, "max": reduce, "argmax": argmax}

"""Operations that move data, or only say that it is to be read otherwise."""

from __future__ import annotations

from opsin.compiler.lower.context import Lowering
from opsin.compiler.views import row_major
from opsin.ir import INT, Node
from opsin.kernels.expression import IDENTITY


def _element(node: Node) -> str:
    return "i32" if node.output.dtype == INT else "f32"


def reshape(lower: Lowering, node: Node) -> None:
    view = lower.view(node.inputs[0])
    shape: tuple[int, ...] = node.attrs["shape"]
    made = view.reshaped(shape) or lower.copy(view, row_major(len(view.shape))).reshaped(shape)
    assert made is not None, f"{view} as {shape}"
    lower.bind(node.output, made)


def transpose(lower: Lowering, node: Node) -> None:
    lower.bind(node.output, lower.view(node.inputs[0]).transposed(node.attrs["axes"]))


def broadcast_to(lower: Lowering, node: Node) -> None:
    lower.bind(node.output, lower.view(node.inputs[0]).broadcast(node.attrs["shape"]))


def slice(lower: Lowering, node: Node) -> None:
    view = lower.view(node.inputs[0])
    lower.bind(node.output, view.sliced(node.attrs["starts"], node.attrs["stops"], node.attrs["steps"]))


def pad(lower: Lowering, node: Node) -> None:
    view = lower.view(node.inputs[0])
    result = lower.new(node.output.shape, None, _element(node))  # type: ignore[arg-type]
    low, interior = node.attrs["low"], node.attrs["interior"]
    if result.size != view.size:
        lower.fill(result, 0.0)
    steps = tuple(gap + 1 for gap in interior)
    stops = tuple(at + (n - 1) * step + 1 for at, n, step in zip(low, view.shape, steps, strict=True))
    if view.size:
        lower.pointwise(IDENTITY, [view], [result.sliced(low, stops, steps)])
    lower.bind(node.output, result)


def concat(lower: Lowering, node: Node) -> None:
    axis: int = node.attrs["axis"]
    result = lower.new(node.output.shape, None, _element(node))  # type: ignore[arg-type]
    at = 0
    for operand in node.inputs:
        view = lower.view(operand)
        starts = tuple(at if d == axis else 0 for d in range(len(view.shape)))
        at += view.shape[axis]
        stops = tuple(start + n for start, n in zip(starts, view.shape, strict=True))
        lower.pointwise(IDENTITY, [view], [result.sliced(starts, stops, (1,) * len(starts))])
    lower.bind(node.output, result)


RULES = {
    "reshape": reshape,
    "transpose": transpose,
    "broadcast_to": broadcast_to,
    "slice": slice,
    "pad": pad,
    "concat": concat,
}

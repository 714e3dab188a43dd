"""Operations that move data, or only change how it is read."""

from __future__ import annotations

from opsin.compiler.calls import KernelCall
from opsin.compiler.lower.context import Lowering
from opsin.compiler.views import row_major
from opsin.ir import Node
from opsin.kernels.expression import IDENTITY


def reshape(lowering: Lowering, node: Node) -> list[KernelCall]:
    view = lowering.view(node.inputs[0])
    shape: tuple[int, ...] = node.attrs["shape"]
    calls: list[KernelCall] = []
    result = view.reshaped(shape)
    if result is None:
        copy, calls = lowering.copy(view, row_major(len(view.shape)))
        result = copy.reshaped(shape)
    assert result is not None, f"{view} as {shape}"
    lowering.bind(node.output, result)
    return calls


def transpose(lowering: Lowering, node: Node) -> list[KernelCall]:
    lowering.bind(node.output, lowering.view(node.inputs[0]).transposed(node.attrs["axes"]))
    return []


def broadcast_to(lowering: Lowering, node: Node) -> list[KernelCall]:
    lowering.bind(node.output, lowering.view(node.inputs[0]).broadcast(node.attrs["shape"]))
    return []


def slice(lowering: Lowering, node: Node) -> list[KernelCall]:
    view = lowering.view(node.inputs[0])
    lowering.bind(node.output, view.sliced(node.attrs["starts"], node.attrs["stops"], node.attrs["steps"]))
    return []


def pad(lowering: Lowering, node: Node) -> list[KernelCall]:
    view = lowering.view(node.inputs[0])
    result = lowering.result(node.output)
    low, interior = node.attrs["low"], node.attrs["interior"]
    calls = [lowering.fill(result, node.attrs.get("value", 0))] if result.size != view.size else []
    steps = tuple(gap + 1 for gap in interior)
    stops = tuple(start + (n - 1) * step + 1 for start, n, step in zip(low, view.shape, steps, strict=True))
    if view.size:
        calls.append(lowering.pointwise(IDENTITY, [view], [result.sliced(low, stops, steps)]))
    lowering.bind(node.output, result)
    return calls


def concat(lowering: Lowering, node: Node) -> list[KernelCall]:
    axis: int = node.attrs["axis"]
    result = lowering.result(node.output)
    calls: list[KernelCall] = []
    begin = 0
    for operand in node.inputs:
        view = lowering.view(operand)
        starts = tuple(begin if d == axis else 0 for d in range(len(view.shape)))
        begin += view.shape[axis]
        stops = tuple(start + n for start, n in zip(starts, view.shape, strict=True))
        calls.append(lowering.pointwise(IDENTITY, [view], [result.sliced(starts, stops, (1,) * len(starts))]))
    lowering.bind(node.output, result)
    return calls


RULES = {
    "reshape": reshape,
    "transpose": transpose,
    "broadcast_to": broadcast_to,
    "slice": slice,
    "pad": pad,
    "concat": concat,
}

"""Operators that make one number of many, along axes."""

from __future__ import annotations

from collections.abc import Callable

from opsin import ops
from opsin.interop.onnx.call import OnnxCall
from opsin.interop.onnx.rules.table import rule
from opsin.ir import Tensor

Axes = tuple[int, ...]

REDUCTIONS: dict[str, Callable[[Tensor, Axes, bool], Tensor]] = {
    "ReduceL1": lambda x, axes, keep: ops.sum(ops.absolute(x), axes, keep),
    "ReduceL2": lambda x, axes, keep: ops.sqrt(ops.sum(ops.square(x), axes, keep)),
    "ReduceLogSum": lambda x, axes, keep: ops.log(ops.sum(x, axes, keep)),
    "ReduceMax": ops.max,
    "ReduceMean": ops.mean,
    "ReduceMin": lambda x, axes, keep: ops.negate(ops.max(ops.negate(x), axes, keep)),
    "ReduceSum": ops.sum,
    "ReduceSumSquare": lambda x, axes, keep: ops.sum(ops.square(x), axes, keep),
}


@rule(*REDUCTIONS)
def _reduce(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    axes, all_of_them = call.axes(1), not call.whole("noop_with_empty_axes", 0)
    chosen = tuple(axes) if axes else tuple(range(x.rank)) if all_of_them else ()
    return REDUCTIONS[call.node.op](x, chosen, bool(call.whole("keepdims", 1)))

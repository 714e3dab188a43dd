"""Import rules of reductions along axes."""

from __future__ import annotations

from collections.abc import Callable

from opsin import ops
from opsin.interop.onnx.call import OnnxCall
from opsin.interop.onnx.rules.registry import rule
from opsin.ir import Tensor

Axes = tuple[int, ...]

REDUCTIONS: dict[str, Callable[[Tensor, Axes, bool], Tensor]] = {
    "ReduceL1": lambda x, axes, keepdims: ops.sum(ops.absolute(x), axes, keepdims),
    "ReduceL2": lambda x, axes, keepdims: ops.sqrt(ops.sum(ops.square(x), axes, keepdims)),
    "ReduceLogSum": lambda x, axes, keepdims: ops.log(ops.sum(x, axes, keepdims)),
    "ReduceMax": ops.max,
    "ReduceMean": ops.mean,
    "ReduceMin": lambda x, axes, keepdims: ops.negate(ops.max(ops.negate(x), axes, keepdims)),
    "ReduceSum": ops.sum,
    "ReduceSumSquare": lambda x, axes, keepdims: ops.sum(ops.square(x), axes, keepdims),
}


@rule(*REDUCTIONS)
def _reduce(call: OnnxCall) -> Tensor:
    x = call.tensor(0)
    axes, reduces_all = call.axes(1), not call.attr_int("noop_with_empty_axes", 0)
    reduction_axes = tuple(axes) if axes else tuple(range(x.rank)) if reduces_all else ()
    return REDUCTIONS[call.node.op](x, reduction_axes, bool(call.attr_int("keepdims", 1)))

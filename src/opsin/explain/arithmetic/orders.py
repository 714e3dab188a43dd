"""In which order the engine adds the terms of each tensor: found in the plan of the program that computed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opsin.compiler.calls import KernelCall
from opsin.compiler.execution_plan import ExecutionPlan
from opsin.compiler.views import Buffer, View
from opsin.kernels.expression import IDENTITY
from opsin.kernels.ir import Target
from opsin.kernels.pointwise import Pointwise
from opsin.kernels.reduce import Combine
from opsin.kernels.summation import Summation
from opsin.kernels.transpose import Transpose


@dataclass(frozen=True)
class Order:
    """How a tensor was summed: by the kernel called `kernel`, as `summation` says.

    `fused`: products are added without being rounded. `axes` are the reduced axes of a plain sum, outermost first.
    `summation` is None if the kernel's order is not described, as that of Winograd's algorithm.
    """

    kernel: str
    summation: Summation | None
    fused: bool
    axes: tuple[int, ...] = ()


def find_orders(program: Any, names: Sequence[str]) -> list[Order | None]:
    """Return how `program` sums each of its outputs `names`; None if the engine does not say so.

    Only the native engine does. An output that is not a sum has the order of the call that computes it, too.
    """
    plan, target = getattr(program, "plan", None), getattr(program, "target", None)
    if not isinstance(plan, ExecutionPlan) or not isinstance(target, Target):
        return [None] * len(names)
    writers: dict[Buffer, list[KernelCall]] = {}
    for call in plan.calls:
        for buffer in call.writes:
            writers.setdefault(buffer, []).append(call)
    return [_order(writers, plan.outputs[name], target) for name in names]


def _order(writers: dict[Buffer, list[KernelCall]], view: View, target: Target) -> Order | None:
    calls = writers.get(view.buffer)
    while calls and _is_copy(calls[0]):
        calls = writers.get(next((a.buffer for a in calls[0].arguments if isinstance(a, View)), view.buffer))
    if not calls:
        return None
    first = next(a for a in calls[0].arguments if isinstance(a, View))
    return Order(type(calls[0].spec).__name__, _summation(calls, target), target.fma, first.order)


def _summation(calls: Sequence[KernelCall], target: Target) -> Summation | None:
    """Return the order of a tensor's sums; None if its parts are summed in different ones, as phases of a transposed
    convolution may be."""
    parts = [call for call in calls if isinstance(call.spec, type(calls[0].spec))]
    first, *others = [call.spec.summation([a for a in call.arguments if isinstance(a, int)], target) for call in parts]
    return first if all(other == first for other in others) else None


def _is_copy(call: KernelCall) -> bool:
    """Whether a call moves the results of another one, or adds its parts in order."""
    if isinstance(call.spec, Pointwise):
        return call.spec.expression == IDENTITY
    return isinstance(call.spec, Transpose | Combine)

"""A plan that fits into a given memory, by computing again as little as that takes."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from opsin.base.errors import CompileError
from opsin.base.formatting import megabytes
from opsin.compiler.execution_plan import NONE, ExecutionPlan, plan_simplified
from opsin.compiler.lower import Choices
from opsin.compiler.recompute import StoredActivation, cheap, macs, recompute, segments, stored
from opsin.compiler.rematerialize import rematerialize_cheap
from opsin.compiler.simplify import simplify
from opsin.ir import Graph, Tensor
from opsin.kernels.ir import Target

COUNTS = (2, 3, 4, 6, 8, 12, 16, 24)
"""Into how many stretches the forward pass is cut, in turn."""


@dataclass(frozen=True)
class Planner:
    """Plans one graph, with any of its activations computed twice."""

    graph: Graph
    batch: int
    target: Target
    exact: bool
    choices: Choices = field(default_factory=lambda: NONE)

    def __call__(self, dropped: Sequence[Tensor]) -> ExecutionPlan:
        # Nodes and tensors refer to each other, so that plans tried before would stay in memory for long.
        gc.collect()
        changed, copies = recompute(self.graph, dropped, self.batch)
        plan = plan_simplified(changed, self.batch, self.target, self.exact, self.choices, copies)
        return replace(plan, recomputed=macs(changed) - macs(self.graph))


def plan_within_memory(
    graph: Graph, batch: int, target: Target, threads: int, memory: int, exact: bool = False, choices: Choices = NONE
) -> ExecutionPlan:
    """As `make_plan`, for programs of at most `memory` bytes on `threads` threads.

    First whatever takes no multiply-add is computed again, the largest tensors before others, as far as needed; then
    whole stretches of the forward pass. Every choice is measured by a whole plan. `CompileError` with the least
    memory found where none fits.
    """
    make = Planner(rematerialize_cheap(simplify(graph, batch)), batch, target, exact, choices)
    items = stored(make.graph, batch)
    light = [s.tensor for s in cheap(items)]

    def size(plan: ExecutionPlan) -> int:
        return plan.bytes_with(threads)

    plan = make([])
    if size(plan) <= memory:
        return plan
    sizes = [size(plan), size(make(light))]
    if sizes[1] <= memory:
        return _shortest([light[:n] for n in range(1, len(light) + 1)], make, lambda plan: size(plan) <= memory)
    found: list[ExecutionPlan] = []
    for drops in _choices(items, light):
        sizes.append(size(make(drops[-1])))
        if sizes[-1] <= memory:
            found.append(_shortest(drops, make, lambda plan: size(plan) <= memory))
    if found:
        return min(found, key=lambda plan: plan.recomputed)
    least = min(sizes)
    raise CompileError(
        f"this takes at least {megabytes(least, 'up')} with a batch of {batch}, even when activations are computed "
        f"again instead of kept; {megabytes(memory, 'down')} were allowed: allow more, or take a smaller batch"
    )


def _choices(items: Sequence[StoredActivation], light: Sequence[Tensor]) -> list[list[list[Tensor]]]:
    """For each way to cut the forward pass: what to drop, from the first stretch alone to all of them.

    What is cheap goes, too, unless a stretch is computed from it.
    """
    found = []
    seen = set()
    for count in COUNTS:
        parts = segments(items, count)
        inner = {s.tensor for part in parts for s in part}
        if not inner or frozenset(inner) in seen:
            continue
        seen.add(frozenset(inner))
        needed = {t for s in items if s.tensor in inner for t in s.sources}
        others = [t for t in light if t not in inner and t not in needed]
        prefixes = accumulate(([s.tensor for s in part] for part in parts), lambda a, b: a + b)
        found.append([[*dict.fromkeys(others + prefix)] for prefix in prefixes])
    return found


def _shortest(
    choices: Sequence[Sequence[Tensor]], make: Planner, fits: Callable[[ExecutionPlan], bool]
) -> ExecutionPlan:
    """The plan of the first of `choices`, each more than the one before, that fits; the last is known to."""
    low, high = 0, len(choices) - 1
    plan = None
    while low < high:
        middle = (low + high) // 2
        made = make(choices[middle])
        if fits(made):
            high, plan = middle, made
        else:
            low = middle + 1
    return plan or make(choices[high])

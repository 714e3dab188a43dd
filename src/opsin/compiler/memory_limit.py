"""A plan within a memory limit, which computes as little as possible for a second time."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from opsin.base.errors import CompileError
from opsin.base.formatting import megabytes
from opsin.compiler.clips import simplify_on_images
from opsin.compiler.execution_plan import ExecutionPlan, plan_simplified, sample_count
from opsin.compiler.lower.conv_algorithms import NO_ALGORITHMS, ConvAlgorithms
from opsin.compiler.precision import Precision
from opsin.compiler.recompute import StoredActivation, cheap_activations, macs, recompute, segments, stored_activations
from opsin.compiler.rematerialize import rematerialize_cheap
from opsin.ir import Graph, Tensor
from opsin.kernels.ir import Target

SEGMENT_COUNTS = (2, 3, 4, 6, 8, 12, 16, 24)
"""The numbers of segments into which the forward pass is cut, in the order in which they are tried."""

MIN_COLLECTED_NODES = 1000
"""Earlier plans of graphs larger than this are removed from memory at once, which takes a pass over all objects."""


@dataclass(frozen=True)
class RecomputePlanner:
    """Makes plans of one graph, with any of its activations computed twice."""

    graph: Graph
    batch: int
    target: Target
    winograd: bool = True
    conv_algorithms: ConvAlgorithms = field(default_factory=lambda: NO_ALGORITHMS)
    precision: Precision = Precision.FLOAT32

    def __call__(self, dropped_tensors: Sequence[Tensor]) -> ExecutionPlan:
        if len(self.graph.nodes) > MIN_COLLECTED_NODES:
            # Nodes and tensors refer to each other, so that earlier plans would otherwise stay in memory for long.
            gc.collect()
        rewritten_graph, copies = recompute(self.graph, dropped_tensors, self.batch)
        plan = plan_simplified(
            rewritten_graph, self.batch, self.target, self.winograd, self.conv_algorithms, copies, self.precision
        )
        return replace(plan, recomputed=macs(rewritten_graph) - macs(self.graph))


def plan_within_memory(
    graph: Graph,
    batch: int,
    target: Target,
    threads: int,
    memory: int,
    winograd: bool = True,
    conv_algorithms: ConvAlgorithms = NO_ALGORITHMS,
    precision: Precision = Precision.FLOAT32,
) -> ExecutionPlan:
    """Return a plan as `make_plan` does, for programs of at most `memory` bytes on `threads` threads.

    Tensors without multiply-accumulate operations are computed again first, the largest before others, as far as
    needed; then whole segments of the forward pass. A complete plan is made to measure each option. Raise
    `CompileError` with the smallest memory found if none fits.
    """
    simplified_graph, samples = rematerialize_cheap(simplify_on_images(graph, batch)), sample_count(graph, batch)
    make = RecomputePlanner(simplified_graph, samples, target, winograd, conv_algorithms, precision)
    items = stored_activations(make.graph, samples)
    cheap_tensors = [s.tensor for s in cheap_activations(items)]

    def size(plan: ExecutionPlan) -> int:
        return plan.bytes_with(threads)

    plan = make([])
    if size(plan) <= memory:
        return plan
    sizes = [size(plan), size(make(cheap_tensors))]
    if sizes[1] <= memory:
        return _shortest(
            [cheap_tensors[:n] for n in range(1, len(cheap_tensors) + 1)], make, lambda plan: size(plan) <= memory
        )
    plans: list[ExecutionPlan] = []
    for drops in _drop_lists(items, cheap_tensors):
        sizes.append(size(make(drops[-1])))
        if sizes[-1] <= memory:
            plans.append(_shortest(drops, make, lambda plan: size(plan) <= memory))
    if plans:
        return min(plans, key=lambda plan: plan.recomputed)
    min_size = min(sizes)
    raise CompileError(
        f"this takes at least {megabytes(min_size, 'up')} with a batch of {batch}, even when activations are computed "
        f"again instead of kept; {megabytes(memory, 'down')} were allowed: allow more, or take a smaller batch"
    )


def _drop_lists(items: Sequence[StoredActivation], cheap_tensors: Sequence[Tensor]) -> list[list[list[Tensor]]]:
    """Return for each way to cut the forward pass what to drop, from one segment to all of them.

    Cheap tensors are dropped, too, unless a segment is computed from them.
    """
    drop_lists = []
    drop_sets = set()
    for count in SEGMENT_COUNTS:
        parts = segments(items, count)
        inner = {s.tensor for part in parts for s in part}
        if not inner or frozenset(inner) in drop_sets:
            continue
        drop_sets.add(frozenset(inner))
        source_tensors = {t for s in items if s.tensor in inner for t in s.sources}
        other_tensors = [t for t in cheap_tensors if t not in inner and t not in source_tensors]
        prefixes = accumulate(([s.tensor for s in part] for part in parts), lambda a, b: a + b)
        drop_lists.append([[*dict.fromkeys(other_tensors + prefix)] for prefix in prefixes])
    return drop_lists


def _shortest(
    drops: Sequence[Sequence[Tensor]], make: RecomputePlanner, fits: Callable[[ExecutionPlan], bool]
) -> ExecutionPlan:
    """Return the plan of the first of `drops`, each longer than the one before, that fits; the last one must."""
    low, high = 0, len(drops) - 1
    plan = None
    while low < high:
        middle = (low + high) // 2
        candidate = make(drops[middle])
        if fits(candidate):
            high, plan = middle, candidate
        else:
            low = middle + 1
    return plan or make(drops[high])

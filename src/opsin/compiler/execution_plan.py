"""The compilation pipeline from a graph to a plan: everything a program needs but addresses and machine code."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from opsin.compiler.arena import aligned_size, lifetimes, place
from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.clips import simplify_on_images
from opsin.compiler.cost_model import EPYC_ZEN3
from opsin.compiler.fusion import fusion_groups
from opsin.compiler.lower import Lowering, lower_group
from opsin.compiler.lower.context import ViewAndCalls
from opsin.compiler.lower.conv_algorithms import NO_ALGORITHMS, ConvAlgorithms, select
from opsin.compiler.passes import FPROP, RECOMPUTE, UPDATE, assign_passes
from opsin.compiler.precision import Precision, narrow_tensors
from opsin.compiler.recompute import memory_bound, recompute
from opsin.compiler.rematerialize import rematerialize_cheap
from opsin.compiler.schedule import CallGroup, schedule
from opsin.compiler.sink_calls import sink_calls
from opsin.compiler.split_groups import split_groups
from opsin.compiler.variables import place_inputs, update_in_place
from opsin.compiler.views import Buffer, View
from opsin.ir import Graph, Node, Size, Tensor, bind
from opsin.kernels.expression import IDENTITY
from opsin.kernels.ir import Target


@dataclass
class ExecutionPlan:
    """Calls in groups, with the offset of every buffer; offsets and sizes count words of four bytes.

    The first `setup` groups depend only on variables that no run changes, such as the weights of a network that only
    predicts. They run once, and their results stay in memory. `tuned_algorithms` are those that come from tuning
    instead of the heuristic, by problem. `recomputed` counts the multiply-accumulate operations of the backward pass
    that the forward pass has done already.
    """

    graph: Graph
    batch: int
    chunk: int
    groups: list[CallGroup]
    setup: int
    inputs: dict[str, View]
    variables: dict[str, View]
    outputs: dict[str, View]
    tables: dict[Buffer, int]
    temporaries: dict[Buffer, int]
    permanent: dict[Buffer, int]
    permanent_size: int
    table_size: int
    arena_size: int
    scratch_size: int
    tuned_algorithms: dict[str, str] = field(default_factory=dict)
    recomputed: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether the backward pass finds everything it reads in memory, and nothing is computed for a second time."""
        return not any(call.direction == RECOMPUTE for call in self.calls)

    @property
    def calls(self) -> list[KernelCall]:
        """All calls, in order."""
        return [call for group in self.groups for call in group.calls]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """Yield the plan as text: groups, and in each the calls with their blocks, layer and operation."""
        per_blocks = {Partition.PER_SAMPLE: " an image", Partition.PER_CHUNK: f", {self.chunk} images each"}
        for number, group in enumerate(self.groups):
            how = "once" if number < self.setup else "image by image" if group.by_sample else "by blocks"
            yield f"group {number}, {how}"
            for call in group.calls:
                blocks = f"{call.blocks} block{'s' if call.blocks > 1 else ''}{per_blocks.get(call.partition, '')}"
                yield f"  {type(call.spec).__name__:18} {blocks:28} {call.label:18} {call.scope}".rstrip()
        megabytes = 1e-6 * self.bytes
        scratch = 4e-6 * self.scratch_size
        yield f"{len(self.calls)} calls, {megabytes:.1f} MB, and {scratch:.2f} MB of scratch for each thread"

    @property
    def bytes(self) -> int:
        """Memory of the program, without the threads' scratch."""
        return 4 * (self.permanent_size + self.table_size + self.arena_size)

    def bytes_with(self, threads: int) -> int:
        """Return the memory of the program on `threads` threads, in bytes."""
        return self.bytes + 4 * self.scratch_size * threads


def make_plan(
    graph: Graph,
    batch: int,
    target: Target,
    winograd: bool = True,
    conv_algorithms: ConvAlgorithms = NO_ALGORITHMS,
    precision: Precision = Precision.FLOAT32,
) -> ExecutionPlan:
    """Return a plan of `graph` (bound to `batch`, or free) for processors like `target`.

    `winograd` allows algorithms with Winograd's rounding. `conv_algorithms` override the heuristic, by problem (see
    `lower.conv_algorithms`). `precision` decides what is stored as bfloat16 (see `precision`).
    """
    simplified_graph, samples = rematerialize_cheap(simplify_on_images(graph, batch)), sample_count(graph, batch)
    rewritten_graph, copies = recompute(simplified_graph, memory_bound(simplified_graph, samples), samples)
    return plan_simplified(rewritten_graph, samples, target, winograd, conv_algorithms, copies, precision)


def sample_count(graph: Graph, batch: int) -> int:
    """Return the number of samples that are computed independently of each other for most of a graph.

    It is that of the rows of the first input, `batch` or a multiple of it, such as two views of each image.
    """
    shape = graph.inputs[0].shape if graph.inputs else ()
    return int(bind(shape[0], batch)) if shape and isinstance(shape[0], Size) else batch


def plan_simplified(
    graph: Graph,
    batch: int,
    target: Target,
    winograd: bool = True,
    conv_algorithms: ConvAlgorithms = NO_ALGORITHMS,
    recomputed: Collection[Node] = (),
    precision: Precision = Precision.FLOAT32,
) -> ExecutionPlan:
    """Return a plan as `make_plan` does, of a bound and simplified graph; `recomputed` nodes compute a second time.

    Here `batch` counts samples (see `sample_count`).
    """
    passes = assign_passes(graph, recomputed)
    views = place_inputs(graph)
    costs = EPYC_ZEN3
    destinations, order = update_in_place(graph, fusion_groups(graph, costs), views)
    chunk = max(1, min(costs.max_chunk, batch // costs.min_chunks))
    narrow = narrow_tensors(graph, batch, precision)
    selections = select(graph, winograd, conv_algorithms, costs, narrow, target)
    lowering = Lowering(batch, chunk, target, selections, costs, narrow, dict(views))
    roots = frozenset(graph.roots)
    calls: list[KernelCall] = []
    for group in order:
        calls += lower_group(lowering, graph, group, roots, destinations, passes)
    outputs: dict[str, View] = {}
    for name, tensor in graph.outputs.items():
        outputs[name], copies = _output(lowering, tensor)
        calls += [call.described(scope="", label="copy", direction=FPROP) for call in copies]
    calls += [call.described(scope="", label="copy", direction=UPDATE) for call in _updates(lowering, graph)]
    once, always = _split_setup(calls)
    setup = schedule(once, by_sample=False)
    groups = setup + split_groups(sink_calls(schedule(always, by_sample=batch >= costs.max_chunk)))
    return _placed(graph, lowering, groups, len(setup), views, outputs)


def _split_setup(calls: list[KernelCall]) -> tuple[list[KernelCall], list[KernelCall]]:
    """Return the calls with the same results in every run, and the others."""
    dynamic_buffers = {buffer for call in calls for buffer in call.reads if buffer.role == "input"}
    dynamic_buffers |= {buffer for call in calls for buffer in call.writes if buffer.role == "variable"}

    def is_changing(call: KernelCall) -> bool:
        return not (dynamic_buffers.isdisjoint(call.reads) and dynamic_buffers.isdisjoint(call.writes))

    count = 0
    while len(dynamic_buffers) > count:  # Again, if a buffer that an earlier call read turned out to change.
        count = len(dynamic_buffers)
        for call in calls:
            if is_changing(call):
                dynamic_buffers.update(call.writes)
    return [call for call in calls if not is_changing(call)], [call for call in calls if is_changing(call)]


def _output(lowering: Lowering, tensor: Tensor) -> ViewAndCalls:
    """Return an output's own view: variables and inputs may change before it is read, so they are copied."""
    view = lowering.view(tensor)
    if view.is_narrow:
        return lowering.wide(view)
    return (view, []) if view.buffer.role == "temporary" else lowering.copy(view, view.order)


def _updates(lowering: Lowering, graph: Graph) -> list[KernelCall]:
    """Return copies of new values into their variables, if not updated in place: all are read before any is written."""
    calls: list[KernelCall] = []
    moves: list[tuple[View, View]] = []
    for name, value in graph.updates.items():
        view, variable = lowering.view(value), lowering.view(graph.variables[name])
        if view is variable:
            continue
        if view.buffer.role == "variable":
            view, copies = lowering.copy(view, view.order)
            calls += copies
        moves.append((view, variable))
    return calls + [lowering.pointwise(IDENTITY, [view], [variable]) for view, variable in moves]


def _placed(
    graph: Graph,
    lowering: Lowering,
    groups: list[CallGroup],
    setup: int,
    views: dict[Tensor, View],
    outputs: dict[str, View],
) -> ExecutionPlan:
    """Return the plan, with every buffer placed in permanent memory, in the tables, or in the arena."""
    output_buffers = {view.buffer for view in outputs.values()}
    setup_results = dict.fromkeys(buffer for group in groups[:setup] for call in group.calls for buffer in call.writes)
    spans = {b: span for b, span in lifetimes(groups, output_buffers).items() if b not in setup_results}
    temporaries, arena_size = place(spans)
    permanent: dict[Buffer, int] = {}
    tables: dict[Buffer, int] = {}
    permanent_size = table_size = 0
    for buffer in [*(view.buffer for view in views.values()), *sorted(setup_results, key=lambda b: b.words)]:
        permanent[buffer] = permanent_size
        permanent_size += aligned_size(buffer.words)
    for group in groups:
        for call in group.calls:
            for buffer in call.reads:
                if buffer.role == "table" and buffer not in tables:
                    tables[buffer] = table_size
                    table_size += aligned_size(buffer.words)
    tuned = {str(s.problem): str(s.algorithm) for s in lowering.selections.values() if s.is_tuned}
    return ExecutionPlan(
        graph=graph,
        batch=lowering.batch,
        chunk=lowering.chunk,
        groups=groups,
        setup=setup,
        inputs={t.node.attrs["name"]: views[t] for t in graph.inputs},
        variables={name: views[t] for name, t in graph.variables.items()},
        outputs=outputs,
        tables=tables,
        temporaries=temporaries,
        permanent=permanent,
        permanent_size=permanent_size,
        table_size=table_size,
        arena_size=arena_size,
        scratch_size=max((call.scratch for group in groups for call in group.calls), default=0),
        tuned_algorithms=tuned,
    )

"""The whole way from a graph to a plan: everything a program needs but addresses and machine code."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from opsin.compiler.arena import lifetimes, place, room
from opsin.compiler.calls import KernelCall
from opsin.compiler.fusion import FusionGroup, clusters
from opsin.compiler.lower import Choices, Lowering, fixed, lower_cluster
from opsin.compiler.passes import AGAIN, FORWARD, UPDATE, directions
from opsin.compiler.recompute import pointwise, recompute
from opsin.compiler.rematerialize import rematerialize_cheap
from opsin.compiler.schedule import Group, schedule
from opsin.compiler.simplify import simplify
from opsin.compiler.sink_calls import sink_calls
from opsin.compiler.split_groups import split_groups
from opsin.compiler.variables import in_place, place_inputs
from opsin.compiler.views import Buffer, View
from opsin.ir import Graph, Node, Tensor
from opsin.kernels.expression import IDENTITY
from opsin.kernels.ir import Target

CHUNK = 4
"""Most images of a chunk. Small enough that their activations stay in the second-level cache, and
that a batch makes chunks for many threads; enough rows for a matrix product to reuse its weights."""
CHUNKS = 16
"""Chunks a batch should have at least, as long as a chunk has an image."""
NONE: Choices = MappingProxyType({})
"""Everything is left to the model."""


@dataclass
class ExecutionPlan:
    """Calls in groups, with every buffer's place; offsets and sizes count elements of four bytes.

    The first `setup` groups depend on nothing but variables that no run changes, such as the weights of a
    network that only predicts: they run once, and what they make stays.
    """

    graph: Graph
    batch: int
    chunk: int
    groups: list[Group]
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
    recomputed: int = 0
    """Multiply-adds of the backward pass that the forward pass has done already, to save memory."""

    @property
    def is_complete(self) -> bool:
        """Whether the backward pass finds all it needs in memory, and nothing is computed for a second time."""
        return not any(call.direction == AGAIN for call in self.calls)

    @property
    def calls(self) -> list[KernelCall]:
        return [call for group in self.groups for call in group.calls]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """The plan as text: groups, and in each the calls with their blocks, layer and operation."""
        for number, group in enumerate(self.groups):
            how = "once" if number < self.setup else "image by image" if group.by_image else "by blocks"
            yield f"group {number}, {how}"
            for call in group.calls:
                per = {"image": " an image", "chunk": f", {self.chunk} images each"}.get(call.split, "")
                blocks = f"{call.blocks} block{'s' if call.blocks > 1 else ''}{per}"
                yield f"  {type(call.spec).__name__:18} {blocks:28} {call.label:18} {call.scope}".rstrip()
        mega = 1e-6 * self.bytes
        yield f"{len(self.calls)} calls, {mega:.1f} MB, and {4e-6 * self.scratch_size:.2f} MB of scratch a thread"

    @property
    def bytes(self) -> int:
        """Memory of the program, all threads' scratch apart."""
        return 4 * (self.permanent_size + self.table_size + self.arena_size)

    def bytes_with(self, threads: int) -> int:
        """Memory of the program on so many threads."""
        return self.bytes + 4 * self.scratch_size * threads


def make_plan(graph: Graph, batch: int, target: Target, exact: bool = False, choices: Choices = NONE) -> ExecutionPlan:
    """Plans `graph` (bound to `batch` or free) for processors like `target`; `exact`: no Winograd.

    `choices` are the ways of convolutions that are not left to the model, by problem (see `lower.ways`).
    """
    whole = rematerialize_cheap(simplify(graph, batch))
    changed, again = recompute(whole, pointwise(whole, batch), batch)
    return plan_simplified(changed, batch, target, exact, choices, again)


def plan_simplified(
    graph: Graph,
    batch: int,
    target: Target,
    exact: bool = False,
    choices: Choices = NONE,
    again: Collection[Node] = (),
) -> ExecutionPlan:
    """As `make_plan`, of a graph that is bound and simplified already; `again` computes for a second time."""
    roles = directions(graph, again)
    views = place_inputs(graph)
    order = clusters(graph)
    places, order = in_place(graph, order, views)
    chunk = max(1, min(CHUNK, batch // CHUNKS))
    lower = Lowering(batch, chunk, target, exact, choices, fixed(graph))
    lower.views.update(views)
    roots = frozenset(graph.roots)
    for cluster in order:
        start = len(lower.calls)
        lower_cluster(lower, cluster, _kept(graph, cluster, roots), places)
        _explain(lower.calls[start:], cluster, roles)
    start = len(lower.calls)
    lower.scope, lower.label, lower.timed = "", "copy", False
    outputs = {name: _settled(lower, tensor) for name, tensor in graph.outputs.items()}
    copies = len(lower.calls)
    _update(lower, graph)
    for number, call in enumerate(lower.calls[start:], start):
        call.direction = FORWARD if number < copies else UPDATE
    once, always = _prepared(lower.calls)
    setup = schedule(once, by_image=False)
    groups = setup + split_groups(sink_calls(schedule(always, by_image=batch >= CHUNK)))
    return _placed(graph, lower, groups, len(setup), views, outputs)


def _explain(calls: list[KernelCall], cluster: FusionGroup, roles: Mapping[Node, str]) -> None:
    """Notes which part of the step the calls of one cluster are; the last computes what is fused."""
    leader = cluster.anchor or [*cluster][-1]
    for call in calls:
        call.direction = roles[leader]
    if calls:
        calls[-1].fused = tuple(dict.fromkeys([node.op.name for node in cluster.nodes if node is not leader]))


def _prepared(calls: list[KernelCall]) -> tuple[list[KernelCall], list[KernelCall]]:
    """The calls whose results are the same in every run, and the others."""
    changing = {buffer for call in calls for buffer in call.reads if buffer.role == "input"}
    changing |= {buffer for call in calls for buffer in call.writes if buffer.role == "variable"}

    def changes(call: KernelCall) -> bool:
        return not (changing.isdisjoint(call.reads) and changing.isdisjoint(call.writes))

    known = 0
    while len(changing) > known:  # once more where a buffer that was read before is found to change
        known = len(changing)
        for call in calls:
            if changes(call):
                changing.update(call.writes)
    return [call for call in calls if not changes(call)], [call for call in calls if changes(call)]


def _kept(graph: Graph, cluster: FusionGroup, roots: frozenset[Tensor]) -> list[Tensor]:
    """What of a cluster is read by others or asked for."""
    nodes = [*cluster]
    members = set(nodes)
    return [
        tensor
        for node in nodes
        for tensor in node.outputs
        if tensor in roots or not members.issuperset(graph.users[tensor])
    ]


def _settled(lower: Lowering, tensor: Tensor) -> View:
    """An output's own view: variables and inputs may change before it is read, so they are copied."""
    view = lower.view(tensor)
    return view if view.buffer.role == "temporary" else lower.copy(view, view.order)


def _update(lower: Lowering, graph: Graph) -> None:
    """Copies new values that are not computed in place into their variables, all read before any is written."""
    moves = []
    for name, value in graph.updates.items():
        view, goal = lower.view(value), lower.view(graph.variables[name])
        if view is goal:
            continue
        if view.buffer.role == "variable":
            view = lower.copy(view, view.order)
        moves.append((view, goal))
    for view, goal in moves:
        lower.pointwise(IDENTITY, [view], [goal])


def _placed(
    graph: Graph,
    lower: Lowering,
    groups: list[Group],
    setup: int,
    views: dict[Tensor, View],
    outputs: dict[str, View],
) -> ExecutionPlan:
    kept = {view.buffer for view in outputs.values()}
    lasting = dict.fromkeys(buffer for group in groups[:setup] for call in group.calls for buffer in call.writes)
    spans = {b: span for b, span in lifetimes(groups, kept).items() if b not in lasting}
    temporaries, arena_size = place(spans)
    permanent: dict[Buffer, int] = {}
    tables: dict[Buffer, int] = {}
    permanent_size = table_size = 0
    for buffer in [*(view.buffer for view in views.values()), *sorted(lasting, key=lambda b: b.size)]:
        permanent[buffer] = permanent_size
        permanent_size += room(buffer.size)
    for group in groups:
        for call in group.calls:
            for buffer in call.reads:
                if buffer.role == "table" and buffer not in tables:
                    tables[buffer] = table_size
                    table_size += room(buffer.size)
    return ExecutionPlan(
        graph=graph,
        batch=lower.batch,
        chunk=lower.chunk,
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
    )

"""Units: the boxes of a diagram. A main operation, and the functions and rearrangements around it, are one unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from opsin.ir import VARIABLE, Graph, Node, bind, macs, product
from opsin.viz import captions
from opsin.viz.op_groups import OpGroup, group_operations

ABSORBING_KINDS = frozenset({
    captions.CONV, captions.DEPTHWISE, captions.LINEAR, captions.MAX_POOL, captions.AVERAGE_POOL, captions.RESAMPLE,
})  # fmt: skip
"""Kinds of groups that absorb the functions before and after them."""


@dataclass(frozen=True, eq=False)
class Unit:
    """One box of a diagram."""

    kind: str
    path: str
    """The layer of the main operation."""
    caption: str
    """The main operation: "3×3 conv, /2"."""
    before: str
    """Functions applied to the input, in their order: "batch norm, ReLU"."""
    after: str
    """Functions applied to the output."""
    shape: tuple[int, ...]
    """The shape of the output for one image, without the batch axis."""
    parameters: int
    macs: int
    scopes: tuple[str, ...]
    """All layers that the unit stands for."""
    sources: tuple[Unit, ...] = field(repr=False)
    """The units that this one reads."""
    groups: tuple[OpGroup, ...] = field(default=(), repr=False)
    """The operations of the unit, in their order."""


@dataclass(eq=False)
class UnitBuilder:
    """The groups of a future unit."""

    main: OpGroup
    before: list[OpGroup] = field(default_factory=list)
    after: list[OpGroup] = field(default_factory=list)

    @property
    def groups(self) -> list[OpGroup]:
        return [*self.before, self.main, *self.after]


def find_units(graph: Graph, kinds: Mapping[str, str]) -> list[Unit]:
    """Return the units from the graph's first input to its first output, in topological order.

    `kinds` is what `nn.layer_kinds` returns.
    """
    builders = _merge_groups(group_operations(graph))
    builder_of = {group: builder for builder in builders for group in builder.groups}
    counted_parameters: set[Node] = set()
    unit_of: dict[UnitBuilder, Unit] = {}
    for builder in builders:
        operands = dict.fromkeys(builder_of[source] for group in builder.groups for source in group.sources)
        sources = tuple(unit_of[other] for other in operands if other is not builder)
        unit_of[builder] = _unit(builder, sources, kinds, counted_parameters)
    return list(unit_of.values())


def _merge_groups(groups: list[OpGroup]) -> list[UnitBuilder]:
    """Merge each main group with the minor ones that belong to it alone; the others become units of their own."""
    readers: dict[OpGroup, list[OpGroup]] = {group: [] for group in groups}
    for group in groups:
        for source in dict.fromkeys(group.sources):
            readers[source].append(group)
    builders: dict[OpGroup, UnitBuilder] = {}
    for group in groups:
        host = builders[group.sources[0]] if group.sources else None
        if host and not group.is_main and len(readers[group.sources[0]]) == 1 and _follows(group, host, readers[group]):
            builders[group] = host
            host.after.append(group)
        else:
            builders[group] = UnitBuilder(group)
    for builder in reversed(list(dict.fromkeys(builders.values()))):
        last = builder.groups[-1]
        if len(readers[last]) == 1 and _precedes(builder, builders[readers[last][0]]):
            host = builders[readers[last][0]]
            host.before[:0] = builder.groups
            builders |= dict.fromkeys(builder.groups, host)
    return list(dict.fromkeys(builders[group] for group in groups if builders[group].groups[-1] is group))


def _follows(group: OpGroup, builder: UnitBuilder, readers: list[OpGroup]) -> bool:
    """Whether a minor group, which `readers` read, belongs to the unit that it reads."""
    main, shape = builder.main, builder.groups[-1].output.shape
    if group.rearranges and main.rearranges:
        return not _stacks(group, readers)
    if group.rearranges:
        squeezes = not _selects(group) and (len(shape) == 5 or all(size == 1 for size in shape[2:]))
        return squeezes and group.output.rank <= 4
    if not main.is_main:
        return not main.rearranges
    return captions.kind_of(main) in ABSORBING_KINDS or (len(set(main.sources)) > 1 and not _variables(group))


def _precedes(builder: UnitBuilder, reader: UnitBuilder) -> bool:
    """Whether minor groups belong to the unit that reads them."""
    if builder.main.is_main or any(_selects(group) for group in builder.groups):
        return False
    return captions.kind_of(reader.main) in ABSORBING_KINDS or _stacks(builder.main, [reader.main])


def _stacks(group: OpGroup, readers: list[OpGroup]) -> bool:
    """Whether a group only reshapes its input, for a concatenation along a new axis."""
    reshapes = all(node.op.name == "reshape" for node in group.nodes)
    return reshapes and group.output.rank == 5 and [captions.kind_of(reader) for reader in readers] == [captions.CONCAT]


def _selects(group: OpGroup) -> bool:
    """Whether a group selects or reorders values, which a diagram should show."""
    return any(node.op.name in ("slice", "transpose") for node in group.nodes)


def _unit(
    builder: UnitBuilder, sources: tuple[Unit, ...], kinds: Mapping[str, str], counted_parameters: set[Node]
) -> Unit:
    """Build a unit; parameters in `counted_parameters` belong to an earlier one that shares them."""
    main, nodes = builder.main, [node for group in builder.groups for node in group.nodes]
    variables = [v for group in builder.groups for v in _variables(group)]
    new_parameters = dict.fromkeys(v for v in variables if v.attrs["trainable"] and v not in counted_parameters)
    counted_parameters.update(new_parameters)
    is_minor = not main.is_main
    return Unit(
        kind=captions.kind_of(main),
        path=main.scope,
        caption=captions.functions(builder.groups, kinds) if is_minor else captions.caption(main, kinds),
        before="" if is_minor else captions.functions(builder.before, kinds),
        after="" if is_minor else captions.functions(builder.after, kinds),
        shape=bind(builder.groups[-1].output.shape[1:], 1) or (1,),
        parameters=sum(int(bind((product(v.output.shape),), 1)[0]) for v in new_parameters),
        macs=macs(nodes),
        scopes=tuple(dict.fromkeys(group.scope for group in builder.groups)),
        sources=sources,
        groups=tuple(builder.groups),
    )


def _variables(group: OpGroup) -> list[Node]:
    """Return the variables that a group reads, directly or through operations on variables alone."""
    variables: dict[Node, None] = {}
    excluded_nodes = {node for source in group.sources for node in source.nodes} | set(group.nodes)
    stack = [t.node for node in group.nodes for t in node.inputs]
    while stack:
        node = stack.pop()
        if node not in excluded_nodes and node not in variables:
            variables[node] = None
            stack += (t.node for t in node.inputs)
    return [node for node in variables if node.op is VARIABLE]

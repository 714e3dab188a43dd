"""Groups of operations that a reader would count as one step, and the data flow between them.

A layer that does one thing is one group, whatever operations it consists of. The operations of larger layers are
groups of their own, except that functions of a single tensor, such as x · sigmoid(x), stay together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from opsin.ir import INPUT, Graph, Node, Tensor, topological

REARRANGING = frozenset({"reshape", "transpose", "slice", "pad", "broadcast_to"})
MAIN_OPS = frozenset({"conv2d", "conv_transpose2d", "matmul", "max_pool2d", "avg_pool2d", "resample2d"})


@dataclass(eq=False)
class OpGroup:
    """Operations that belong together, and the groups whose results they read, in the operations' order."""

    scope: str
    nodes: list[Node]
    sources: list[OpGroup] = field(default_factory=list)

    @property
    def output(self) -> Tensor:
        return self.nodes[-1].output

    @property
    def main_op(self) -> Node | None:
        """The operation that convolves, multiplies matrices, concatenates or pools; None if there is none."""
        first = self.nodes[0]
        if reduces(first) or first.op.name == "concat":
            return first
        return next((node for node in self.nodes if node.op.name in MAIN_OPS), None)

    @property
    def rearranges(self) -> bool:
        """Whether the group only rearranges values."""
        return all(node.op.name in REARRANGING for node in self.nodes)

    @property
    def is_main(self) -> bool:
        """Whether the group is more than an elementwise function or a rearrangement of one tensor."""
        return self.nodes[0].op is INPUT or self.main_op is not None or len(set(self.sources)) > 1


def reduces(node: Node) -> bool:
    """Whether `node` reduces the rows and columns of each channel to one value, as global pooling does."""
    return node.op.name in ("sum", "max") and node.inputs[0].rank == 4 and {2, 3} <= set(node.attrs["axes"])


def group_operations(graph: Graph) -> list[OpGroup]:
    """Return the groups on the paths from the graph's first input to its first output, in topological order."""
    nodes = _main_path(graph)
    on_path = set(nodes)
    containers = _containers(nodes)
    groups: list[OpGroup] = []
    for component in (component for run in _runs(nodes) for component in _connected(run)):
        scope = component[0].scope
        is_simple = scope not in containers and sum(node.op.name in MAIN_OPS for node in component) <= 1
        members_of_groups = [component] if is_simple else _operations(component, on_path)
        groups += [OpGroup(scope, members) for members in members_of_groups]
    order = {node: number for number, node in enumerate(nodes)}
    groups.sort(key=lambda group: order[group.nodes[-1]])
    group_of = {node: group for group in groups for node in group.nodes}
    for group in groups:
        sources = (group_of[t.node] for node in group.nodes for t in node.inputs if t.node in on_path)
        group.sources = [source for source in sources if source is not group]
    _chain_concats(groups)
    return groups


def _main_path(graph: Graph) -> list[Node]:
    """Return the nodes that depend on the first input and lead to the first output, in topological order."""
    begin = graph.inputs[0].node
    on_path = {begin: None}  # an ordered set
    for node in topological([next(iter(graph.outputs.values()))]):
        if any(t.node in on_path for t in node.inputs):
            on_path[node] = None
    return list(on_path)


def _containers(nodes: list[Node]) -> set[str]:
    """Return the scopes that contain other scopes, and that of the network itself."""
    paths = (scope.split(".") for scope in {node.scope for node in nodes})
    return {""} | {".".join(path[:depth]) for path in paths for depth in range(1, len(path))}


def _runs(nodes: list[Node]) -> Iterator[list[Node]]:
    """Yield runs of consecutive nodes of one layer; the input is a separate run."""
    run: list[Node] = []
    for node in nodes:
        if run and (node.scope != run[0].scope or run[0].op is INPUT):
            yield run
            run = []
        run.append(node)
    yield run


def _connected(run: list[Node]) -> list[list[Node]]:
    """Return the connected components of a run: a layer may be used twice in a row, on different tensors."""
    components: list[list[Node]] = []
    for node in run:
        connected = [part for part in components if any(t.node in part for t in node.inputs)]
        component = [member for part in connected for member in part] + [node]
        components = [part for part in components if part not in connected] + [component]
    return components


def _operations(run: list[Node], on_path: set[Node]) -> list[list[Node]]:
    """Split a run into operations; those that fork from a tensor and merge in a function of it alone stay together."""
    group = {node: [node] for node in run}
    root: dict[Node, Node] = {}
    for node in run:
        sources = list(dict.fromkeys(t.node for t in node.inputs if t.node in on_path))
        origins = {root.get(source, source) for source in sources}
        mixes = node.op.name in MAIN_OPS or node.op.name == "concat" or reduces(node) or len(origins) != 1
        root[node] = node if mixes else origins.pop()
        if not mixes and len(sources) > 1:
            members = _between(root[node], node, root, on_path)
            group_members = [member for member in run if member in members]
            group.update((member, group_members) for member in members)
    return list({id(nodes): nodes for nodes in group.values()}.values())


def _between(root: Node, end: Node, roots: dict[Node, Node], on_path: set[Node]) -> set[Node]:
    """Return all nodes on paths from `root` (exclusive) to `end`."""
    nodes: set[Node] = set()
    stack = [end]
    while stack:
        node = stack.pop()
        if node is not root and node in roots and node in on_path and node not in nodes:
            nodes.add(node)
            stack += (t.node for t in node.inputs)
    return nodes


def _chain_concats(groups: list[OpGroup]) -> None:
    """Let a concatenation that extends another one read that one, as in densely connected networks."""
    first_with: dict[tuple[object, ...], OpGroup] = {}
    for group in groups:
        node = group.nodes[0]
        if node.op.name != "concat" or len(group.nodes) > 1 or len(group.sources) != len(node.inputs):
            continue
        keys = [(node.attrs["axis"], *node.inputs[:count]) for count in range(len(node.inputs) + 1)]
        first_with.setdefault(keys[-1], group)
        for count in range(len(node.inputs) - 1, 1, -1):
            if keys[count] in first_with:
                group.sources = [first_with[keys[count]], *group.sources[count:]]
                break

"""From a graph to its pieces: what a reader would count as one step, with the flow of images between them.

A layer that does one thing is one piece, whatever operations it is composed of. What a larger layer does itself is cut
into its operations, but for what only rearranges or reweighs one tensor, such as x · sigmoid(x).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from opsin.ir import INPUT, Graph, Node, Tensor, topological

MOVES = frozenset({"reshape", "transpose", "slice", "pad", "broadcast_to"})
WORKERS = frozenset({"conv2d", "conv_transpose2d", "matmul", "max_pool2d", "avg_pool2d", "resample2d"})


@dataclass(eq=False)
class Piece:
    """Operations that belong together, and the pieces whose results they read, in the operations' order."""

    scope: str
    nodes: list[Node]
    sources: list[Piece] = field(default_factory=list)

    @property
    def output(self) -> Tensor:
        return self.nodes[-1].output

    @property
    def worker(self) -> Node | None:
        """The operation that slides, multiplies matrices, joins, or pools everything; `None` where there is none."""
        first = self.nodes[0]
        if reduces(first) or first.op.name == "concat":
            return first
        return next((node for node in self.nodes if node.op.name in WORKERS), None)

    @property
    def moves(self) -> bool:
        """Whether nothing is computed, only rearranged."""
        return all(node.op.name in MOVES for node in self.nodes)

    @property
    def works(self) -> bool:
        """Whether this is more than numbers changed or moved one by one: it mixes places, channels or tensors."""
        return self.nodes[0].op is INPUT or self.worker is not None or len(set(self.sources)) > 1


def reduces(node: Node) -> bool:
    """Whether `node` takes one number of each channel's rows and columns, as global pooling does."""
    return node.op.name in ("sum", "max") and node.inputs[0].rank == 4 and {2, 3} <= set(node.attrs["axes"])


def cut(graph: Graph) -> list[Piece]:
    """The pieces of what leads from the graph's first input to its first output, operands first."""
    nodes = _on_the_way(graph)
    fed = set(nodes)
    containers = _containers(nodes)
    pieces: list[Piece] = []
    for part in (part for run in _runs(nodes) for part in _connected(run)):
        whole = part[0].scope not in containers and sum(node.op.name in WORKERS for node in part) <= 1
        pieces += [Piece(part[0].scope, group) for group in ([part] if whole else _operations(part, fed))]
    order = {node: number for number, node in enumerate(nodes)}
    pieces.sort(key=lambda piece: order[piece.nodes[-1]])
    place = {node: piece for piece in pieces for node in piece.nodes}
    for piece in pieces:
        read = (place[t.node] for node in piece.nodes for t in node.inputs if t.node in fed)
        piece.sources = [source for source in read if source is not piece]
    _chain_concats(pieces)
    return pieces


def _on_the_way(graph: Graph) -> list[Node]:
    """The nodes that depend on the first input and lead to the first output, operands first."""
    begin = graph.inputs[0].node
    fed = {begin: None}  # in the order of arrival
    for node in topological([next(iter(graph.outputs.values()))]):
        if any(t.node in fed for t in node.inputs):
            fed[node] = None
    return list(fed)


def _containers(nodes: list[Node]) -> set[str]:
    """The scopes that have scopes below them, the network's own included."""
    parts = (scope.split(".") for scope in {node.scope for node in nodes})
    return {""} | {".".join(path[:depth]) for path in parts for depth in range(1, len(path))}


def _runs(nodes: list[Node]) -> Iterator[list[Node]]:
    """Consecutive nodes of one layer; the input by itself."""
    run: list[Node] = []
    for node in nodes:
        if run and (node.scope != run[0].scope or run[0].op is INPUT):
            yield run
            run = []
        run.append(node)
    yield run


def _connected(run: list[Node]) -> list[list[Node]]:
    """The parts of a run that do not read each other: a layer that is used twice in a row, on different tensors."""
    parts: list[list[Node]] = []
    for node in run:
        read = [part for part in parts if any(t.node in part for t in node.inputs)]
        merged = [member for part in read for member in part] + [node]
        parts = [part for part in parts if part not in read] + [merged]
    return parts


def _operations(run: list[Node], fed: set[Node]) -> list[list[Node]]:
    """The operations one by one, but those as one that fork from a tensor and meet again in a function of it alone."""
    group = {node: [node] for node in run}
    root: dict[Node, Node] = {}
    for node in run:
        read = list(dict.fromkeys(t.node for t in node.inputs if t.node in fed))
        origins = {root.get(source, source) for source in read}
        mixes = node.op.name in WORKERS or node.op.name == "concat" or reduces(node) or len(origins) != 1
        root[node] = node if mixes else origins.pop()
        if not mixes and len(read) > 1:
            members = _between(root[node], node, root, fed)
            together = [member for member in run if member in members]
            group.update((member, together) for member in members)
    return list({id(nodes): nodes for nodes in group.values()}.values())


def _between(root: Node, end: Node, known: dict[Node, Node], fed: set[Node]) -> set[Node]:
    """Everything on the ways from `root` (not included) to `end`."""
    found: set[Node] = set()
    stack = [end]
    while stack:
        node = stack.pop()
        if node is not root and node in known and node in fed and node not in found:
            found.add(node)
            stack += (t.node for t in node.inputs)
    return found


def _chain_concats(pieces: list[Piece]) -> None:
    """Lets a concatenation that begins with all that another joins read that one: densely connected layers do so."""
    known: dict[tuple[object, ...], Piece] = {}
    for piece in pieces:
        node = piece.nodes[0]
        if node.op.name != "concat" or len(piece.nodes) > 1 or len(piece.sources) != len(node.inputs):
            continue
        keys = [(node.attrs["axis"], *node.inputs[:count]) for count in range(len(node.inputs) + 1)]
        known.setdefault(keys[-1], piece)
        for count in range(len(node.inputs) - 1, 1, -1):
            if keys[count] in known:
                piece.sources = [known[keys[count]], *piece.sources[count:]]
                break

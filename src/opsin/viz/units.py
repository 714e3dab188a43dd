"""The units of an image: each what works, together with the functions and rearrangements around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from opsin.ir import VARIABLE, Graph, Node, bind, product
from opsin.viz import labels
from opsin.viz.pieces import Piece, cut

HOSTS = frozenset({labels.CONV, labels.DEPTHWISE, labels.LINEAR, labels.MAX_POOL, labels.AVERAGE_POOL, labels.RESAMPLE})


@dataclass(frozen=True, eq=False)
class Unit:
    """One box of the image."""

    kind: str
    path: str
    """The layer whose work it is."""
    caption: str
    """What it does: "3×3 conv, /2"."""
    before: str
    """Functions of what it reads, in their order: "batch norm, ReLU"."""
    after: str
    """Functions of what it makes."""
    shape: tuple[int, ...]
    """Of what it gives on, for one image."""
    parameters: int
    macs: int
    scopes: tuple[str, ...]
    """Every layer that it stands for."""
    sources: tuple[Unit, ...] = field(repr=False)
    """The units that it reads."""


@dataclass(eq=False)
class Cluster:
    """A unit in the making."""

    main: Piece
    before: list[Piece] = field(default_factory=list)
    after: list[Piece] = field(default_factory=list)

    @property
    def pieces(self) -> list[Piece]:
        return [*self.before, self.main, *self.after]


def units(graph: Graph, kinds: Mapping[str, str]) -> list[Unit]:
    """The units from the graph's first input to its first output, operands first; `kinds` as `nn.layer_kinds` gives."""
    pieces = cut(graph)
    clusters = _gather(pieces)
    home = {piece: cluster for cluster in clusters for piece in cluster.pieces}
    counted: set[Node] = set()
    made: dict[Cluster, Unit] = {}
    for cluster in clusters:
        read = dict.fromkeys(home[source] for piece in cluster.pieces for source in piece.sources)
        sources = tuple(made[other] for other in read if other is not cluster)
        made[cluster] = _unit(cluster, sources, kinds, counted)
    return list(made.values())


def _gather(pieces: list[Piece]) -> list[Cluster]:
    """Clusters of one piece that works and soft ones that only it goes with; the others stay by themselves."""
    readers: dict[Piece, list[Piece]] = {piece: [] for piece in pieces}
    for piece in pieces:
        for source in dict.fromkeys(piece.sources):
            readers[source].append(piece)
    clusters: dict[Piece, Cluster] = {}
    for piece in pieces:
        host = clusters[piece.sources[0]] if piece.sources else None
        if host and not piece.works and len(readers[piece.sources[0]]) == 1 and _follows(piece, host, readers[piece]):
            clusters[piece] = host
            host.after.append(piece)
        else:
            clusters[piece] = Cluster(piece)
    for cluster in reversed(list(dict.fromkeys(clusters.values()))):
        last = cluster.pieces[-1]
        if len(readers[last]) == 1 and _leads(cluster, clusters[readers[last][0]]):
            host = clusters[readers[last][0]]
            host.before[:0] = cluster.pieces
            clusters |= dict.fromkeys(cluster.pieces, host)
    return list(dict.fromkeys(clusters[piece] for piece in pieces if clusters[piece].pieces[-1] is piece))


def _follows(piece: Piece, cluster: Cluster, readers: list[Piece]) -> bool:
    """Whether a soft piece, read by `readers`, belongs to what it reads."""
    main, before = cluster.main, cluster.pieces[-1].output.shape
    if piece.moves and main.moves:
        return not _stacks(piece, readers)
    if piece.moves:
        squeezes = not _parts(piece) and (len(before) == 5 or all(size == 1 for size in before[2:]))
        return squeezes and piece.output.rank <= 4
    if not main.works:
        return not main.moves
    return labels.kind_of(main) in HOSTS or (len(set(main.sources)) > 1 and not _variables(piece))


def _leads(cluster: Cluster, reader: Cluster) -> bool:
    """Whether a cluster of soft pieces belongs to what reads it."""
    if cluster.main.works or any(_parts(piece) for piece in cluster.pieces):
        return False
    return labels.kind_of(reader.main) in HOSTS or _stacks(cluster.main, [reader.main])


def _stacks(piece: Piece, readers: list[Piece]) -> bool:
    """Whether a piece only reshapes what is then joined along a new axis."""
    reshapes = all(node.op.name == "reshape" for node in piece.nodes)
    return reshapes and piece.output.rank == 5 and [labels.kind_of(reader) for reader in readers] == [labels.CONCAT]


def _parts(piece: Piece) -> bool:
    """Whether a piece takes only a part, or changes the order: an image should show that."""
    return any(node.op.name in ("slice", "transpose") for node in piece.nodes)


def _unit(cluster: Cluster, sources: tuple[Unit, ...], kinds: Mapping[str, str], counted: set[Node]) -> Unit:
    main, nodes = cluster.main, [node for piece in cluster.pieces for node in piece.nodes]
    fresh = [v for piece in cluster.pieces for v in _variables(piece) if v.attrs["trainable"] and v not in counted]
    counted.update(fresh)
    soft = not main.works
    return Unit(
        kind=labels.kind_of(main),
        path=main.scope,
        caption=labels.functions(cluster.pieces, kinds) if soft else labels.caption(main, kinds),
        before="" if soft else labels.functions(cluster.before, kinds),
        after="" if soft else labels.functions(cluster.after, kinds),
        shape=bind(cluster.pieces[-1].output.shape[1:], 1) or (1,),
        parameters=sum(int(bind((product(v.output.shape),), 1)[0]) for v in dict.fromkeys(fresh)),
        macs=sum(int(bind((node.op.macs(node),), 1)[0]) for node in nodes),
        scopes=tuple(dict.fromkeys(piece.scope for piece in cluster.pieces)),
        sources=sources,
    )


def _variables(piece: Piece) -> list[Node]:
    """The variables that a piece reads, if only through operations on variables."""
    found: dict[Node, None] = {}
    read = {source for piece_source in piece.sources for source in piece_source.nodes} | set(piece.nodes)
    stack = [t.node for node in piece.nodes for t in node.inputs]
    while stack:
        node = stack.pop()
        if node not in read and node not in found:
            found[node] = None
            stack += (t.node for t in node.inputs)
    return [node for node in found if node.op is VARIABLE]

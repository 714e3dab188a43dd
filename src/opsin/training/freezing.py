"""Which layers of a network may be frozen: all that come before a tensor that everything passes through."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from opsin import nn
from opsin.base.errors import UsageError
from opsin.ir import VARIABLE, Graph, Node, Tensor, bind, cut_points, product
from opsin.nn.paths import lineage


@dataclass(frozen=True)
class FreezePoint:
    """A place between two layers.

    `frozen` are the layers before it that have parameters, the largest that hold no others; `features` numbers of a
    image pass through it, and after it come `parameters`, and the share `work` of all multiply-adds.
    """

    frozen: tuple[str, ...]
    features: int
    parameters: int
    work: float


def cuts(network: nn.Layer, shape: nn.ImageShape) -> list[FreezePoint]:
    """Every place at which layers with parameters can be told apart into those before and those after, in order."""
    graph = nn.trace(network, shape)
    homes, layers, done = _homes(graph), nn.named_layers(network), set[Node]()
    total = _macs(graph.nodes)
    found: dict[tuple[str, ...], FreezePoint] = {}
    for gate in cut_points(graph.inputs[0], graph.outputs["logits"]):
        _add_operands(gate.node, done)
        early = [path for path, nodes in homes.items() if any(node in done for node in nodes)]
        late = [path for path, nodes in homes.items() if not all(node in done for node in nodes)]
        if not early or not late or not set(early).isdisjoint(late):
            continue
        frozen = _largest(early, late, layers)
        parameters = sum(element_count(t) for t in graph.parameters.values() if _layer(t.node) in late)
        work = _macs(node for node in graph.nodes if node not in done)
        # Of several tensors between the same layers the last is the furthest.
        found[frozen] = FreezePoint(frozen, element_count(gate), parameters, work / total if total else 0.0)
    return list(found.values())


def head(network: nn.Layer, shape: nn.ImageShape) -> FreezePoint:
    """The cut before the last layer with parameters. `UsageError` where there are none before it."""
    return last(cuts(network, shape))


def last(found: Sequence[FreezePoint]) -> FreezePoint:
    """The last of `cuts`. `UsageError` where there is none."""
    if not found:
        raise UsageError("the network has no layers that could be frozen before its last one; train all of it")
    return found[-1]


def norms(network: nn.Layer) -> tuple[str, ...]:
    """Every batch normalisation, so that it can be frozen: with few images its statistics are better left alone."""
    return tuple(path for path, layer in nn.named_layers(network).items() if isinstance(layer, nn.BatchNorm2d))


def without(layers: Iterable[str], frozen: Sequence[str]) -> tuple[str, ...]:
    """Those of `layers` that are not in `frozen` layers anyway."""
    return tuple(path for path in layers if not any(outer in frozen for outer in lineage(path)))


def _homes(graph: Graph) -> dict[str, list[Node]]:
    """The nodes that read the parameters of each layer."""
    homes: dict[str, list[Node]] = {}
    for tensor in graph.parameters.values():
        homes.setdefault(_layer(tensor.node), []).extend(graph.users[tensor])
    return homes


def _layer(variable: Node) -> str:
    """The path of the layer that a variable belongs to."""
    assert variable.op is VARIABLE
    return str(variable.attrs["name"]).rpartition(".")[0]


def _largest(early: Sequence[str], late: Sequence[str], layers: Iterable[str]) -> tuple[str, ...]:
    """The fewest layers that hold all `early` ones and no `late` one, in the network's order."""
    mixed = {outer for path in late for outer in lineage(path)}
    chosen = {next(outer for outer in lineage(path) if outer not in mixed) for path in early}
    return tuple(path for path in layers if path in chosen)


def _add_operands(node: Node, done: set[Node]) -> None:
    """Adds `node` and everything that goes into it."""
    stack = [node]
    while stack:
        node = stack.pop()
        if node not in done:
            done.add(node)
            stack += (operand.node for operand in node.inputs)


def _macs(nodes: Iterable[Node]) -> int:
    """Multiply-adds of one image."""
    return sum(int(str(bind((node.op.macs(node),), 1)[0])) for node in nodes)


def element_count(tensor: Tensor) -> int:
    """The numbers in a tensor for one image, or in a variable."""
    return int(str(bind((product(tensor.shape),), 1)[0]))

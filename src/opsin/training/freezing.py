"""The layers of a network that can be frozen together: all before a tensor through which everything passes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from opsin import nn
from opsin.base.errors import UsageError
from opsin.ir import VARIABLE, Graph, Node, Tensor, bind, cut_points, macs, product
from opsin.nn.paths import lineage


@dataclass(frozen=True)
class FreezePoint:
    """A place between two layers, at which the layers before it can be frozen.

    `frozen` are the outermost layers before it that have parameters. `features` numbers of an image pass through it.
    The layers after it have `parameters` parameters and do the share `mac_share` of all MACs.
    """

    frozen: tuple[str, ...]
    features: int
    parameters: int
    mac_share: float


def freeze_points(network: nn.Layer, shape: nn.ImageShape) -> list[FreezePoint]:
    """Return every place that separates the layers with parameters into those before and those after, in order."""
    graph = nn.trace(network, shape)
    readers, layers, lower_nodes = _readers(graph), nn.named_layers(network), set[Node]()
    total = macs(graph.nodes)
    points: dict[tuple[str, ...], FreezePoint] = {}
    for cut_point in cut_points(graph.inputs[0], graph.outputs["logits"]):
        _add_operands(cut_point.node, lower_nodes)
        lower_layers = [path for path, nodes in readers.items() if any(node in lower_nodes for node in nodes)]
        upper_layers = [path for path, nodes in readers.items() if not all(node in lower_nodes for node in nodes)]
        if not lower_layers or not upper_layers or not set(lower_layers).isdisjoint(upper_layers):
            continue
        frozen = _outermost(lower_layers, upper_layers, layers)
        parameters = sum(element_count(t) for t in graph.parameters.values() if _layer(t.node) in upper_layers)
        remaining = macs(node for node in graph.nodes if node not in lower_nodes)
        # Of several tensors between the same layers the last one is kept.
        points[frozen] = FreezePoint(frozen, element_count(cut_point), parameters, remaining / total if total else 0.0)
    return list(points.values())


def head_point(network: nn.Layer, shape: nn.ImageShape) -> FreezePoint:
    """Return the place before the last layer with parameters. `UsageError` if no layer before it has any."""
    return last_point(freeze_points(network, shape))


def last_point(points: Sequence[FreezePoint]) -> FreezePoint:
    """Return the last of `freeze_points`. `UsageError` if there is none."""
    if not points:
        raise UsageError("the network has no layers that could be frozen before its last one; train all of it")
    return points[-1]


def batch_norms(network: nn.Layer) -> tuple[str, ...]:
    """Return the paths of all batch normalizations: with few images their statistics should stay frozen."""
    return tuple(path for path, layer in nn.named_layers(network).items() if isinstance(layer, nn.BatchNorm2d))


def published_norms(network: nn.Layer) -> tuple[str, ...]:
    """Return the paths of all batch normalizations in layers that start from published weights."""
    layers = nn.named_layers(network)
    published = {path for path, layer in layers.items() if layer.pretrained is not None}
    if network.pretrained is not None:
        return batch_norms(network)
    return tuple(path for path in batch_norms(network) if not published.isdisjoint(lineage(path)))


def published_layers(network: nn.Layer, shape: nn.ImageShape) -> tuple[str, ...]:
    """Return the outermost layers that start from published weights, without a last layer that does not.

    Raise `UsageError` if there are none.
    """
    if network.pretrained is not None:
        return head_point(network, shape).frozen
    layers = tuple(path for path, layer in nn.named_layers(network).items() if layer.pretrained is not None)
    if not layers:
        raise UsageError("no layer of the network starts from published weights; leave out what keeps them")
    return layers


def without(layers: Iterable[str], frozen: Sequence[str]) -> tuple[str, ...]:
    """Return those of `layers` that are not part of `frozen` layers."""
    return tuple(path for path in layers if not any(outer in frozen for outer in lineage(path)))


def _readers(graph: Graph) -> dict[str, list[Node]]:
    """Return the nodes that read the parameters of each layer."""
    readers: dict[str, list[Node]] = {}
    for tensor in graph.parameters.values():
        readers.setdefault(_layer(tensor.node), []).extend(graph.users[tensor])
    return readers


def _layer(variable: Node) -> str:
    """Return the path of the layer that a variable belongs to."""
    assert variable.op is VARIABLE
    return str(variable.attrs["name"]).rpartition(".")[0]


def _outermost(lower: Sequence[str], upper: Sequence[str], layers: Iterable[str]) -> tuple[str, ...]:
    """Return the fewest layers that contain all of `lower` and none of `upper`, in the network's order."""
    mixed = {outer for path in upper for outer in lineage(path)}
    outermost = {next(outer for outer in lineage(path) if outer not in mixed) for path in lower}
    return tuple(path for path in layers if path in outermost)


def _add_operands(node: Node, lower_nodes: set[Node]) -> None:
    """Add `node` and everything that it depends on."""
    stack = [node]
    while stack:
        node = stack.pop()
        if node not in lower_nodes:
            lower_nodes.add(node)
            stack += (operand.node for operand in node.inputs)


def element_count(tensor: Tensor) -> int:
    """Return the number of elements of a tensor for one image, or of a variable."""
    return int(str(bind((product(tensor.shape),), 1)[0]))

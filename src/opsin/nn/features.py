"""The features of a network: what its last layer takes."""

from __future__ import annotations

from collections.abc import Iterable

from opsin.base.errors import GraphError
from opsin.ir import VARIABLE, Graph, Node, Tensor, topological
from opsin.ops import flatten, global_avg_pool2d

LAST_LAYER_OPS = ("matmul", "conv2d")


def last_layer_input(*outputs: Tensor) -> Tensor:
    """Return what the last layer with weights takes, N × features, of a network that gives these `outputs`.

    Feature maps, such as before a last layer that convolves, are averaged over each channel. Raise `GraphError` if no
    layer has weights.
    """
    return _input(topological(outputs))


def penultimate_graph(graph: Graph) -> Graph:
    """Cut `graph` (images → logits) before its last layer with weights: images → "features", N × F.

    Feature maps, such as before a last layer that convolves, are averaged over each channel. Raise `GraphError` if no
    layer has weights.
    """
    return Graph(graph.inputs, {"features": last_layer_input(*graph.outputs.values())}).verify()


def _input(nodes: Iterable[Node]) -> Tensor:
    for node in reversed(tuple(nodes)):
        if node.op.name in LAST_LAYER_OPS and any(_is_weight(operand) for operand in node.inputs[1:]):
            features = node.inputs[0]
            return flatten(global_avg_pool2d(features)) if features.rank > 2 else features
    raise GraphError("the network has no layer with weights, and so no features")


def _is_weight(tensor: Tensor) -> bool:
    """Whether a tensor is a variable, possibly transposed or reshaped."""
    while len(tensor.node.inputs) == 1:
        tensor = tensor.node.inputs[0]
    return tensor.node.op is VARIABLE

"""The backward graph as text: the lines of `print(graph)` that compute one gradient."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from opsin.explain.backpropagation.backward import Backward
from opsin.ir import Node, Tensor, topological


class Listing:
    """The lines of the graph from an image and its target to the gradients of all parameters, by node."""

    def __init__(self, backward: Backward) -> None:
        graph = backward.graph
        self.lines: dict[Node, str] = dict(zip(graph.nodes, graph.lines(), strict=False))  # outputs have lines, too
        self.forward = set(topological([backward.loss]))

    def of(self, gradients: Sequence[Tensor], given: Collection[Tensor] = ()) -> list[str]:
        """Return the lines that compute `gradients` from the values of the network and the gradients `given`."""
        stops = self.forward | {tensor.node for tensor in given}
        nodes: set[Node] = set()
        stack = [tensor.node for tensor in gradients]
        while stack:
            node = stack.pop()
            if node not in stops and node not in nodes:
                nodes.add(node)
                stack += [tensor.node for tensor in node.inputs]
        return [line for node, line in self.lines.items() if node in nodes]

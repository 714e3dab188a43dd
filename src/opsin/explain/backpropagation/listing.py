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
        self._numbers = {node: number for number, node in enumerate(self.lines)}
        self.forward = set(topological([backward.loss]))

    def of(self, gradients: Sequence[Tensor], given: Collection[Node] = ()) -> list[str]:
        """Return the lines that compute `gradients` from the values of the network and the results of nodes `given`.

        Those of `gradients` themselves are not given. The time does not depend on the size of the graph.
        """
        starts = {tensor.node for tensor in gradients}
        nodes: set[Node] = set()
        stack = list(starts)
        while stack:
            node = stack.pop()
            if node not in self.forward and node not in nodes and (node in starts or node not in given):
                nodes.add(node)
                stack += [tensor.node for tensor in node.inputs]
        known = [node for node in nodes if node in self._numbers]  # the gradient of the image has no line
        return [self.lines[node] for node in sorted(known, key=self._numbers.__getitem__)]

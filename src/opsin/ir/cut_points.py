"""Cutting a graph in two at a tensor that everything passes through."""

from __future__ import annotations

from opsin.base.errors import GraphError
from opsin.ir.core import VARIABLE, Node, Tensor, apply, input_tensor
from opsin.ir.graph import Graph, topological


def cut_points(source: Tensor, sink: Tensor) -> list[Tensor]:
    """The tensors through which all that `source` has to do with `sink` passes, in order, `sink` the last."""
    order = [node for node in topological([sink]) if source.node is not node]
    reached, last = {source}, {source: -1}
    flow: list[Node] = []
    for node in order:
        read = [t for t in node.inputs if t in reached]
        if read:
            last |= dict.fromkeys(read, len(flow))
            last |= {t: len(flow) for t in node.outputs if t not in last}
            reached.update(node.outputs)
            flow.append(node)
    found, furthest = [], last[source]
    for place, node in enumerate(flow):
        # What was made before `node`, and is read by those after it, would pass `node` by.
        if furthest <= place and len(node.outputs) == 1:
            found.append(node.output)
        furthest = max([furthest, *(last[t] for t in node.outputs)])
    return found


def last_static_cut_point(graph: Graph, output: str) -> Tensor | None:
    """The last tensor between the graph's input and `output` that everything passes through and nothing learnt or
    drawn at random goes into; None where there is none.
    """
    changing: set[Tensor] = set()
    for node in graph.nodes:
        learnt = node.op is VARIABLE and (node.attrs["trainable"] or node.attrs["name"] in graph.updates)
        if learnt or any(t in changing for t in node.inputs):
            changing.update(node.outputs)
    settled = [t for t in cut_points(graph.inputs[0], graph.outputs[output]) if t not in changing]
    return settled[-1] if settled else None


def prefix(graph: Graph, at: Tensor, name: str) -> Graph:
    """The part of `graph` that gives `at`, as the output `name`; it updates nothing."""
    return Graph(graph.inputs, {name: at}).verify()


def suffix(graph: Graph, at: Tensor) -> Graph:
    """The rest of `graph`: its first input has the shape of `at` and comes in its place, by the same name.

    `GraphError` where something passes `at` by.
    """
    old, *others = graph.inputs
    fresh = input_tensor(old.node.attrs["name"], at.shape, at.dtype)

    def change(node: Node, inputs: tuple[Tensor, ...]) -> Node | tuple[Tensor, ...]:
        return (fresh,) if node is at.node else apply(node.op, inputs, node.attrs, node.scope)

    made = graph.rewrite(change)
    if made.inputs[0] in made.users:
        raise GraphError(f"the graph cannot be cut at {at}: something passes it by")
    return Graph((fresh, *made.inputs[1 : 1 + len(others)]), made.outputs, made.updates).verify()

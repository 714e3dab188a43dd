"""Cut points of a graph: tensors that every path passes through (dominators), and the two parts of a cut."""

from __future__ import annotations

from opsin.base.errors import GraphError
from opsin.ir.core import VARIABLE, Node, Tensor, apply, input_tensor
from opsin.ir.graph import Graph, topological


def cut_points(source: Tensor, sink: Tensor) -> list[Tensor]:
    """Return the tensors that every path from `source` to `sink` passes through, in order; `sink` is the last.

    The list is empty if `sink` does not depend on `source`.
    """
    order = [node for node in topological([sink]) if source.node is not node]
    reached_tensors = {source}
    last_use = {source: -1}  # the position in `flow` of the last node that reads each tensor
    flow: list[Node] = []
    for node in order:
        read = [t for t in node.inputs if t in reached_tensors]
        if read:
            last_use |= dict.fromkeys(read, len(flow))
            last_use |= {t: len(flow) for t in node.outputs if t not in last_use}
            reached_tensors.update(node.outputs)
            flow.append(node)
    points, last_position = [], last_use[source]
    for position, node in enumerate(flow):
        # A tensor from before `node` that is read after it would bypass `node`.
        if last_position <= position and len(node.outputs) == 1:
            points.append(node.output)
        last_position = max([last_position, *(last_use[t] for t in node.outputs)])
    return points


def last_static_cut_point(graph: Graph, output: str) -> Tensor | None:
    """Return the last cut point between the input and `output` that depends on nothing trainable or random.

    None if there is no such tensor.
    """
    dynamic_tensors: set[Tensor] = set()
    for node in graph.nodes:
        changes = node.op is VARIABLE and (node.attrs["trainable"] or node.attrs["name"] in graph.updates)
        if changes or any(t in dynamic_tensors for t in node.inputs):
            dynamic_tensors.update(node.outputs)
    static = [t for t in cut_points(graph.inputs[0], graph.outputs[output]) if t not in dynamic_tensors]
    return static[-1] if static else None


def prefix(graph: Graph, at: Tensor, name: str) -> Graph:
    """Return the part of `graph` that computes `at`, as the output `name`. It updates no variables."""
    return Graph(graph.inputs, {name: at}).verify()


def suffix(graph: Graph, at: Tensor) -> Graph:
    """Return the rest of `graph`, in which `at` is replaced by an input with the name of the first input.

    Raise `GraphError` if something bypasses `at`.
    """
    old_input, *other_inputs = graph.inputs
    new_input = input_tensor(old_input.node.attrs["name"], at.shape, at.dtype)

    def change(node: Node, inputs: tuple[Tensor, ...]) -> Node | tuple[Tensor, ...]:
        return (new_input,) if node is at.node else apply(node.op, inputs, node.attrs, node.scope)

    suffix_graph = graph.rewrite(change)
    if suffix_graph.inputs[0] in suffix_graph.users:
        raise GraphError(f"the graph cannot be cut at {at}: something bypasses it")
    return Graph(
        (new_input, *suffix_graph.inputs[1 : 1 + len(other_inputs)]), suffix_graph.outputs, suffix_graph.updates
    ).verify()

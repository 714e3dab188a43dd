"""Cut points of a graph: tensors that every path passes through (dominators), and the two parts of a cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from opsin.base.errors import GraphError
from opsin.ir.core import VARIABLE, Node, Tensor, apply, input_tensor
from opsin.ir.graph import Graph, topological
from opsin.ir.size import bind, product


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
    dynamic_tensors = _dynamic_tensors(graph)
    static = [t for t in cut_points(graph.inputs[0], graph.outputs[output]) if t not in dynamic_tensors]
    return static[-1] if static else None


def static_taps(graph: Graph) -> list[Tensor]:
    """Return the tensors at which the part of `graph` that never changes for an image ends, in the graph's order.

    They depend on the image and on nothing trainable or random, and everything else reads the image through them. Where
    a tensor is computed without parameters from smaller ones, such as an enlarged or a joined map, these are taken
    instead. The list is empty if nothing but the image itself stays the same.
    """
    dynamic, of_image = _dynamic_tensors(graph), _dependents(graph)
    static = {t for node in graph.nodes for t in node.outputs if t in of_image and t not in dynamic}
    read = {t for node in graph.nodes for t in node.inputs if node.outputs[0] in dynamic}
    taps = static & (read | set(graph.outputs.values()))
    order = [node for node in graph.nodes if static.intersection(node.outputs)]
    for node in reversed(order):
        sources = set(node.inputs)
        is_free = len(node.outputs) == 1 and sources <= static
        if is_free and node.outputs[0] in taps:
            saved = _size(node.outputs) - _size(sources - taps)
            if saved > 0 or (saved == 0 and len(sources) > 1):
                taps = (taps - {node.outputs[0]}) | sources
    return [t for node in order for t in node.outputs if t in taps]


def _dynamic_tensors(graph: Graph) -> set[Tensor]:
    """Return the tensors that depend on something trainable or random."""
    dynamic: set[Tensor] = set()
    for node in graph.nodes:
        changes = node.op is VARIABLE and (node.attrs["trainable"] or node.attrs["name"] in graph.updates)
        if changes or any(t in dynamic for t in node.inputs):
            dynamic.update(node.outputs)
    return dynamic


def _dependents(graph: Graph) -> set[Tensor]:
    """Return the tensors that depend on the first input, without it."""
    dependents = set[Tensor]()
    for node in graph.nodes:
        if any(t in dependents or t is graph.inputs[0] for t in node.inputs):
            dependents.update(node.outputs)
    return dependents


def _size(tensors: Iterable[Tensor]) -> int:
    """Return the number of elements for one image."""
    return sum(int(str(bind((product(t.shape),), 1)[0])) for t in tensors)


def split(graph: Graph, at: Sequence[Tensor], names: Sequence[str]) -> tuple[Graph, Graph]:
    """Return the part of `graph` that computes the tensors `at`, as outputs, and the rest, of which they are inputs.

    `names` are those of outputs and inputs. Raise `GraphError` if the rest reads the first input of the graph, too.
    """
    first, *others = graph.inputs
    replacements = {t: input_tensor(name, t.shape, t.dtype) for t, name in zip(at, names, strict=True)}

    def change(node: Node, inputs: tuple[Tensor, ...]) -> Node | tuple[Tensor, ...]:
        if any(t in replacements for t in node.outputs):
            results = apply(node.op, inputs, node.attrs, node.scope)
            return tuple(replacements.get(t, new) for t, new in zip(node.outputs, results.outputs, strict=True))
        return apply(node.op, inputs, node.attrs, node.scope)

    rest = graph.rewrite(change)
    if rest.inputs[0] in rest.users:
        raise GraphError(f"the graph cannot be cut at {', '.join(map(str, at))}: something bypasses them")
    upper = Graph((*replacements.values(), *rest.inputs[1 : 1 + len(others)]), rest.outputs, rest.updates).verify()
    return Graph((first,), dict(zip(names, at, strict=True))).verify(), upper


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

"""The last layers of a network, whose parameters belong to what it is trained for."""

from __future__ import annotations

from opsin.ir import VARIABLE, Graph, Tensor
from opsin.nn.paths import parent


def head_variables(graph: Graph) -> set[str]:
    """Return the names of the variables of the last layers that have any, on every way to an output of `graph`.

    The output "features" is what a last layer would take: no layer on the way to it is one.
    """
    layers, visited = set[str](), set[Tensor]()
    pending = [tensor for name, tensor in graph.outputs.items() if name != "features"]
    while pending:
        tensor = pending.pop()
        if tensor in visited:
            continue
        visited.add(tensor)
        variables = [name for name in map(_variable, tensor.node.inputs) if name is not None]
        layers.update(map(parent, variables))
        if not variables:
            pending += tensor.node.inputs
    return {name for name in graph.variables if parent(name) in layers}


def _variable(tensor: Tensor) -> str | None:
    """Return the name of a variable that is, perhaps transposed or reshaped, this tensor; None for another tensor."""
    while len(tensor.node.inputs) == 1:
        tensor = tensor.node.inputs[0]
    return str(tensor.node.attrs["name"]) if tensor.node.op is VARIABLE else None

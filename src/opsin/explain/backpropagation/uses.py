"""Where a parameter enters the computation: the operation, what it is multiplied by, and the tensor that results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from opsin.ir import Graph, Node, Tensor

CONV, TRANSPOSED, LINEAR, SHIFT, SCALE = "convolution", "transposed convolution", "linear", "shift", "scale"


@dataclass(frozen=True, eq=False)
class Use:
    """One place at which a parameter is used; a shared layer has several.

    `kind` is `CONV`, `TRANSPOSED`, `LINEAR`, `SHIFT` (a bias, or β of a normalization) or `SCALE` (γ of one). `output`
    depends on the parameter and on the image; `image` is the tensor that the parameter multiplies, `output` itself for
    a shift. `mean` and `root` are the variable of the mean and the tensor 1 / √(variance + ε) of a normalization.
    """

    kind: str
    node: Node
    image: Tensor
    output: Tensor
    mean: Tensor | None = None
    root: Tensor | None = None


def find_uses(graph: Graph, parameters: Mapping[str, Tensor]) -> dict[str, list[Use]]:
    """Return the uses of each parameter in the order of computation; none of a kind that is not listed here."""
    images = _of_images(graph)
    return {name: _uses(graph, tensor, images) for name, tensor in parameters.items()}


def _of_images(graph: Graph) -> set[Tensor]:
    """Return the tensors that depend on an input."""
    inputs: set[Tensor] = set()
    for node in graph.nodes:
        if node.op.name == "input" or not inputs.isdisjoint(node.inputs):
            inputs.update(node.outputs)
    return inputs


def _uses(graph: Graph, parameter: Tensor, images: set[Tensor]) -> list[Use]:
    uses: list[Use] = []
    for node in graph.users[parameter]:
        name = node.op.name
        if name == "conv2d" and node.inputs[1] is parameter:
            uses.append(Use(CONV, node, node.inputs[0], node.output))
        elif name == "conv_transpose2d" and node.inputs[1] is parameter:
            uses.append(Use(TRANSPOSED, node, node.inputs[0], node.output))
        elif name == "matmul" and node.inputs[0] is not node.inputs[1]:
            other = node.inputs[1] if node.inputs[0] is parameter else node.inputs[0]
            uses += [Use(LINEAR, node, other, node.output)] if other in images and parameter.rank == 2 else []
        elif name == "multiply" and parameter.rank == 1:
            uses += _scales(graph, parameter, node, images)
        elif name in ("add", "subtract", "reshape"):
            uses += [Use(SHIFT, join, join.output, join.output) for join in _shifts(graph, parameter, node, images)]
    return uses


def _shifts(graph: Graph, parameter: Tensor, node: Node, images: set[Tensor]) -> list[Node]:
    """Return the additions to images that a parameter reaches, starting with its reader `node`, unchanged in value."""
    if node.output in images:
        return [node] if node.op.name == "add" and _by_channel(parameter, node.output) else []
    passes_on = node.op.name == "reshape" or (node.op.name == "subtract" and node.inputs[0] is parameter)
    readers = graph.users[node.output] if passes_on else []
    return [join for reader in readers for join in _shifts(graph, node.output, reader, images)]


def _by_channel(values: Tensor, output: Tensor) -> bool:
    """Whether `values` are broadcast along everything but the channels of `output`."""
    shape = (1,) * (output.rank - values.rank) + values.shape
    return shape == tuple(size if axis == 1 else 1 for axis, size in enumerate(output.shape))


def _scales(graph: Graph, parameter: Tensor, node: Node, images: set[Tensor]) -> list[Use]:
    """Return the use of γ in a normalization with fixed statistics: x · s + (β − mean · s), with s = γ · root."""
    root, scale = _other(node, parameter), node.output
    readers = graph.users[scale]
    means = [_other(reader, scale) for reader in readers if reader.op.name == "multiply"]
    factors = [use for reader in readers if reader.op.name == "reshape" for use in graph.users[reader.output]]
    uses = []
    for factor in factors:
        if factor.op.name != "multiply" or factor.output not in images or len(means) != 1:
            continue
        sums = [reader for reader in graph.users[factor.output] if reader.op.name == "add"]
        image = next(t for t in factor.inputs if t in images)
        uses += [Use(SCALE, total, image, total.output, means[0], root) for total in sums[:1]]
    return uses


def _other(node: Node, tensor: Tensor) -> Tensor:
    """Return the operand of a product that is not `tensor`."""
    return node.inputs[1] if node.inputs[0] is tensor else node.inputs[0]

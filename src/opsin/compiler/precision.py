"""The precision of a program: which tensors are stored as bfloat16.

With `BF16`, feature maps and their gradients are stored as bfloat16, as PyTorch's autocast does. Everything else stays
float32: parameters, gradients of parameters, statistics, what the optimizer keeps, the loss and what it computes, and
inputs and outputs of the graph. Kernels compute in float32 and round when they store; convolutions multiply bfloat16
where the processor has instructions for that, and sum in float32.
"""

from __future__ import annotations

from enum import StrEnum

from opsin.ir import FLOAT, Graph, Node, Tensor
from opsin.ir.arguments import one_of


class Precision(StrEnum):
    """The precision of a program, by the name that people and files use."""

    FLOAT32 = "float32"
    BF16 = "bf16"


def precision_named(name: str) -> Precision:
    """Return the precision that is called `name`; raise `UsageError` with the possible names for any other."""
    return Precision(one_of("the precision", name, [*Precision]))


def in_words(precision: Precision) -> str:
    """Return what a heading says about the precision: nothing for float32, otherwise ", bf16"."""
    return "" if precision is Precision.FLOAT32 else f", {precision}"


FLOAT32_SCOPES = ("loss", "optimizer")
"""The scopes of the nodes whose results stay float32; `nn.training_graph` sets them."""


def narrow_tensors(graph: Graph, batch: int, precision: Precision) -> frozenset[Tensor]:
    """Return the tensors of a bound `graph` that are stored as bfloat16: feature maps, and gradients of such."""
    if precision is Precision.FLOAT32:
        return frozenset()
    outputs = set(graph.outputs.values())
    follows_batch = {t for t in graph.inputs if t.shape and t.shape[0] == batch}
    for node in graph.nodes:
        if node.op.name != "conv2d_weight" and not follows_batch.isdisjoint(node.inputs):
            follows_batch.update(t for t in node.outputs if t.shape and t.shape[0] == batch)
    return frozenset(
        tensor
        for node in graph.nodes
        if not _is_float32(node)
        for tensor in node.outputs
        if tensor in follows_batch and _is_map(tensor) and tensor not in outputs
    )


def _is_float32(node: Node) -> bool:
    return not node.inputs or node.scope.partition(".")[0] in FLOAT32_SCOPES


def _is_map(tensor: Tensor) -> bool:
    """Whether a tensor is images of several pixels."""
    return tensor.dtype == FLOAT and len(tensor.shape) == 4 and tensor.shape[2:] != (1, 1)

"""Parameters, MACs, memory and receptive fields of a network, layer by layer, computed from its graph.

All figures are for one image, with 4 bytes per number. They follow from the definition of the network; a compiler that
fuses layers or works in place needs less memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from math import prod

from opsin import ops
from opsin.ir import FLOAT, INPUT, VARIABLE, Dim, Graph, Node, Shape, Size, Tensor, product, topological
from opsin.ir.arguments import instance
from opsin.nn.receptive_field import receptive_fields

NUMBER_BYTES = 4
"""The size of one number, float32 or int32."""


@dataclass(frozen=True)
class LayerRow:
    """One use of a layer, or consecutive operations in the `forward` of a larger layer."""

    path: str
    """The path of the layer in the network; empty for operations of the network itself."""
    kind: str
    output: Shape
    parameters: int
    """Trainable numbers, counted at their first use; all numbers of a network that has none, such as a rounded one."""
    macs: int
    """MACs of convolutions and matrix products."""
    receptive_field: tuple[int, int]
    """Rows and columns of the image that one number of the output depends on, at most the whole image."""
    inference_memory: int
    """Bytes alive while the layer runs: its output, and what it or later layers still read."""
    training_memory: int
    """Bytes of this layer's results that are saved for the backward pass."""


@dataclass(frozen=True)
class Description:
    """The layers of a network in the order in which they run, and the totals."""

    rows: tuple[LayerRow, ...]
    input_memory: int
    """Bytes of the image itself."""

    @property
    def parameters(self) -> int:
        return sum(row.parameters for row in self.rows)

    @property
    def macs(self) -> int:
        return sum(row.macs for row in self.rows)

    @property
    def inference_memory(self) -> int:
        """Bytes of the image and the activations that are alive at the peak."""
        return max((row.inference_memory for row in self.rows), default=self.input_memory)

    @property
    def training_memory(self) -> int:
        """Bytes of the image and the activations that are saved for the backward pass."""
        return self.input_memory + sum(row.training_memory for row in self.rows)


@dataclass(frozen=True)
class LayerRun:
    """Consecutive operations of one layer."""

    path: str
    nodes: list[Node]


def describe(graph: Graph, kinds: Mapping[str, str] | None = None) -> Description:
    """Describe a traced `graph`. `kinds`, from `layer_kinds`, maps paths to kinds of layers.

    Without it, as for a graph read from a file, the kind is the name of the operation that does most of the work.
    """
    instance("the graph to describe", graph, Graph, "a graph, such as nn.trace(network, (1, 28, 28))")
    if kinds is not None:
        instance("the kinds of layers", kinds, Mapping, "what nn.layer_kinds gives")
    forward = graph.forward
    runs = _runs(forward)
    run_of = {node: number for number, run in enumerate(runs) for node in run.nodes}
    parameters = _parameters(runs, run_of, fixed=not graph.parameters)
    alive = _alive_bytes(graph, runs, run_of)
    saved_bytes = _saved_bytes(graph, forward, run_of)
    fields = receptive_fields(graph)
    rows = tuple(
        LayerRow(
            path=run.path,
            kind=(kinds or {}).get(run.path) or _kind(run),
            output=run.nodes[-1].output.shape,
            parameters=parameters[number],
            macs=sum(_count(node.op.macs(node)) for node in run.nodes),
            receptive_field=fields[run.nodes[-1].output],
            inference_memory=alive[number],
            training_memory=saved_bytes[number],
        )
        for number, run in enumerate(runs)
    )
    return Description(rows, sum(_bytes(t) for t in graph.inputs))


def _runs(forward: tuple[Node, ...]) -> list[LayerRun]:
    """Split the operations on images, in order, by layer. Operations on variables alone are left out."""
    runs: list[LayerRun] = []
    dependent: set[Node] = set()
    for node in forward:
        if node.op is INPUT:
            dependent.add(node)
        elif any(t.node in dependent for t in node.inputs):
            dependent.add(node)
            if not runs or runs[-1].path != node.scope:
                runs.append(LayerRun(node.scope, []))
            runs[-1].nodes.append(node)
    return runs


def _kind(run: LayerRun) -> str:
    """Return the names of the operations with MACs or a sliding window; of all operations if there are none."""
    main = [node for node in run.nodes if node.op.macs(node) or node.op.window(node)]
    return " + ".join(dict.fromkeys(node.op.name for node in main or run.nodes))


def _parameters(runs: list[LayerRun], run_of: Mapping[Node, int], fixed: bool) -> list[int]:
    """Count, for each run, the numbers that it uses first, also through operations on variables.

    They are the trainable ones, or also `fixed` ones.
    """
    counts = [0] * len(runs)
    visited: set[Node] = set()
    for number, run in enumerate(runs):
        stack = [t.node for node in run.nodes for t in node.inputs]
        while stack:
            node = stack.pop()
            if node in visited or node in run_of:
                continue
            visited.add(node)
            stack.extend(t.node for t in node.inputs)
            if node.op is VARIABLE and (fixed or node.attrs["trainable"]):
                counts[number] += _count(product(node.output.shape))
    return counts


def _alive_bytes(graph: Graph, runs: list[LayerRun], run_of: Mapping[Node, int]) -> list[int]:
    """Count, for each run, the bytes of images and results that are alive during it."""
    last_use = {_storage(t): len(runs) - 1 for t in graph.outputs.values()}
    for number, run in enumerate(runs):
        for operand in (t for node in run.nodes for t in node.inputs):
            tensor = _storage(operand)
            if tensor.node.op is INPUT or run_of.get(tensor.node, number) < number:
                last_use[tensor] = max(last_use.get(tensor, 0), number)
    counts = [0] * len(runs)
    for tensor, end in last_use.items():
        for number in range(run_of.get(tensor.node, 0), end + 1):
            counts[number] += _bytes(tensor)
    return counts


def _saved_bytes(graph: Graph, forward: tuple[Node, ...], run_of: Mapping[Node, int]) -> list[int]:
    """Count, for each run, the bytes of its results that the gradients of the parameters read."""
    results = [ops.sum(t) for t in graph.outputs.values() if t.dtype == FLOAT]
    gradients = ops.gradients(reduce(ops.add, results), list(graph.parameters.values()))
    backward = set(topological(g for g in gradients if g is not None)) - set(forward)
    read = {_storage(t) for node in backward for t in node.inputs}
    counts = [0] * (max(run_of.values(), default=-1) + 1)
    for tensor in read:
        if tensor.node in run_of:
            counts[run_of[tensor.node]] += _bytes(tensor)
    return counts


def _storage(tensor: Tensor) -> Tensor:
    """Return the tensor that owns the memory of `tensor`."""
    while tensor.node.op.name == "reshape":
        (tensor,) = tensor.node.inputs
    return tensor


def _count(amount: Dim) -> int:
    """Return an amount for one image."""
    return int(amount.at(1)) if isinstance(amount, Size) else amount


def _bytes(tensor: Tensor) -> int:
    return NUMBER_BYTES * int(prod(size.at(1) if isinstance(size, Size) else size for size in tensor.shape))

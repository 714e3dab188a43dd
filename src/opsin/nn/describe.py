"""What a network costs and sees, layer by layer, read off its graph.

All figures are for one image, and numbers take 4 bytes. They follow from what the network means; a compiler that
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

BYTES = 4
"""Of one number: float32 or int32."""


@dataclass(frozen=True)
class LayerRow:
    """One use of a layer, or a run of operations that a larger layer does itself."""

    path: str
    """Where the layer is in the network; empty for the network's own operations."""
    kind: str
    output: Shape
    parameters: int
    """Trainable numbers, counted where they are first used."""
    macs: int
    """Multiply-adds of convolutions and matrix products."""
    receptive_field: tuple[int, int]
    """Rows and columns of the image that one number of the output can see, at most the whole picture."""
    inference_memory: int
    """Bytes alive while the layer runs: its output, and what it or later layers still read."""
    training_memory: int
    """Bytes made by this layer that backpropagation reads, and so must be kept until then."""


@dataclass(frozen=True)
class Description:
    """A network's layers in the order they run, and the totals."""

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
        """Bytes of the image and activations alive at the worst moment."""
        return max((row.inference_memory for row in self.rows), default=self.input_memory)

    @property
    def training_memory(self) -> int:
        """Bytes of the image and activations kept for backpropagation."""
        return self.input_memory + sum(row.training_memory for row in self.rows)


@dataclass(frozen=True)
class LayerRun:
    """Consecutive operations of one layer."""

    path: str
    nodes: list[Node]


def describe(graph: Graph, kinds: Mapping[str, str] | None = None) -> Description:
    """The table of a traced `graph`; `kinds`, from `layer_kinds`, says what kind of layer is at each path.

    Without it, as for a graph read from a file, the kind is the name of the operation that does the work.
    """
    instance("what is described", graph, Graph, "a graph, such as nn.trace(network, (1, 28, 28))")
    if kinds is not None:
        instance("the kinds of layers", kinds, Mapping, "what nn.layer_kinds gives")
    forward = graph.forward
    runs = _runs(forward)
    place = {node: number for number, run in enumerate(runs) for node in run.nodes}
    parameters, alive, kept = _parameters(runs, place), _alive(graph, runs, place), _kept(graph, forward, place)
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
            training_memory=kept[number],
        )
        for number, run in enumerate(runs)
    )
    return Description(rows, sum(_bytes(t) for t in graph.inputs))


def _runs(forward: tuple[Node, ...]) -> list[LayerRun]:
    """The operations on images in order, cut where the layer changes. Those on variables alone are left out."""
    runs: list[LayerRun] = []
    fed: set[Node] = set()
    for node in forward:
        if node.op is INPUT:
            fed.add(node)
        elif any(t.node in fed for t in node.inputs):
            fed.add(node)
            if not runs or runs[-1].path != node.scope:
                runs.append(LayerRun(node.scope, []))
            runs[-1].nodes.append(node)
    return runs


def _kind(run: LayerRun) -> str:
    """The operation of a run that computes most, or slides a window; otherwise all of them."""
    working = [node for node in run.nodes if node.op.macs(node) or node.op.window(node)]
    return " + ".join(dict.fromkeys(node.op.name for node in working or run.nodes))


def _parameters(runs: list[LayerRun], place: Mapping[Node, int]) -> list[int]:
    """For each run, the trainable numbers that it is the first to use, if only through operations on variables."""
    counts = [0] * len(runs)
    met: set[Node] = set()
    for number, run in enumerate(runs):
        stack = [t.node for node in run.nodes for t in node.inputs]
        while stack:
            node = stack.pop()
            if node in met or node in place:
                continue
            met.add(node)
            stack.extend(t.node for t in node.inputs)
            if node.op is VARIABLE and node.attrs["trainable"]:
                counts[number] += _count(product(node.output.shape))
    return counts


def _alive(graph: Graph, runs: list[LayerRun], place: Mapping[Node, int]) -> list[int]:
    """For each run, the bytes of images and results that are alive during it."""
    last = {_storage(t): len(runs) - 1 for t in graph.outputs.values()}
    for number, run in enumerate(runs):
        for operand in (t for node in run.nodes for t in node.inputs):
            made = _storage(operand)
            if made.node.op is INPUT or place.get(made.node, number) < number:
                last[made] = max(last.get(made, 0), number)
    counts = [0] * len(runs)
    for tensor, end in last.items():
        for number in range(place.get(tensor.node, 0), end + 1):
            counts[number] += _bytes(tensor)
    return counts


def _kept(graph: Graph, forward: tuple[Node, ...], place: Mapping[Node, int]) -> list[int]:
    """For each run, the bytes of its results that the gradients of the parameters read."""
    results = [ops.sum(t) for t in graph.outputs.values() if t.dtype == FLOAT]
    gradients = ops.gradients(reduce(ops.add, results), list(graph.parameters.values()))
    backward = set(topological(g for g in gradients if g is not None)) - set(forward)
    read = {_storage(t) for node in backward for t in node.inputs}
    counts = [0] * (max(place.values(), default=-1) + 1)
    for tensor in read:
        if tensor.node in place:
            counts[place[tensor.node]] += _bytes(tensor)
    return counts


def _storage(tensor: Tensor) -> Tensor:
    """The tensor whose memory `tensor` is a view of."""
    while tensor.node.op.name == "reshape":
        (tensor,) = tensor.node.inputs
    return tensor


def _count(amount: Dim) -> int:
    """An amount, for one image."""
    return int(amount.at(1)) if isinstance(amount, Size) else amount


def _bytes(tensor: Tensor) -> int:
    return BYTES * int(prod(size.at(1) if isinstance(size, Size) else size for size in tensor.shape))

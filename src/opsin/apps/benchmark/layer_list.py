"""A network as a list of layers in plain data, from which another library builds the same network with its own layers.

A traced graph has batch normalisation in pieces, which no peer would run so. Here the pieces of a layer are put
together again: each step is a layer that every library has, with the names of its parameters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from opsin import nn
from opsin.base.errors import UsageError
from opsin.ir import BATCH, INPUT, VARIABLE, Graph, Node, Tensor, bind
from opsin.nn.trace import image_input, run_forward

WHOLE = {
    "BatchNorm2d": ("batch_norm", ("eps", "momentum")),
    "ReLU6": ("relu6", ()),
    "HardSwish": ("hard_swish", ()),
    "SiLU": ("silu", ()),
    "GELU": ("gelu", ()),
    "GlobalAvgPool2d": ("global_avg_pool2d", ()),
    "LocalResponseNorm": ("local_response_norm", ("size", "alpha", "beta", "k")),
}
"""Layers whose operations become one step: its name, and the layer's attributes that it takes over."""
PLAIN = ("relu", "tanh", "sigmoid", "add", "multiply", "concat", "slice", "pad", "max_pool2d", "avg_pool2d")
"""Operations that are a step each, with their attributes."""


@dataclass
class Step:
    """One layer: `inputs` and `output` are numbers of values, 0 being the images; `parameters` full names by role."""

    op: str
    name: str
    inputs: list[int]
    output: int
    shape: list[int]
    """Of the output, without the batch."""
    attrs: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerList:
    """A network; `outputs` are the logits and those of auxiliary classifiers, with their losses' weights. `fixed` are
    the weights that do not learn.
    """

    name: str
    input: nn.ImageShape
    steps: list[Step]
    outputs: list[tuple[int, float]]
    fixed: list[str]

    def to_data(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def layered(name: str, network: nn.Layer, shape: nn.ImageShape, training: bool) -> LayerList:
    """`network` for images of `shape`; without `training` auxiliary classifiers are left out.

    Raises `UsageError` where the network has an operation that the list does not know.
    """
    images = image_input(shape)
    logits, found = run_forward(network, images, training)
    heads = [(logits, 1.0), *(found.auxiliaries if training else [])]
    graph = Graph((images,), {str(number): tensor for number, (tensor, _) in enumerate(heads)})
    lifting = _Lifting(name, graph, nn.named_layers(network))
    steps = lifting.steps()
    weights = [full for step in steps for role, full in step.parameters.items() if role in ("weight", "bias")]
    fixed = [full for full in weights if full not in graph.parameters]
    return LayerList(name, shape, steps, [(lifting.numbers[tensor], weight) for tensor, weight in heads], fixed)


def steady(network: nn.Layer) -> nn.Layer:
    """The network with nothing left to chance in training, so that libraries can be compared number by number."""
    for layer in nn.named_layers(network).values():
        if isinstance(layer, nn.Dropout | nn.StochasticDepth):
            layer.p = 0.0
    return network


class _Lifting:
    def __init__(self, name: str, graph: Graph, layers: dict[str, nn.Layer]) -> None:
        self.name, self.graph, self.layers = name, graph, layers
        self.numbers: dict[Tensor, int] = {graph.inputs[0]: 0}
        self.made: list[Step] = []
        self.users, self.outputs = graph.users, set(graph.outputs.values())

    def steps(self) -> list[Step]:
        """Every node that depends on the images, alone or with the rest of its layer."""
        moving = _moving(self.graph)
        done: set[Node] = set()
        for node in moving:
            if node in done:
                continue
            layer = self.layers.get(node.scope)
            if type(layer).__name__ in WHOLE:
                group = self._group(node, moving)
                done.update(group)
                self._whole(group, layer)
            else:
                self._single(node)
        return self.made

    def _group(self, first: Node, moving: Iterable[Node]) -> list[Node]:
        """`first` and what follows from it inside the same layer."""
        group = {first: None}
        for node in moving:
            shared = set(node.inputs) & set(first.inputs) & self.numbers.keys()
            if node.scope == first.scope and (shared or any(t.node in group for t in node.inputs)):
                group[node] = None
        return list(group)

    def _whole(self, group: list[Node], layer: Any) -> None:
        op, names = WHOLE[type(layer).__name__]
        inside = {t for node in group for t in node.outputs}
        sources = list(dict.fromkeys(t for n in group for t in n.inputs if t in self.numbers and t not in inside))
        ends = [n.output for n in group if n.output in self.outputs or not set(self.users[n.output]) <= set(group)]
        if len(sources) != 1 or len(ends) != 1:
            raise UsageError(f"{self.name} uses its layer {group[0].scope} in a way that `opsin bench` does not follow")
        path = f"{group[0].scope}."
        roles = ("weight", "bias", "running_mean", "running_var") if op == "batch_norm" else ()
        self._add(
            op, group[0], sources, ends[0], {name: getattr(layer, name) for name in names},
            {role: path + role for role in roles},
        )  # fmt: skip

    def _single(self, node: Node) -> None:
        known = [t for t in node.inputs if t in self.numbers]
        parameters = [name for t in node.inputs if t not in self.numbers and (name := _parameter(t))]
        attrs, op = bind(node.attrs, 1), node.op.name
        if op in ("conv2d", "matmul") and len(known) == len(parameters) == 1 and known[0] is node.inputs[0]:
            if op == "matmul" and (attrs["transpose_a"] or not attrs["transpose_b"]):
                raise self._unknown(node)
            name, attrs = ("linear", {}) if op == "matmul" else (op, attrs | {"kernel": node.inputs[1].shape[2:]})
            self._add(name, node, known, node.output, attrs, {"weight": parameters[0]})
        elif op == "add" and len(known) == len(parameters) == 1 and (owner := self._owner(known[0])):
            owner.parameters["bias"] = parameters[0]
            self.numbers[node.output] = owner.output
        elif op == "reshape" and node.output.rank == 2 and known[0].shape[0] == node.output.shape[0] == BATCH:
            self._add("flatten", node, known, node.output, {})
        elif op == "resample2d" and attrs["mode"] == "area" and not attrs["adjoint"]:
            self._add("adaptive_avg_pool2d", node, known, node.output, {"size": attrs["size"]})
        elif op == "multiply" and len(known) == 1 and (factors := _numbers(node)):
            self._add("scale", node, known, node.output, {"factor": factors[0]})
        elif op in PLAIN and len(known) == len(node.inputs):
            self._add(op, node, known, node.output, attrs)
        else:
            raise self._unknown(node)

    def _owner(self, tensor: Tensor) -> Step | None:
        """The convolution or linear layer that still lacks its bias, if `tensor` is what it makes."""
        step = next((s for s in self.made if s.output == self.numbers[tensor]), None)
        return step if step and step.op in ("conv2d", "linear") and "bias" not in step.parameters else None

    def _add(
        self,
        op: str,
        node: Node,
        inputs: Iterable[Tensor],
        output: Tensor,
        attrs: dict[str, Any],
        parameters: dict[str, str] | None = None,
    ) -> None:
        number = self.numbers[output] = len(self.made) + 1
        shape = [int(size) for size in bind(output.shape[1:], 1)]
        self.made.append(
            Step(op, node.scope, [self.numbers[t] for t in inputs], number, shape, attrs, parameters or {})
        )

    def _unknown(self, node: Node) -> UsageError:
        where = f"layer {node.scope} of {self.name}" if node.scope else self.name
        return UsageError(
            f"{where} applies '{node.op.name}' in a way that `opsin bench` cannot write for other libraries"
        )


def _moving(graph: Graph) -> list[Node]:
    """The nodes that depend on the images, in order."""
    found: dict[Node, None] = {}
    for node in graph.nodes:
        if any(t.node.op is INPUT or t.node in found for t in node.inputs):
            found[node] = None
    return list(found)


def _numbers(node: Node) -> list[float]:
    """The operands that are numbers known beforehand."""
    made = [t.node for t in node.inputs if t.node.op.name == "constant"]
    return [each.attrs["value"] for each in made if isinstance(each.attrs["value"], float)]


def _parameter(tensor: Tensor) -> str | None:
    """The name of the variable that `tensor` is, if only reshaped."""
    node = tensor.node
    while node.op.name == "reshape":
        node = node.inputs[0].node
    return str(node.attrs["name"]) if node.op is VARIABLE else None

"""A network as a list of layers in plain data, from which other libraries build the same network.

In a traced graph, layers such as batch normalization consist of several operations. Here these are combined again: each
step is a layer that every library has, with the names of its parameters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from opsin import nn
from opsin.base.errors import UsageError
from opsin.ir import BATCH, INPUT, VARIABLE, Graph, Node, Tensor, bind
from opsin.nn.trace import image_input, run_forward

COMPOSITE = {
    "BatchNorm2d": ("batch_norm", ("eps", "momentum")),
    "ReLU6": ("relu6", ()),
    "HardSwish": ("hard_swish", ()),
    "SiLU": ("silu", ()),
    "GELU": ("gelu", ()),
    "GlobalAvgPool2d": ("global_avg_pool2d", ()),
    "LocalResponseNorm": ("local_response_norm", ("size", "alpha", "beta", "k")),
}
"""Layers whose operations become one step: the name of the step, and the attributes of the layer that it has."""
SINGLE = ("relu", "tanh", "sigmoid", "add", "multiply", "concat", "slice", "pad", "max_pool2d", "avg_pool2d")
"""Operations that become a step each, with their attributes."""


@dataclass
class LayerStep:
    """A layer. `inputs` and `output` number values, where 0 is the images; `parameters` are full names by role."""

    op: str
    name: str
    inputs: list[int]
    output: int
    shape: list[int]
    """The shape of the output, without the batch."""
    attrs: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerList:
    """A network. `outputs` are its logits and those of auxiliary classifiers, with the weights of their losses.

    `fixed` are the weights that are not trained.
    """

    name: str
    input: nn.ImageShape
    steps: list[LayerStep]
    outputs: list[tuple[int, float]]
    fixed: list[str]

    def to_data(self) -> dict[str, Any]:
        """Return the list as data for JSON."""
        return asdict(self)


def layer_list(name: str, network: nn.Layer, shape: nn.ImageShape, training: bool) -> LayerList:
    """Return the layers of `network` for images of `shape`, with its auxiliary classifiers only for `training`.

    Raise `UsageError` if the network has an operation that other libraries cannot be given.
    """
    images = image_input(shape)
    outputs, trace = run_forward(network, images, training)
    if list(outputs) != ["logits"]:
        raise UsageError(f"{name} has the outputs {', '.join(outputs)}; only classifiers can be compared")
    heads = [(outputs["logits"], 1.0), *(trace.auxiliaries if training else [])]
    graph = Graph((images,), {str(number): tensor for number, (tensor, _) in enumerate(heads)})
    lifter = _Lifter(name, graph, nn.named_layers(network))
    steps = lifter.lift()
    weights = [path for step in steps for role, path in step.parameters.items() if role in ("weight", "bias")]
    fixed = [path for path in weights if path not in graph.parameters]
    return LayerList(name, shape, steps, [(lifter.numbers[tensor], weight) for tensor, weight in heads], fixed)


def deterministic(network: nn.Layer) -> nn.Layer:
    """Return the network without randomness in training, to make the results of libraries comparable."""
    for layer in nn.named_layers(network).values():
        if isinstance(layer, nn.Dropout | nn.StochasticDepth):
            layer.p = 0.0
    return network


class _Lifter:
    """Combines the operations of a graph into layers."""

    def __init__(self, name: str, graph: Graph, layers: dict[str, nn.Layer]) -> None:
        self.name, self.graph, self.layers = name, graph, layers
        self.numbers: dict[Tensor, int] = {graph.inputs[0]: 0}
        self.steps: list[LayerStep] = []
        self.users, self.outputs = graph.users, set(graph.outputs.values())

    def lift(self) -> list[LayerStep]:
        """Return a step for every node that depends on the images, alone or with the rest of its layer."""
        nodes = _dependent_nodes(self.graph)
        combined: set[Node] = set()
        for node in nodes:
            if node in combined:
                continue
            layer = self.layers.get(node.scope)
            if type(layer).__name__ in COMPOSITE:
                group = self._group(node, nodes)
                combined.update(group)
                self._add_composite(group, layer)
            else:
                self._add_single(node)
        return self.steps

    def _group(self, first: Node, nodes: Iterable[Node]) -> list[Node]:
        """Return `first` and the nodes of the same layer that depend on it or share its inputs."""
        group = {first: None}
        for node in nodes:
            shared_inputs = set(node.inputs) & set(first.inputs) & self.numbers.keys()
            if node.scope == first.scope and (shared_inputs or any(t.node in group for t in node.inputs)):
                group[node] = None
        return list(group)

    def _add_composite(self, group: list[Node], layer: Any) -> None:
        op, names = COMPOSITE[type(layer).__name__]
        outputs = {t for node in group for t in node.outputs}
        sources = list(dict.fromkeys(t for n in group for t in n.inputs if t in self.numbers and t not in outputs))
        results = [n.output for n in group if n.output in self.outputs or not set(self.users[n.output]) <= set(group)]
        if len(sources) != 1 or len(results) != 1:
            raise UsageError(
                f"{self.name} uses its layer {group[0].scope} in a way that `opsin bench` does not support"
            )
        path = f"{group[0].scope}."
        roles = ("weight", "bias", "running_mean", "running_var") if op == "batch_norm" else ()
        self._add(
            op, group[0], sources, results[0], {name: getattr(layer, name) for name in names},
            {role: path + role for role in roles},
        )  # fmt: skip

    def _add_single(self, node: Node) -> None:
        inputs = [t for t in node.inputs if t in self.numbers]
        parameters = [name for t in node.inputs if t not in self.numbers and (name := _parameter(t))]
        attrs, op = bind(node.attrs, 1), node.op.name
        if op in ("conv2d", "matmul") and len(inputs) == len(parameters) == 1 and inputs[0] is node.inputs[0]:
            if op == "matmul" and (attrs["transpose_a"] or not attrs["transpose_b"]):
                raise self._unsupported(node)
            name, attrs = ("linear", {}) if op == "matmul" else (op, attrs | {"kernel": node.inputs[1].shape[2:]})
            self._add(name, node, inputs, node.output, attrs, {"weight": parameters[0]})
        elif op == "add" and len(inputs) == len(parameters) == 1 and (owner := self._owner(inputs[0])):
            owner.parameters["bias"] = parameters[0]
            self.numbers[node.output] = owner.output
        elif op == "reshape" and node.output.rank == 2 and inputs[0].shape[0] == node.output.shape[0] == BATCH:
            self._add("flatten", node, inputs, node.output, {})
        elif op == "resample2d" and attrs["mode"] == "area" and not attrs["adjoint"]:
            self._add("adaptive_avg_pool2d", node, inputs, node.output, {"size": attrs["size"]})
        elif op == "multiply" and len(inputs) == 1 and (factors := _constant_factors(node)):
            self._add("scale", node, inputs, node.output, {"factor": factors[0]})
        elif op in SINGLE and len(inputs) == len(node.inputs):
            self._add(op, node, inputs, node.output, attrs)
        else:
            raise self._unsupported(node)

    def _owner(self, tensor: Tensor) -> LayerStep | None:
        """Return the convolution or linear layer without a bias yet that computes `tensor`, if there is one."""
        step = next((s for s in self.steps if s.output == self.numbers[tensor]), None)
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
        number = self.numbers[output] = len(self.steps) + 1
        shape = [int(size) for size in bind(output.shape[1:], 1)]
        self.steps.append(
            LayerStep(op, node.scope, [self.numbers[t] for t in inputs], number, shape, attrs, parameters or {})
        )

    def _unsupported(self, node: Node) -> UsageError:
        where = f"layer {node.scope} of {self.name}" if node.scope else self.name
        return UsageError(
            f"{where} applies '{node.op.name}' in a way that `opsin bench` cannot give to other libraries"
        )


def _dependent_nodes(graph: Graph) -> list[Node]:
    """Return the nodes that depend on the images, in order."""
    dependent: dict[Node, None] = {}
    for node in graph.nodes:
        if any(t.node.op is INPUT or t.node in dependent for t in node.inputs):
            dependent[node] = None
    return list(dependent)


def _constant_factors(node: Node) -> list[float]:
    """Return the values of the operands that are constant numbers."""
    constants = [t.node for t in node.inputs if t.node.op.name == "constant"]
    return [constant.attrs["value"] for constant in constants if isinstance(constant.attrs["value"], float)]


def _parameter(tensor: Tensor) -> str | None:
    """Return the name of the variable that `tensor` is or reshapes; None if it is anything else."""
    node = tensor.node
    while node.op.name == "reshape":
        node = node.inputs[0].node
    return str(node.attrs["name"]) if node.op is VARIABLE else None

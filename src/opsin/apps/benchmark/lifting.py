"""Combine the operations of a traced graph into the layers that other libraries have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from opsin import nn
from opsin.apps.benchmark.patterns import constants, find_pattern, parameter
from opsin.base.errors import UsageError
from opsin.ir import BATCH, INPUT, Graph, Node, Tensor, bind

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
SINGLE = (
    "relu", "relu6", "tanh", "sigmoid", "exp", "add", "multiply", "concat", "slice", "pad", "max_pool2d", "avg_pool2d",
)  # fmt: skip
"""Operations that become a step each, with their attributes."""
WEIGHTED = ("conv2d", "conv_transpose2d", "matmul")
"""Operations of a value and a weight."""
WITH_CONSTANT = {"multiply": ("scale", "factor"), "minimum": ("clamp_max", "limit")}
"""Operations with a constant number: the name of the step, and that of the number."""


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


class Lifter:
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
            elif pattern := find_pattern(node, self.users):
                combined.update(pattern.nodes)
                self._add(pattern.op, node, [pattern.source], pattern.nodes[-1].output, pattern.attrs)
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
        parameters = [name for t in node.inputs if t not in self.numbers and (name := parameter(t))]
        attrs, op = bind(node.attrs, 1), node.op.name
        if op in WEIGHTED and len(inputs) == len(parameters) == 1 and inputs[0] is node.inputs[0]:
            if op == "matmul" and (attrs["transpose_a"] or not attrs["transpose_b"]):
                raise self._unsupported(node)
            name, attrs = ("linear", {}) if op == "matmul" else (op, attrs | {"kernel": node.inputs[1].shape[2:]})
            if op == "conv_transpose2d":
                attrs["output_padding"] = _output_padding(node, attrs)
            self._add(name, node, inputs, node.output, attrs, {"weight": parameters[0]})
        elif op == "add" and len(inputs) == len(parameters) == 1 and (owner := self._owner(inputs[0])):
            owner.parameters["bias"] = parameters[0]
            self.numbers[node.output] = owner.output
        elif op == "multiply" and len(inputs) == len(parameters) == 1 and _is_per_channel(node, inputs[0]):
            self._add("channel_scale", node, inputs, node.output, {}, {"weight": parameters[0]})
        elif op in SINGLE and len(inputs) == len(node.inputs):
            self._add(op, node, inputs, node.output, attrs)
        elif len(inputs) == 1 and (layer := _moved(node) or _with_constant(node)):
            self._add(layer[0], node, inputs, node.output, layer[1])
        else:
            raise self._unsupported(node)

    def _owner(self, tensor: Tensor) -> LayerStep | None:
        """Return the convolution or linear layer without a bias yet that computes `tensor`, if there is one."""
        step = next((s for s in self.steps if s.output == self.numbers[tensor]), None)
        return (
            step
            if step and step.op in ("conv2d", "conv_transpose2d", "linear") and "bias" not in step.parameters
            else None
        )

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


def _is_per_channel(node: Node, images: Tensor) -> bool:
    """Return whether the operand other than `images` N × C × H × W has a number for each channel."""
    (other,) = (t for t in node.inputs if t is not images)
    return images.rank == 4 and other.shape == (1, images.shape[1], 1, 1)


def _moved(node: Node) -> tuple[str, dict[str, Any]] | None:
    """Return the step and attributes of an operation that resizes, reshapes or permutes its one operand."""
    x, attrs, op = node.inputs[0], bind(node.attrs, 1), node.op.name
    if op == "resample2d" and not attrs["adjoint"]:
        if attrs["mode"] == "area":
            return "adaptive_avg_pool2d", {"size": attrs["size"]}
        return "resize", {"size": attrs["size"], "mode": attrs["mode"]}
    if op == "reshape" and x.shape[0] == node.output.shape[0] == BATCH:
        return ("flatten", {}) if node.output.rank == 2 else ("reshape", {})
    if op == "transpose" and attrs["axes"][0] == 0:
        return "permute", {"axes": attrs["axes"]}
    return None


def _with_constant(node: Node) -> tuple[str, dict[str, Any]] | None:
    """Return the step and attributes of an operation with a constant number."""
    if node.op.name not in WITH_CONSTANT or not (values := constants(node)):
        return None
    op, name = WITH_CONSTANT[node.op.name]
    return op, {name: values[0]}


def _output_padding(node: Node, attrs: dict[str, Any]) -> tuple[int, ...]:
    """Return the rows and columns that a transposed convolution has more than it needs."""
    keys = ("size", "stride", "padding", "dilation", "kernel")
    moves = zip(node.inputs[0].shape[2:], *(attrs[key] for key in keys), strict=True)
    return tuple(out - (size - 1) * s + sum(p) - d * (k - 1) - 1 for size, out, s, p, d, k in moves)

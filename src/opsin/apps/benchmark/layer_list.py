"""A network as a list of layers in plain data, from which other libraries build the same network.

In a traced graph, layers such as batch normalization consist of several operations. Here these are combined again: each
step is a layer that every library has, with the names of its parameters.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from opsin import nn
from opsin.apps.benchmark.lifting import LayerStep, Lifter
from opsin.base.errors import UsageError
from opsin.ir import Graph
from opsin.nn.trace import image_input, run_forward

CROSS_ENTROPY, MEAN_SQUARED_ERROR = "cross_entropy", "mean_squared_error"


@dataclass(frozen=True)
class LayerList:
    """A network. `outputs` are those of the network and then of auxiliary heads, with the weights of their losses.

    `fixed` are the weights that are not trained. `loss` is `CROSS_ENTROPY` of logits N × classes, or
    `MEAN_SQUARED_ERROR`, which is that of every output, added up.
    """

    name: str
    input: nn.ImageShape
    steps: list[LayerStep]
    outputs: list[tuple[int, float]]
    fixed: list[str]
    loss: str = CROSS_ENTROPY
    auxiliaries: int = 0
    """The number of auxiliary heads. Their losses have the target of the first output."""

    @property
    def shapes(self) -> list[list[int]]:
        """The shape of each output, without the batch."""
        by_number = {step.output: step.shape for step in self.steps}
        return [by_number[number] for number, _ in self.outputs]

    def to_data(self) -> dict[str, Any]:
        """Return the list as data for JSON."""
        return asdict(self)


def layer_list(
    name: str, network: nn.Layer, shape: nn.ImageShape, training: bool, loss: str = CROSS_ENTROPY
) -> LayerList:
    """Return the layers of `network` for images of `shape`, with its auxiliary heads only for `training`.

    Raise `UsageError` if the network has an operation that other libraries cannot be given.
    """
    images = image_input(shape)
    outputs, trace = run_forward(network, images, training)
    if loss == CROSS_ENTROPY and list(outputs) != ["logits"]:
        raise UsageError(f"{name} has the outputs {', '.join(outputs)}; a classifier has one, 'logits'")
    auxiliaries = trace.auxiliaries if training else []
    heads = [*((output, 1.0) for output in outputs.values()), *auxiliaries]
    graph = Graph((images,), {str(number): tensor for number, (tensor, _) in enumerate(heads)})
    lifter = Lifter(name, graph, nn.named_layers(network))
    steps = lifter.lift()
    weights = [path for step in steps for role, path in step.parameters.items() if role in ("weight", "bias")]
    fixed = [path for path in weights if path not in graph.parameters]
    numbers = [(lifter.numbers[tensor], weight) for tensor, weight in heads]
    return LayerList(name, shape, steps, numbers, fixed, loss, len(auxiliaries))


def deterministic(network: nn.Layer) -> nn.Layer:
    """Return the network without randomness in training, to make the results of libraries comparable."""
    for layer in nn.named_layers(network).values():
        if isinstance(layer, nn.Dropout | nn.StochasticDepth):
            layer.p = 0.0
    return network

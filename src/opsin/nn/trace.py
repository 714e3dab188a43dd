"""Tracing: run the `forward` of a network once, on symbolic tensors, to obtain its graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opsin.base.errors import UsageError
from opsin.ir import BATCH, Graph, Tensor, input_tensor, show
from opsin.ir.arguments import wholes
from opsin.nn.layer import Layer, Trace, named_layers, tracing

ImageShape = tuple[int, int, int]
"""Channels, rows, columns."""


def trace(
    network: Layer, input_shape: ImageShape = (1, 28, 28), training: bool = False, frozen: Sequence[str] = ()
) -> Graph:
    """Return the graph from the input "inputs", N × C × H × W, to the output "logits", the result of the network.

    The outputs of a network whose `forward` returns a mapping have the mapping's names instead. With `training`, batch
    normalization uses the statistics of the batch and updates the running ones, dropout is active, and the logits of
    auxiliary classifiers are outputs, too: "auxiliary1", "auxiliary2", … `frozen` is as in `training_graph`. Raise
    `ShapeError`, with the path of the layer, if two layers do not match.
    """
    images = image_input(input_shape)
    outputs, traced = run_forward(network, images, training, frozen)
    auxiliaries = {f"auxiliary{number}": tensor for number, (tensor, _) in enumerate(traced.auxiliaries, start=1)}
    return Graph((images,), outputs | auxiliaries, traced.updates).verify_names()


def image_input(shape: ImageShape, views: int = 1) -> Tensor:
    """Return the input "inputs", a batch of images of `shape`, or so many `views` of each."""
    sizes = wholes("an input shape", shape)
    if len(sizes) != 3 or min(sizes) < 1:
        raise UsageError(f"an input shape is channels, rows and columns, such as (1, 28, 28), not {show(sizes)}")
    return input_tensor("inputs", (views * BATCH, *sizes))


def run_forward(
    network: Layer, images: Tensor, training: bool, frozen: Sequence[str] = ()
) -> tuple[dict[str, Tensor], Trace]:
    """Return the outputs of `network` for `images`, and everything it declared; `frozen` is as in `training_graph`.

    A single tensor is the output "logits".
    """
    _need_network(network)
    with tracing(Trace(network, training, frozen)) as current:
        result: Any = network(images)
    return dict(result) if isinstance(result, Mapping) else {"logits": result}, current


def layer_kinds(network: Layer) -> dict[str, str]:
    """Return the kind of each layer without sublayers, such as "Conv2d", by path."""
    _need_network(network)
    return {path: type(layer).__name__ for path, layer in named_layers(network).items() if not any(layer.children())}


def _need_network(network: object) -> None:
    if not isinstance(network, Layer):
        raise UsageError(f"a network is an object of a Layer class, such as zoo.lenet5(), not {network!r}")

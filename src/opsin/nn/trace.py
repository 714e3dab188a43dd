"""From a network to its graph: `forward` is run once, on symbolic tensors."""

from __future__ import annotations

from collections.abc import Sequence

from opsin.base.errors import UsageError
from opsin.ir import BATCH, Graph, Tensor, input_tensor, show
from opsin.ir.arguments import wholes
from opsin.nn.layer import Layer, Trace, named_layers, tracing

ImageShape = tuple[int, int, int]
"""Channels, rows, columns."""


def trace(
    network: Layer, input_shape: ImageShape = (1, 28, 28), training: bool = False, frozen: Sequence[str] = ()
) -> Graph:
    """The graph from the input "inputs", N × C × H × W, to the output "logits", whatever the network returns.

    With `training`, batch normalisation uses the batch's statistics and its running ones are updated, dropout drops,
    and the logits of auxiliary classifiers are outputs, too: "auxiliary1", "auxiliary2", … Raises `ShapeError`, with
    the layer's path, where two layers do not fit.
    """
    images = image_input(input_shape)
    logits, found = run_forward(network, images, training, frozen)
    more = {f"auxiliary{number}": tensor for number, (tensor, _) in enumerate(found.auxiliaries, start=1)}
    return Graph((images,), {"logits": logits} | more, found.updates).verify_names()


def image_input(shape: ImageShape) -> Tensor:
    """The input "inputs", a batch of images of `shape`."""
    sizes = wholes("an input shape", shape)
    if len(sizes) != 3 or min(sizes) < 1:
        raise UsageError(f"an input shape is channels, rows and columns, such as (1, 28, 28), not {show(sizes)}")
    return input_tensor("inputs", (BATCH, *sizes))


def run_forward(network: Layer, images: Tensor, training: bool, frozen: Sequence[str] = ()) -> tuple[Tensor, Trace]:
    """What `network` makes of `images`, and what it declares on the way; `frozen` as in `training_graph`."""
    _need_network(network)
    with tracing(Trace(network, training, frozen)) as current:
        return network(images), current


def layer_kinds(network: Layer) -> dict[str, str]:
    """The kind of each layer that has no layers below it, such as "Conv2d", by path."""
    _need_network(network)
    return {path: type(layer).__name__ for path, layer in named_layers(network).items() if not any(layer.children())}


def _need_network(network: object) -> None:
    if not isinstance(network, Layer):
        raise UsageError(f"a network is an object of a Layer class, such as zoo.lenet5(), not {network!r}")

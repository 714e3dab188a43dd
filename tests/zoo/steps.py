"""Training steps of networks for each task: `nn.training_graph` is the step of classification."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from opsin import nn, ops, zoo
from opsin.ir import BATCH, INT, Graph, Tensor, input_tensor
from opsin.nn.losses import mean_squared_error
from opsin.nn.optimizers import Optimizer
from opsin.nn.trace import image_input, run_forward
from tests.support import Array, generator


def step_graph(name: str, network: nn.Layer, shape: nn.ImageShape, optimizer: Optimizer) -> Graph:
    """A step of `network`, which is called `name` in the zoo: "inputs", "labels" and "learning_rate" → "loss"."""
    if zoo.find(name).task == "classification":
        return nn.training_graph(network, shape, optimizer)
    images, rate = image_input(shape), input_tensor("learning_rate", ())
    outputs, traced = run_forward(network, images, training=True)
    logits = outputs["logits"]
    dense = zoo.find(name).task == "segmentation"
    labels = input_tensor("labels", (BATCH, *shape[1:]), INT) if dense else input_tensor("labels", logits.shape)
    loss = pixel_cross_entropy if dense else mean_squared_error
    weighted = [ops.multiply(loss(tensor, labels), weight) for tensor, weight in traced.auxiliaries]
    total = reduce(ops.add, weighted, loss(logits, labels))
    parameters = list(Graph((), {"loss": total}).parameters.values())
    changes = optimizer.updates(parameters, gradients(total, parameters), rate)
    return Graph((images, labels, rate), {"loss": total, "logits": logits}, changes | traced.updates).verify_names()


def gradients(total: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    found = [gradient for gradient in ops.gradients(total, parameters) if gradient is not None]
    assert len(found) == len(parameters)
    return found


def pixel_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over the pixels of `labels`, N × H × W, for logits N × classes × H × W."""
    classes = logits.shape[1]
    assert isinstance(classes, int)
    log_shares = ops.log_softmax(ops.transpose(logits, (0, 2, 3, 1)))
    return ops.negate(ops.mean(ops.sum(ops.multiply(log_shares, ops.one_hot(labels, classes)), -1)))


def drawn_labels(graph: Graph, batch: int, classes: int) -> Array:
    """Labels for the input of that name: whole numbers below `classes`, or real ones."""
    labels = graph.inputs[1]
    if labels.rank == 1:
        return np.arange(0, 3 * batch, 3, np.int32) % classes
    shape = (batch, *(size for size in labels.shape[1:] if isinstance(size, int)))
    rng = generator("labels")
    return rng.integers(0, classes, shape).astype(np.int32) if labels.dtype == INT else rng.normal(size=shape)

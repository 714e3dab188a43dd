"""A whole training step as one graph: forward, loss, backpropagation, optimizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from opsin import ops
from opsin.base.errors import GraphError, ShapeError, UsageError
from opsin.ir import (
    BATCH,
    INT,
    Graph,
    Tensor,
    cut_points,
    gc_paused,
    input_tensor,
    last_static_cut_point,
    prefix,
    scope,
    suffix,
)
from opsin.ir.arguments import called, flag, instance, real
from opsin.nn.ema import average_updates
from opsin.nn.layer import Layer
from opsin.nn.losses import cross_entropy
from opsin.nn.optimizers import Optimizer
from opsin.nn.trace import ImageShape, image_input, run_forward

Loss = Callable[[Tensor, Tensor], Tensor]
"""From logits N × classes and labels N (soft ones: N × classes) to a scalar."""


@gc_paused()
def training_graph(
    network: Layer,
    input_shape: ImageShape,
    optimizer: Optimizer,
    loss: Loss = cross_entropy,
    *,
    ema: float = 0.0,
    soft: bool = False,
    frozen: Sequence[str] = (),
) -> Graph:
    """One step: inputs "inputs", "labels" (N whole numbers) and "learning_rate" (a scalar).

    Outputs "loss" (before the step, with the shares of auxiliary classifiers) and "correct" (how many images of the
    batch were recognised, as a real number). A run updates the parameters, the optimizer's memory, running statistics
    and "random.step", and with the decay `ema` their moving averages (see `averages`). With `soft` the labels are
    shares of all classes, "labels" N × classes, of which the largest is the one to be recognised.

    `frozen` are paths of layers that only predict, with all layers in them: their parameters do not learn, their batch
    normalisation keeps its statistics, nothing of them is dropped. No gradient is computed that none needs.
    """
    _check(optimizer, loss)
    images = image_input(input_shape)
    logits, found = run_forward(network, images, training=True, frozen=frozen)
    graph = Graph((images,), {"logits": logits}, found.updates)
    return training_step(graph, optimizer, loss, found.auxiliaries, ema=ema, soft=soft)


def features_graphs(
    network: Layer,
    input_shape: ImageShape,
    optimizer: Optimizer,
    loss: Loss = cross_entropy,
    *,
    ema: float = 0.0,
    soft: bool = False,
    frozen: Sequence[str],
) -> tuple[Graph, Graph]:
    """The step of `training_graph` in two parts: what never changes, from "inputs" to "features", and a step that
    takes these as its "inputs". The cut is the last tensor of the `frozen` layers that everything passes through.

    Raises `GraphError` where there is none.
    """
    images = image_input(input_shape)
    logits, found = run_forward(network, images, training=True, frozen=frozen)
    gate = last_static_cut_point(Graph((images,), {"logits": logits}, found.updates), "logits")
    if gate is None:
        raise GraphError("no part of the network gives features that stay as they are; freeze its first layers")
    # Auxiliary classifiers of frozen layers have nothing to teach these, and are left out with all that they update.
    kept = [(tensor, weight) for tensor, weight in found.auxiliaries if gate in cut_points(images, tensor)]
    updates = {name: value for name, value in found.updates.items() if gate in (cut_points(images, value) or [gate])}
    extra = {f"auxiliary{number}": tensor for number, (tensor, _) in enumerate(kept)}
    graph = Graph((images,), {"logits": logits} | extra, updates)
    rest = suffix(graph, gate)
    auxiliaries = [(rest.outputs[name], weight) for name, (_, weight) in zip(extra, kept, strict=True)]
    return prefix(graph, gate, "features"), training_step(rest, optimizer, loss, auxiliaries, ema=ema, soft=soft)


def training_step(
    network: Graph,
    optimizer: Optimizer,
    loss: Loss = cross_entropy,
    auxiliaries: Sequence[tuple[Tensor, float]] = (),
    *,
    ema: float = 0.0,
    soft: bool = False,
) -> Graph:
    """As `training_graph`, of a network that is a graph from "inputs" to "logits" already: that of a model, imported.

    Only its trainable variables learn; batch normalisation by known statistics keeps these. `auxiliaries` are more
    logits of the graph, with the weights of their losses.
    """
    instance("what is to be trained", network, Graph, "a graph from images to logits; training_graph takes layers")
    _check(optimizer, loss)
    ema, soft = real("the decay of the moving average (ema)", ema, finite=False), flag("soft", soft)
    (images,), logits = network.inputs, network.outputs["logits"]
    if logits.rank != 2:
        raise ShapeError(f"a network to train gives N × classes, but this one gives {logits.type}; flatten it")
    labels = input_tensor("labels", logits.shape) if soft else input_tensor("labels", (BATCH,), INT)
    rate = input_tensor("learning_rate", ())
    with scope("loss"):
        shares = [ops.multiply(loss(tensor, labels), weight) for tensor, weight in auxiliaries]
        total = reduce(ops.add, shares, loss(logits, labels))
        right = ops.equal(ops.argmax(logits), ops.argmax(labels) if soft else labels)
        outputs = {"loss": total, "correct": ops.sum(right)}
    parameters = tuple(Graph((), {"loss": outputs["loss"]}).parameters.values())
    gradients = ops.gradients(outputs["loss"], parameters)
    learned = [(p, g) for p, g in zip(parameters, gradients, strict=True) if g is not None]
    if not learned:
        raise GraphError("the loss depends on no parameter, so that there is nothing to train")
    new = optimizer.updates([p for p, _ in learned], [g for _, g in learned], rate) | network.updates
    if ema:
        mine = {name: value for name, value in new.items() if not name.startswith("optimizer.")}
        new |= average_updates(mine, ema)
    return Graph((images, labels, rate), outputs, new).verify_names()


def _check(optimizer: object, loss: object) -> None:
    instance("the optimizer", optimizer, Optimizer, "an object such as nn.optimizers.SGD(momentum=0.9)")
    if not callable(loss):
        raise UsageError(f"the loss must be a function such as nn.losses.cross_entropy, not {called(loss)}")

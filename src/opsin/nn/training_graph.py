"""A whole training step as one graph: forward pass, loss, backpropagation, optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from opsin import ops
from opsin.base.errors import GraphError
from opsin.ir import (
    Graph,
    Tensor,
    cut_points,
    gc_paused,
    input_tensor,
    last_static_cut_point,
    prefix,
    scope,
    split,
    static_taps,
    suffix,
)
from opsin.ir.arguments import instance, real
from opsin.nn.ema import average_updates
from opsin.nn.layer import Layer
from opsin.nn.losses import cross_entropy
from opsin.nn.objective import Loss, Objective, objective_of
from opsin.nn.optimizers import Optimizer
from opsin.nn.trace import ImageShape, image_input, run_forward


@gc_paused()
def training_graph(
    network: Layer,
    input_shape: ImageShape,
    optimizer: Optimizer,
    loss: Loss | Objective = cross_entropy,
    *,
    ema: float = 0.0,
    soft: bool = False,
    frozen: Sequence[str] = (),
    views: int = 1,
) -> Graph:
    """Return the graph of one training step.

    Inputs: "inputs", "labels" (N integers) and "learning_rate" (a scalar). Outputs: "loss" (before the step, including
    auxiliary classifiers) and "correct" (the number of correctly classified images in the batch, as a real number). A
    run updates the parameters, the optimizer's state, running statistics and "random.step", and with a decay `ema`
    their moving averages (see `opsin.nn.ema`). With `soft`, "labels" are N × classes and each row sums to 1; the
    largest is the true class.

    `loss` may also be the `Objective` of another task, which names the targets and outputs of the step. With several
    `views` of each image, "inputs" has the first views of all images, then the second ones, and so on: views · N rows.

    `frozen` are paths of layers that are not trained, with all their sublayers: their parameters stay, their batch
    normalization keeps its statistics, and their dropout is inactive. Unneeded gradients are not computed.
    """
    _check(optimizer)
    objective = objective_of(loss, soft)
    images = image_input(input_shape, views)
    outputs, traced = run_forward(network, images, training=True, frozen=frozen)
    graph = Graph((images,), outputs, traced.updates)
    return training_step(graph, optimizer, objective, traced.auxiliaries, ema=ema)


def features_graphs(
    network: Layer,
    input_shape: ImageShape,
    optimizer: Optimizer,
    loss: Loss | Objective = cross_entropy,
    *,
    ema: float = 0.0,
    soft: bool = False,
    frozen: Sequence[str],
) -> tuple[Graph, Graph]:
    """Return the step of `training_graph` as two graphs, cut at the last static cut point of the `frozen` layers.

    The first one computes "features" from "inputs" and never changes; the second one is a training step with these
    features as its "inputs". Raise `GraphError` if there is no such cut point.
    """
    images = image_input(input_shape)
    outputs, traced = run_forward(network, images, training=True, frozen=frozen)
    cut = last_static_cut_point(Graph((images,), outputs, traced.updates), "logits") if "logits" in outputs else None
    if cut is None:
        raise GraphError("no part of the network computes features that stay the same; freeze its first layers")
    # Auxiliary classifiers on frozen layers cannot train anything: leave them out with everything that they update.
    classifiers = [(tensor, weight) for tensor, weight in traced.auxiliaries if cut in cut_points(images, tensor)]
    updates = {name: value for name, value in traced.updates.items() if cut in (cut_points(images, value) or [cut])}
    heads = {f"auxiliary{number}": tensor for number, (tensor, _) in enumerate(classifiers)}
    graph = Graph((images,), outputs | heads, updates)
    tail = suffix(graph, cut)
    auxiliaries = [(tail.outputs[name], weight) for name, (_, weight) in zip(heads, classifiers, strict=True)]
    return prefix(graph, cut, "features"), training_step(tail, optimizer, loss, auxiliaries, ema=ema, soft=soft)


def tapped_graphs(
    network: Layer,
    input_shape: ImageShape,
    optimizer: Optimizer,
    loss: Loss | Objective,
    *,
    ema: float = 0.0,
    frozen: Sequence[str],
) -> tuple[Graph, Graph]:
    """Return the step of `training_graph` as two graphs, cut at every tensor of the `frozen` layers that others read.

    The first one computes these tensors from "inputs" and never changes; they are called "inputs", "tap1", "tap2", …
    The second one is a training step that takes them as inputs. Raise `GraphError` if there are none.
    """
    images = image_input(input_shape)
    outputs, traced = run_forward(network, images, training=True, frozen=frozen)
    heads = {f"auxiliary{number}": tensor for number, (tensor, _) in enumerate(traced.auxiliaries)}
    graph = Graph((images,), outputs | heads, traced.updates)
    taps = static_taps(graph)
    if not taps:
        raise GraphError("no part of the network computes features that stay the same; freeze its first layers")
    names = ["inputs", *(f"tap{number}" for number in range(1, len(taps)))]
    extractor, tail = split(graph, taps, names)
    auxiliaries = [(tail.outputs[name], weight) for name, (_, weight) in zip(heads, traced.auxiliaries, strict=True)]
    results = {name: tensor for name, tensor in tail.outputs.items() if name not in heads}
    return extractor, training_step(Graph(tail.inputs, results, tail.updates), optimizer, loss, auxiliaries, ema=ema)


def training_step(
    network: Graph,
    optimizer: Optimizer,
    loss: Loss | Objective = cross_entropy,
    auxiliaries: Sequence[tuple[Tensor, float]] = (),
    *,
    ema: float = 0.0,
    soft: bool = False,
) -> Graph:
    """Return a training step like `training_graph`, for a graph from "inputs" to "logits", such as an imported model's.

    Only its trainable variables are trained; batch normalization with fixed statistics keeps them. `auxiliaries` are
    further logits of the graph, with the weights of their losses.
    """
    instance("the network to train", network, Graph, "a graph from images to logits; training_graph takes layers")
    _check(optimizer)
    objective = objective_of(loss, soft)
    ema = real("the decay of the moving average (ema)", ema, finite=False)
    targets = objective.targets(network.outputs)
    rate = input_tensor("learning_rate", ())
    with scope("loss"):
        auxiliary_losses = [
            ops.multiply(objective.loss({"logits": tensor}, targets), weight) for tensor, weight in auxiliaries
        ]
        total = reduce(ops.add, auxiliary_losses, objective.loss(network.outputs, targets))
        outputs = {"loss": total, **objective.statistics(network.outputs, targets)}
    parameters = tuple(Graph((), {"loss": outputs["loss"]}).parameters.values())
    gradients = ops.gradients(outputs["loss"], parameters)
    pairs = [(p, g) for p, g in zip(parameters, gradients, strict=True) if g is not None]
    if not pairs:
        raise GraphError("the loss depends on no parameter, so there is nothing to train")
    updates = optimizer.updates([p for p, _ in pairs], [g for _, g in pairs], rate) | network.updates
    if ema:
        network_updates = {name: value for name, value in updates.items() if not name.startswith("optimizer.")}
        updates |= average_updates(network_updates, ema)
    return Graph((*network.inputs, *targets.values(), rate), outputs, updates).verify_names()


def _check(optimizer: object) -> None:
    instance("the optimizer", optimizer, Optimizer, "an object such as nn.optimizers.SGD(momentum=0.9)")

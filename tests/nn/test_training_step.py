"""The training step of a network that is given as a graph."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, ops
from opsin.base.errors import GraphError, ShapeError
from opsin.ir import BATCH, Graph, input_tensor, variable
from opsin.nn.optimizers import SGD
from tests.nn.support import loaded

NETWORK = nn.Sequential(nn.Conv2d(4, 3), nn.BatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.Linear(3))


def test_training_a_graph_equals_training_its_layers() -> None:
    whole = nn.training_graph(NETWORK, (1, 5, 5), SGD(0.9))
    step = nn.training_step(nn.trace(NETWORK, (1, 5, 5), training=True), SGD(0.9))
    assert str(step) == str(whole)


def test_fixed_statistics_stay_and_parameters_are_trained(rng: np.random.Generator) -> None:
    graph = nn.trace(NETWORK, (1, 5, 5))
    step = nn.training_step(graph, SGD())
    assert set(step.updates) == set(graph.parameters)
    program = loaded(step, 6)
    x, labels = rng.standard_normal((6, 1, 5, 5)), np.arange(6) % 3
    losses = [float(program.run(inputs=x, labels=labels, learning_rate=0.1)["loss"]) for _ in range(30)]
    assert losses[-1] < losses[0] / 3


def test_auxiliary_logits_have_weights(rng: np.random.Generator) -> None:
    images, w = input_tensor("inputs", (BATCH, 1, 2, 2)), variable("w", (3, 4), trainable=True)
    logits = ops.linear(ops.flatten(images), w)
    graph = Graph((images,), {"logits": logits})
    x, state = rng.standard_normal((5, 1, 2, 2)), {"w": rng.standard_normal((3, 4))}
    inputs = {"inputs": x, "labels": np.arange(5) % 3, "learning_rate": 0.0}
    alone, both = (
        loaded(nn.training_step(graph, SGD(), auxiliaries=more), 5, state).run(**inputs)["loss"]
        for more in ((), ((logits, 0.5),))
    )
    assert both == pytest.approx(1.5 * alone)


def test_graphs_that_cannot_be_trained_are_errors() -> None:
    images = input_tensor("inputs", (BATCH, 1, 2, 2))
    with pytest.raises(ShapeError, match="a network to train gives N × classes, but this one gives N × 1 × 2 × 2"):
        nn.training_step(Graph((images,), {"logits": images}), SGD())
    with pytest.raises(GraphError, match="the loss depends on no parameter"):
        nn.training_step(Graph((images,), {"logits": ops.flatten(images)}), SGD())

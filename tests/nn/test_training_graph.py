"""A whole training step: its interface, outputs, size and errors."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest

from opsin import nn, ops
from opsin.base.errors import GraphError, ShapeError, UsageError
from opsin.ir import BATCH, INT, Graph, Tensor, Type
from opsin.nn.optimizers import SGD, AdamW
from tests.nn.support import Of, loaded
from tests.support import Array

EVERYTHING = nn.Sequential(
    nn.Conv2d(4, 3, padding=1), nn.BatchNorm2d(), nn.ReLU(), nn.MaxPool2d(2),
    nn.Dropout(0.2), nn.Flatten(), nn.Linear(3),
)  # fmt: skip


def test_the_interface() -> None:
    graph = nn.training_graph(EVERYTHING, (2, 6, 6), SGD(0.9))
    inputs = {t.node.attrs["name"]: t.type for t in graph.inputs}
    assert inputs == {"inputs": Type((BATCH, 2, 6, 6)), "labels": Type((BATCH,), INT), "learning_rate": Type(())}
    assert {name: t.type for name, t in graph.outputs.items()} == {"loss": Type(()), "correct": Type(())}
    parameters = {"0.weight", "0.bias", "1.weight", "1.bias", "6.weight", "6.bias"}
    assert set(graph.parameters) == parameters
    memory = {f"optimizer.{name}.momentum" for name in parameters}
    assert set(graph.updates) == parameters | memory | {"1.running_mean", "1.running_var", "random.step"}


def test_correct_counts_the_correctly_classified_images(rng: np.random.Generator) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, bias=False))
    program = loaded(nn.training_graph(network, (1, 2, 2), SGD()), 6, {"1.weight": np.eye(4)})
    x = np.eye(4)[[0, 1, 2, 3, 0, 1]].reshape(6, 1, 2, 2)
    results = program.run(inputs=x, labels=[0, 1, 2, 0, 3, 1], learning_rate=0.0)
    assert results["correct"] == 4
    assert results["loss"] == pytest.approx(np.log(np.e + 3) - 4 / 6)


def test_the_loss_decreases(rng: np.random.Generator) -> None:
    program = loaded(nn.training_graph(EVERYTHING, (2, 6, 6), AdamW(clip_norm=5.0)), 30)
    labels = np.arange(30) % 3
    x = rng.standard_normal((30, 2, 6, 6))
    x[:, 0] += labels[:, None, None]
    runs = [program.run(inputs=x, labels=labels, learning_rate=0.02) for _ in range(25)]
    assert runs[0]["correct"] < 20
    assert runs[-1]["correct"] > 27
    assert runs[-1]["loss"] < runs[0]["loss"] / 4
    assert program.state()["random.step"] == 25


def test_the_trained_state_matches_the_inference_graph(rng: np.random.Generator) -> None:
    program = loaded(nn.training_graph(EVERYTHING, (2, 6, 6), SGD(0.9)), 5)
    program.run(inputs=rng.standard_normal((5, 2, 6, 6)), labels=[0, 1, 2, 0, 1], learning_rate=0.1)
    inference = nn.trace(EVERYTHING, (2, 6, 6))
    state = program.state()
    trained = {name: state[name] for name in inference.variables}
    assert np.isfinite(loaded(inference, 1, trained).run(inputs=np.ones((1, 2, 6, 6)))["logits"]).all()


def test_losses_with_arguments() -> None:
    loss = partial(nn.losses.cross_entropy, class_weights=(1.0, 2.0, 0.5), label_smoothing=0.1)
    graph = nn.training_graph(EVERYTHING, (2, 6, 6), SGD(), loss=loss)
    assert nn.initial_state(graph, 0)["loss.class_weights"].tolist() == [1.0, 2.0, 0.5]
    assert "loss.class_weights" not in graph.updates


@pytest.mark.parametrize("optimizer", [SGD(), SGD(0.9, True), AdamW(clip_norm=1.0)])
def test_no_node_is_trivial(optimizer: nn.optimizers.Optimizer) -> None:
    graph = nn.training_graph(EVERYTHING, (2, 6, 6), optimizer)
    for node in graph.nodes:
        numbers = [t.node.attrs["value"] for t in node.inputs if t.node.op.name == "constant"]
        assert not (node.op.name == "multiply" and 1.0 in numbers), node
        assert not (node.op.name in ("add", "subtract") and 0.0 in numbers), node


def test_a_step_of_sgd_has_few_nodes() -> None:
    graph = nn.training_graph(nn.Sequential(nn.Flatten(), nn.Linear(3)), (1, 2, 2), SGD())
    own = [node.op.name for node in graph.nodes if node.scope == "optimizer"]
    assert sorted(own) == ["multiply", "multiply", "subtract", "subtract"]


def test_networks_that_cannot_be_trained_are_errors() -> None:
    with pytest.raises(ShapeError, match=re.escape("gives N × classes, but this one gives N × 1 × 4 × 4; flatten it")):
        nn.training_graph(nn.ReLU(), (1, 4, 4), SGD())
    with pytest.raises(GraphError, match="the loss depends on no parameter, so there is nothing to train"):
        nn.training_graph(nn.Flatten(), (1, 2, 2), SGD())
    frozen = Of(lambda self, x: ops.stop_gradient(self.fc(ops.flatten(x))), fc=nn.Linear(2))
    with pytest.raises(GraphError, match="the loss depends on no parameter"):
        nn.training_graph(frozen, (1, 2, 2), SGD())


def test_parameters_behind_a_stopped_gradient_do_not_change() -> None:
    network = Of(
        lambda self, x: self.head(ops.stop_gradient(self.body(ops.flatten(x)))), body=nn.Linear(3), head=nn.Linear(2)
    )
    graph: Graph = nn.training_graph(network, (1, 2, 2), SGD(0.9))
    assert set(graph.parameters) == {"body.weight", "body.bias", "head.weight", "head.bias"}
    assert not any("body" in name for name in graph.updates)


class Helped(nn.Layer):
    """A network with two classifiers on its way."""

    def __init__(self) -> None:
        self.flatten, self.body, self.fc = nn.Flatten(), nn.Linear(4), nn.Linear(3)
        self.helpers = [nn.Linear(3), nn.Linear(3)]

    def forward(self, x: Tensor) -> Tensor:
        x = self.flatten(x)
        self.auxiliary(self.helpers[0](x), 0.25)
        x = self.body(x)
        self.auxiliary(self.helpers[1](x), 0.5)
        return self.fc(x)


def test_auxiliary_losses_are_added_with_their_weights(rng: np.random.Generator) -> None:
    x, labels = rng.standard_normal((5, 1, 2, 2)), np.array([0, 2, 1, 1, 0])
    step = loaded(nn.training_graph(Helped(), (1, 2, 2), SGD()), 5)
    logits = loaded(nn.trace(Helped(), (1, 2, 2), training=True), 5).run(inputs=x)
    assert list(logits) == ["logits", "auxiliary1", "auxiliary2"]
    results = step.run(inputs=x, labels=labels, learning_rate=0.1)

    def loss(z: Array) -> float:
        return float(np.mean(np.log(np.exp(z).sum(1)) - z[np.arange(5), labels]))

    expected = loss(logits["logits"]) + 0.25 * loss(logits["auxiliary1"]) + 0.5 * loss(logits["auxiliary2"])
    assert results["loss"] == pytest.approx(expected, rel=1e-12)
    assert results["correct"] == (logits["logits"].argmax(1) == labels).sum()


def test_auxiliary_classifiers_exist_only_during_training() -> None:
    inference, training = nn.trace(Helped(), (1, 2, 2)), nn.training_graph(Helped(), (1, 2, 2), SGD())
    helpers = {f"helpers.{number}.{kind}" for number in (0, 1) for kind in ("weight", "bias")}
    assert set(training.updates) == set(inference.variables) | helpers
    assert list(inference.outputs) == ["logits"]
    assert not helpers & set(inference.variables)


TWO = nn.Sequential(
    ("early", nn.Sequential(nn.Conv2d(4, 3, padding=1), nn.BatchNorm2d(), nn.ReLU(), nn.Dropout(0.5))),
    ("late", nn.Sequential(nn.Conv2d(4, 3, padding=1), nn.BatchNorm2d(), nn.ReLU())),
    ("head", nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(3))),
)


def test_frozen_layers_do_not_change() -> None:
    graph = nn.training_graph(TWO, (2, 6, 6), SGD(momentum=0.9), frozen=("early",))
    assert set(graph.parameters) == {"late.0.weight", "late.0.bias", "late.1.weight", "late.1.bias"} | {
        "head.2.weight",
        "head.2.bias",
    }
    assert not [name for name in graph.updates if "early" in name]
    drawn = [node.scope for node in graph.nodes if node.op.name == "bernoulli"]
    assert drawn == ["head.1"]
    trained = [node for node in graph.nodes if node.op.name == "conv2d_weight"]
    assert [node.scope for node in trained] == ["late.0"]
    assert not [node for node in graph.nodes if node.op.name == "conv_transpose2d"], "nothing frozen needs a gradient"


def test_a_frozen_norm_passes_gradients() -> None:
    graph = nn.training_graph(TWO, (2, 6, 6), SGD(), frozen=("late.1",))
    assert {"early.0.weight", "late.0.weight"} <= set(graph.updates)
    assert not [name for name in graph.updates if name.startswith("late.1")]


def test_an_unknown_frozen_layer_is_named() -> None:
    with pytest.raises(UsageError, match=re.escape("the network has no layer 'earl'; did you mean 'early'?")):
        nn.training_graph(TWO, (2, 6, 6), SGD(), frozen=("earl",))


def test_features_and_their_step_compose_to_the_whole_step(rng: np.random.Generator) -> None:
    frozen = ("early", "late.0", "late.1")
    network = nn.Sequential(*[(name, layer) for name, layer in TWO.layers if name != "head"], ("head", plain_head()))
    whole = nn.training_graph(network, (2, 6, 6), SGD(momentum=0.9), frozen=frozen)
    trunk, rest = nn.features_graphs(network, (2, 6, 6), SGD(momentum=0.9), frozen=frozen)
    state = {name: rng.uniform(0.5, 1, t.shape) for name, t in whole.variables.items()}
    images, labels = rng.normal(size=(5, 2, 6, 6)), rng.integers(0, 3, 5)
    programs = [loaded(graph, 5, {n: state[n] for n in graph.variables}) for graph in (whole, trunk, rest)]
    features = programs[1].run(inputs=images)["features"]
    a = programs[0].run(inputs=images, labels=labels, learning_rate=0.1)
    b = programs[2].run(inputs=features, labels=labels, learning_rate=0.1)
    assert np.allclose(a["loss"], b["loss"]) and a["correct"] == b["correct"]
    changed = programs[2].state()
    assert all(np.allclose(value, programs[0].state()[name]) for name, value in changed.items())
    assert set(changed) == set(rest.variables) < set(whole.variables)


def plain_head() -> nn.Layer:
    return nn.Sequential(nn.Flatten(), nn.Linear(3))


def test_features_need_frozen_first_layers() -> None:
    with pytest.raises(GraphError, match="freeze its first layers"):
        nn.features_graphs(TWO, (2, 6, 6), SGD(), frozen=("head",))

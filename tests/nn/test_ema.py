"""The moving average in a training step: its values, and no cost without it."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from opsin import nn
from opsin.backends.native import compile
from opsin.backends.reference import Reference
from opsin.base.errors import UsageError
from opsin.ir import Tensor
from opsin.nn.optimizers import SGD

NETWORK = nn.Sequential(nn.Conv2d(3, 3), nn.BatchNorm2d(), nn.Tanh(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(2))


@pytest.mark.parametrize("native", [False, True])
def test_the_average_follows_parameters_and_statistics(native: bool, rng: np.random.Generator) -> None:
    graph = nn.training_graph(NETWORK, (1, 6, 6), SGD(momentum=0.9), ema=0.6)
    program = compile(graph, 8, 1) if native else Reference(graph, 8)
    program.load_state(nn.initial_state(graph, 0))
    expected: dict[str, np.ndarray] = {}
    for step in range(20):
        x = rng.standard_normal((8, 1, 6, 6)).astype(np.float32)
        program.run(inputs=x, labels=np.arange(8) % 2, learning_rate=0.05)
        state = program.state()
        kept = min(0.6, step / (step + 9))
        for name in nn.trace(NETWORK, (1, 6, 6)).variables:
            expected[name] = kept * expected.get(name, 0 * state[name]) + (1 - kept) * state[name]
    averages = nn.averaged(state)
    assert {"1.running_mean", "0.weight"} < expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(averages[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    assert not np.allclose(averages["0.weight"], state["0.weight"], rtol=1e-3)
    assert averages["random.step"] == 20
    assert not [name for name in averages if name.startswith("ema.")]


def test_a_step_without_ema_has_no_averages() -> None:
    graph = nn.training_graph(NETWORK, (1, 6, 6), SGD())
    assert not [name for name in graph.variables if name.startswith("ema.")]
    state = nn.initial_state(graph, 0)
    assert nn.averaged(state) == state


def test_invalid_decays_are_errors() -> None:
    with pytest.raises(UsageError) as caught:
        nn.training_graph(NETWORK, (1, 6, 6), SGD(), ema=1.0)
    assert str(caught.value) == "the decay of a moving average is between 0 and 1, such as 0.999, not 1.0"


def test_soft_labels(rng: np.random.Generator) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3))
    x = rng.standard_normal((6, 1, 2, 2)).astype(np.float32)
    labels = np.arange(6) % 3
    hard = Reference(nn.training_graph(network, (1, 2, 2), SGD()), 6)
    soft = Reference(nn.training_graph(network, (1, 2, 2), SGD(), nn.losses.soft_cross_entropy, soft=True), 6)
    for program in (hard, soft):
        program.load_state(nn.initial_state(program.graph, 3))
    first = hard.run(inputs=x, labels=labels, learning_rate=0.1)
    second = soft.run(inputs=x, labels=np.eye(3)[labels], learning_rate=0.1)
    assert first["correct"] == second["correct"]
    assert first["loss"] == pytest.approx(float(second["loss"]), rel=1e-6)
    for name, value in hard.state().items():
        np.testing.assert_allclose(soft.state()[name], value, rtol=1e-5, atol=1e-6)


def test_class_weights_apply_to_auxiliary_losses(rng: np.random.Generator) -> None:
    class Two(nn.Layer):
        def __init__(self) -> None:
            self.flat, self.first, self.last = nn.Flatten(), nn.Linear(2), nn.Linear(2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.flat(x)
            self.auxiliary(self.first(x), 0.5)
            return self.last(x)

    x, labels = rng.standard_normal((4, 1, 2, 2)).astype(np.float32), np.array([0, 0, 0, 1])
    losses = []
    for weights in ((1.0, 1.0), (1.0, 3.0)):
        loss = partial(nn.losses.cross_entropy, class_weights=weights)
        program = Reference(nn.training_graph(Two(), (1, 2, 2), SGD(), loss), 4)
        program.load_state(nn.initial_state(program.graph, 0))
        losses.append(float(program.run(inputs=x, labels=labels, learning_rate=0.0)["loss"]))
    assert losses[0] != losses[1]

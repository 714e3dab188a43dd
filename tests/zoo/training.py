"""Training steps of networks of the zoo, with all that is random in them, on both engines."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.base import Program
from opsin.backends.native import compile as compile_native
from opsin.backends.reference import Reference
from tests.support import Array, generator

BATCH = 4
CLASSES = 5


def check_step(name: str, shape: nn.ImageShape) -> None:
    """One step moves every variable, and natively to where the reference engine moves it."""
    graph = nn.training_graph(zoo.create(name, CLASSES), shape, nn.optimizers.SGD())
    state, rng = nn.initial_state(graph, 2), generator("training", name)
    images = (rng.normal(size=(BATCH, *shape)) + rng.normal(size=(BATCH, 1, 1, 1))).astype(np.float32)
    expected, exact = _step(Reference(graph, BATCH, np.float64), state, images)
    found, reached = _step(compile_native(graph, BATCH, threads=1), state, images)
    assert found == pytest.approx(expected, rel=1e-5)
    for key in graph.updates:
        assert not np.array_equal(reached[key], state[key]), f"{key} has not moved"
        # Where rounding decides whether a ReLU lets a number through, all gradients before it differ a little.
        allowed = 0.1 * _norm(exact[key] - state[key]) + 1e-5 * (1 + _norm(exact[key]))
        assert _norm(reached[key] - exact[key]) <= allowed, key


def _step(program: Program, state: dict[str, Array], images: Array) -> tuple[float, dict[str, Array]]:
    """The loss, with dropout and skipped blocks, and all variables after it."""
    program.load_state(state)
    loss = program.run(inputs=images, labels=np.array([0, 3, 1, 4], np.int32), learning_rate=1e-2)["loss"]
    return float(loss), program.state()


def _norm(values: Array) -> float:
    return float(np.linalg.norm(values))

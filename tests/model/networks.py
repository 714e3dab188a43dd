"""A small untrained model."""

from __future__ import annotations

import numpy as np

from opsin import nn
from opsin.backends.reference import Reference
from opsin.data import Preprocessing
from opsin.ir import Graph
from opsin.model import Model

LABELS = ("cat", "dog", "eel")


def reference(graph: Graph, batch: int, threads: int | None = None) -> Reference:
    """Return a program of the reference engine, as a substitute for the native one."""
    return Reference(graph, batch)


def small_network(classes: int = 3) -> nn.Layer:
    return nn.Sequential(
        ("conv", nn.Conv2d(4, 3, stride=2)), ("norm", nn.BatchNorm2d()), ("act", nn.ReLU()), ("flat", nn.Flatten()),
        ("head", nn.Linear(classes)),
    )  # fmt: skip


def small_model(seed: int = 1) -> Model:
    """Return a model of grey 8 × 9 images with three labels."""
    network = small_network()
    graph = nn.trace(network, (1, 8, 9))
    state = nn.initial_state(graph, seed)
    preprocessing = Preprocessing(1, 8, 9, (0.4,), (0.3,))
    return Model(
        "small", graph, state, preprocessing, LABELS, nn.layer_kinds(network), {"data": "none"}, engine=reference
    )


def images(count: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (count, 1, 8, 9), dtype=np.uint8)

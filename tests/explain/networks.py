"""Small models, on the reference engine in float64 or on the native one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import nn
from opsin.backends.native import compile as native
from opsin.backends.options import Engine
from opsin.backends.reference import compile as reference
from opsin.data import Preprocessing
from opsin.model import Model
from opsin.tasks.classification import Classification

float64: Engine = partial(reference, precision=np.float64)


def pooled(channels: int = 6, classes: int = 4) -> nn.Layer:
    """Two convolutions, the average over places, and a linear layer."""
    return nn.Sequential(
        ("conv1", nn.Conv2d(5, 3, padding=1)), ("act1", nn.ReLU()), ("pool1", nn.MaxPool2d(2)),
        ("conv2", nn.Conv2d(channels, 3, padding=1)), ("act2", nn.ReLU()), ("pool2", nn.GlobalAvgPool2d()),
        ("flat", nn.Flatten()), ("fc", nn.Linear(classes)),
    )  # fmt: skip


def flattened(channels: int = 6, classes: int = 4) -> nn.Layer:
    """Two convolutions and a linear layer that knows every place."""
    return nn.Sequential(
        ("conv1", nn.Conv2d(5, 3, padding=1)), ("act1", nn.ReLU()), ("pool1", nn.MaxPool2d(2)),
        ("conv2", nn.Conv2d(channels, 3, padding=1)), ("act2", nn.ReLU()), ("flat", nn.Flatten()),
        ("fc", nn.Linear(classes)),
    )  # fmt: skip


def model_of(
    network: nn.Layer,
    shape: tuple[int, int, int] = (3, 12, 10),
    seed: int = 1,
    engine: Engine = native,
    labels: Sequence[str] = ("cat", "dog", "eel", "fox"),
    task: Any = None,
) -> Model:
    """Return a model with random weights and biases."""
    graph = nn.trace(network, shape)
    rng = np.random.default_rng(seed)
    state = {
        name: values if values.ndim > 1 else (values + rng.normal(0, 0.1, values.shape)).astype(np.float32)
        for name, values in nn.initial_state(graph, seed).items()
    }
    preprocessing = Preprocessing(*shape, (0.45,) * shape[0], (0.25,) * shape[0])
    task = task or Classification(tuple(labels))
    return Model("small", graph, state, preprocessing, task, nn.layer_kinds(network), engine=engine)


def images(model: Model, count: int = 1, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, *model.preprocessing.input_shape), dtype=np.uint8)


class TransposedConvolutions(nn.Layer):
    """Transposed convolutions with and without phases, groups and gaps."""

    def __init__(self) -> None:
        self.encode = nn.Conv2d(12, 3)
        self.up = nn.ConvTranspose2d(20, 2, stride=2)
        self.overlapping = nn.ConvTranspose2d(10, 3, stride=2, padding=1, output_padding=1)
        self.dense = nn.ConvTranspose2d(10, 4, padding=1)
        self.dilated = nn.ConvTranspose2d(10, (3, 2), stride=(2, 3), dilation=(2, 1))
        self.depthwise = nn.ConvTranspose2d(10, 3, stride=2, padding=1, groups=10)
        self.grouped = nn.ConvTranspose2d(20, 3, stride=2, padding=1, groups=5)
        self.apart = nn.ConvTranspose2d(20, 2, stride=3)

"""Small networks with every step that quantization knows, with random weights and statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import nn, ops
from opsin.ir import Graph, Tensor, initial_state

Array = NDArray[Any]


class Gate(nn.Layer):
    """Squeeze-and-excitation."""

    def __init__(self, channels: int) -> None:
        self.narrow, self.wide = nn.Conv2d(4, 1), nn.Conv2d(channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = ops.global_avg_pool2d(x)
        gate = ops.hard_sigmoid(self.wide(ops.relu(self.narrow(ops.reshape(pooled, (*x.shape[:2], 1, 1))))))
        return ops.multiply(x, gate)


class Residual(nn.Layer):
    """A block with a sum, whose shortcut has a smaller scale."""

    def __init__(self, channels: int) -> None:
        self.conv, self.norm = nn.Conv2d(channels, 3, padding=1, bias=False), nn.BatchNorm2d()

    def forward(self, x: Tensor) -> Tensor:
        return ops.relu(ops.add(self.norm(self.conv(x)), ops.multiply(x, 0.25)))


class Branches(nn.Layer):
    """A concatenation of branches with different ranges."""

    def __init__(self) -> None:
        self.left, self.right = nn.Conv2d(6, 1), nn.Conv2d(5, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return ops.concat([ops.relu(self.left(x)), ops.multiply(ops.tanh(self.right(x)), 0.1), x])


NETWORKS = {
    "plain": lambda: nn.Sequential(
        nn.Conv2d(8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(12, 3, stride=2), nn.ReLU(), nn.Flatten(),
        nn.Linear(16), nn.ReLU(), nn.Linear(5),
    ),
    "depthwise": lambda: nn.Sequential(
        nn.Conv2d(8, 3, padding=1, stride=2, bias=False), nn.BatchNorm2d(), nn.ReLU6(),
        nn.Conv2d(8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(), nn.ReLU6(), nn.Conv2d(12, 1),
        nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(5),
    ),
    "residual": lambda: nn.Sequential(nn.Conv2d(8, 3), nn.ReLU(), Residual(8), Residual(8), nn.Flatten(), nn.Linear(5)),
    "gated": lambda: nn.Sequential(nn.Conv2d(8, 3), nn.HardSwish(), Gate(8), nn.Flatten(), nn.Linear(5)),
    "branches": lambda: nn.Sequential(
        nn.Conv2d(4, 3), nn.ReLU(), Branches(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(5),
    ),
    "activations": lambda: nn.Sequential(
        nn.Conv2d(8, 3), nn.MaxPool2d(2), nn.BatchNorm2d(), nn.GELU(), nn.Conv2d(8, 3), nn.SiLU(), nn.Flatten(),
        nn.Linear(5),
    ),
}  # fmt: skip


def network(name: str, seed: int = 0) -> tuple[Graph, dict[str, Array], Array]:
    """Return graph, state and normalized images 32 × 3 × 12 × 12 of a network."""
    graph = nn.trace(NETWORKS[name](), (3, 12, 12))
    state, rng = initial_state(graph, seed), np.random.default_rng(seed)
    for key, array in state.items():
        if array.ndim == 1:  # of batch normalization, and biases: channels that differ by an order of magnitude
            state[key] = (rng.uniform(0.2, 2.0, array.shape) * rng.choice([1, 1, 3], array.shape)).astype(np.float32)
        if key.endswith(("mean", "bias")):
            state[key] = rng.normal(0, 0.2, array.shape).astype(np.float32)
    pixels = rng.integers(0, 256, (32, 3, 4, 4)).repeat(3, 2).repeat(3, 3)
    return graph, state, (pixels / 128 - 1).astype(np.float32)

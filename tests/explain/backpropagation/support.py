"""Networks to trace back, with their weights set by a seed."""

from __future__ import annotations

from functools import cache

import numpy as np

from opsin import nn, ops
from opsin.data import Preprocessing
from opsin.explain.backpropagation.backward import Backward, Pass
from opsin.explain.backpropagation.target import Case, default_target
from opsin.ir import Tensor
from opsin.model import Model
from opsin.zoo import lenet5, resnet20_cifar

CLASSES = 4


class Twice(nn.Layer):
    """A convolution that is used twice, between others."""

    def __init__(self) -> None:
        self.first, self.shared, self.head = nn.Conv2d(5, 3, padding=1), nn.Conv2d(5, 3, padding=1), nn.Linear(CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = ops.relu(self.first(x))
        x = ops.relu(self.shared(ops.relu(self.shared(x))))
        return self.head(ops.reshape(ops.global_avg_pool2d(x), (x.shape[0], 5)))


def mixed() -> nn.Layer:
    """Stride, groups, dilation, depthwise convolution, batch normalization, both poolings, and other functions."""
    return nn.Sequential(
        ("wide", nn.Conv2d(6, 5, stride=2, padding=2)), ("norm", nn.BatchNorm2d()), ("relu6", nn.ReLU6()),
        ("depthwise", nn.Conv2d(6, 3, padding=1, groups=6)), ("silu", nn.SiLU()),
        ("groups", nn.Conv2d(8, 3, padding=2, dilation=2, groups=2)), ("relu", nn.ReLU()),
        ("max", nn.MaxPool2d(3, stride=2, padding=1)), ("mean", nn.AvgPool2d(2)), ("flat", nn.Flatten()),
        ("head", nn.Linear(CLASSES)),
    )  # fmt: skip


NETWORKS = {
    "lenet5": (lambda: lenet5(10), (1, 28, 28)),
    "resnet20": (lambda: resnet20_cifar(10), (3, 32, 32)),
    "mixed": (mixed, (3, 21, 18)),
    "twice": (Twice, (2, 9, 7)),
}


def model_of(network: nn.Layer, shape: tuple[int, int, int], classes: int, seed: int = 5) -> Model:
    """Return a model with weights and statistics that are not those of the start."""
    graph = nn.trace(network, shape)
    rng = np.random.default_rng(seed)
    state = {}
    for name, value in nn.initial_state(graph, seed).items():
        change = 0.1 * np.abs(rng.standard_normal(value.shape)) if value.ndim == 1 else 0
        state[name] = np.asarray(value + change, np.float32)
    labels = tuple(str(number) for number in range(classes))
    preparation = Preprocessing(*shape, (0.4,) * shape[0], (0.3,) * shape[0])
    return Model("net", graph, state, preparation, labels, nn.layer_kinds(network))


@cache
def traced(name: str) -> tuple[Backward, Pass]:
    """Return a network of `NETWORKS` with one image's way through it and back."""
    create, shape = NETWORKS[name]
    model = model_of(create(), shape, 10 if name in ("lenet5", "resnet20") else CLASSES)
    backward, step = trace(model)
    assert all(step.gradients[tensor].any() for tensor in backward.parameters.values())
    return backward, step


def trace(model: Model) -> tuple[Backward, Pass]:
    """Return one image's way through a network and back; the loss asks for the second most probable class."""
    pixels = np.random.default_rng(8).integers(0, 256, model.preprocessing.input_shape, dtype=np.uint8)
    target = default_target(model, model.outputs(pixels[None]))
    backward = Backward(model, target.objective)
    return backward, backward.run(Case(pixels, target))


def largest_index(array: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(np.abs(array).argmax(), array.shape))

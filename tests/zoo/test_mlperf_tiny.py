"""MLPerf Tiny's networks: the benchmark's sizes, and their layers rewritten with PyTorch's functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.reference import Reference
from tests.support import Array, generator, relative_error

torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")
torch.set_num_threads(1)
F = torch.nn.functional


class Keras:
    """Keras's layers, over the variables of one of our networks."""

    def __init__(self, state: dict[str, Array]) -> None:
        self.w = {name: torch.from_numpy(value) for name, value in state.items()}

    def conv(self, x: Any, name: str, stride: int = 1) -> Any:
        """`padding="same"`, as TensorFlow's documentation has it; depthwise where each filter has one channel."""
        w, pads = self.w[f"{name}.weight"], []
        for size, kernel in zip(reversed(x.shape[2:]), reversed(w.shape[2:]), strict=True):
            total = max(kernel - (size % stride or stride), 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), w, self.w[f"{name}.bias"], stride, groups=x.shape[1] // w.shape[1])

    def norm(self, x: Any, name: str) -> Any:
        mean, variance = self.w[f"{name}.running_mean"], self.w[f"{name}.running_var"]
        return F.batch_norm(x, mean, variance, self.w[f"{name}.weight"], self.w[f"{name}.bias"], eps=0.001)

    def run(self, x: Any, path: str, first: int = 0, stride: int = 1) -> Any:
        """Convolution, normalization and ReLU, which are three layers from number `first` on."""
        return F.relu(self.norm(self.conv(x, f"{path}.{first}", stride), f"{path}.{first + 1}"))

    def head(self, x: Any) -> Any:
        return F.linear(x.mean((2, 3)), self.w["fc.weight"], self.w["fc.bias"])


def resnet8(k: Keras, x: Any) -> Any:
    x = k.run(x, "stem")
    for path, stride in (("blocks.0", 1), ("blocks.1", 2), ("blocks.2", 2)):
        y = F.relu(k.norm(k.conv(x, f"{path}.conv1", stride), f"{path}.bn1"))
        y = k.norm(k.conv(y, f"{path}.conv2"), f"{path}.bn2")
        x = F.relu(y + (x if stride == 1 else k.conv(x, f"{path}.shortcut", stride)))
    return k.head(x)


def ds_cnn(k: Keras, x: Any) -> Any:
    x = k.run(x, "stem", stride=2)
    for number in range(4):
        x = k.run(k.run(x, f"blocks.{number}"), f"blocks.{number}", 3)
    return k.head(x)


def vww(k: Keras, x: Any) -> Any:
    x = k.run(x, "stem", stride=2)
    for number, stride in enumerate((1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)):
        x = k.run(k.run(x, f"blocks.{number}", stride=stride), f"blocks.{number}", 3)
    return k.head(x)


@pytest.mark.parametrize(
    ("name", "formula", "size"),
    [("resnet8", resnet8, (32, 31)), ("ds_cnn", ds_cnn, (49, 10)), ("vww", vww, (65, 48))],
)
def test_networks_match_keras_definitions(name: str, formula: Callable[..., Any], size: tuple[int, int]) -> None:
    entry = zoo.find(f"mlperf_tiny_{name}")
    shape = (entry.input_shape[0], *size)
    graph = nn.trace(entry(), shape)
    rng = generator("mlperf tiny", name)
    state = {key: np.float64(value) for key, value in nn.initial_state(graph, 1).items()}
    state |= {key: rng.uniform(0.5, 1.5, value.shape) for key, value in state.items() if value.ndim == 1}
    x = rng.normal(size=(2, *shape))
    program = Reference(graph, 2, np.float64)
    program.load_state(state)
    expected = formula(Keras(state), torch.from_numpy(x)).numpy()
    assert relative_error(program.run(inputs=x)["logits"], expected) < 1e-12


@pytest.mark.parametrize(
    ("name", "as_keras_counts", "million_multiply_adds"),
    [("resnet8", 78_666, 12.5), ("ds_cnn", 24_908, 2.7), ("vww", 221_794, 7.5)],
)
def test_sizes_match_the_benchmark(name: str, as_keras_counts: int, million_multiply_adds: float) -> None:
    entry = zoo.find(f"mlperf_tiny_{name}")
    graph = nn.trace(entry(), entry.input_shape)
    assert sum(value.size for value in nn.initial_state(graph, 0).values()) == as_keras_counts
    assert round(nn.describe(graph).macs / 1e6, 1) == million_multiply_adds

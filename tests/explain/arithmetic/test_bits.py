"""The described order of every sum against the engine's bits, at every row of the target table that runs here.

`bench/arithmetic.py` does the same for the whole zoo.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from opsin import nn, ops
from opsin.explain.arithmetic import orders
from opsin.explain.arithmetic.check import Check, check_graph
from opsin.ir import BATCH, Graph, Tensor, initial_state, input_tensor
from opsin.kernels.ir import Target
from opsin.kernels.map_reduce import MapReduceByChannel
from opsin.zoo import registry
from tests.explain.networks import TransposedConvolutions


def noisy(graph: Graph, seed: int = 3) -> dict[str, Any]:
    """Return a state of random numbers, with biases and statistics that are not 0 and 1."""
    rng = np.random.default_rng(seed)
    return {
        name: np.asarray(np.abs(value + 0.1 * rng.standard_normal(np.shape(value))) if name.endswith("var")
                         else value + 0.1 * rng.standard_normal(np.shape(value)), np.float32)
        for name, value in initial_state(graph, seed).items()
    }  # fmt: skip


def checked(network: nn.Layer, shape: tuple[int, int, int], target: Target | None = None) -> list[Check]:
    graph = nn.trace(network, shape)
    pixels = np.random.default_rng(1).standard_normal((1, *shape)).astype(np.float32)
    return list(check_graph(graph, noisy(graph), {"inputs": pixels}, 40, target))


class Everything(nn.Layer):
    """Convolutions of every kind of kernel, pooling of every kind, long and short sums."""

    def __init__(self) -> None:
        self.direct = nn.Conv2d(12, (3, 5), stride=(2, 1), padding=((0, 2), (3, 1)))
        self.grouped = nn.Conv2d(24, 3, padding=1, groups=3)
        self.lanes = nn.Conv2d(20, 3, padding=2, dilation=2, bias=False)
        self.depthwise = nn.Conv2d(20, (3, 5), stride=2, padding=(1, 2), groups=20)
        self.packed = nn.Conv2d(64, 1)
        self.wide = nn.Conv2d(64, 3, padding=1)
        self.norm = nn.BatchNorm2d()
        self.linear = nn.Linear(70)
        self.large = nn.Linear(2000)

    def forward(self, x: Tensor) -> Tensor:
        x = ops.relu(self.grouped(ops.tanh(self.direct(x))))
        x = ops.avg_pool2d(self.lanes(x), (3, 2), 2, 1, count_include_pad=False)
        x = ops.relu6(self.norm(self.depthwise(x)))
        x = ops.avg_pool2d(self.packed(x), 2, 1, 1, ceil_mode=True)
        x = ops.max_pool2d(self.wide(x), 3, 2, 1)
        x = ops.local_response_norm(ops.l2_pool2d(x, 2, 1, 1), 5)
        x = ops.reshape(ops.global_avg_pool2d(x), (x.shape[0], 64))
        x = self.large(ops.relu(self.linear(x)))
        return ops.softmax(x)


class Decoder(TransposedConvolutions):
    """Transposed convolutions of every kind of kernel, and resampling in every mode."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.ConvTranspose2d(64, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.overlapping(ops.relu(self.up(self.encode(x))))
        x = self.dilated(ops.max_pool2d(self.dense(x), 3, 2))
        x = self.depthwise(ops.resample2d(x, (31, 40), "bilinear"))
        x = self.grouped(ops.resample2d(x, (17, 80), "area"))
        x = self.apart(ops.max_pool2d(ops.resample2d(x, (40, 40), "bilinear_corners"), 4, 4))
        return ops.max_pool2d(ops.upsample(self.wide(x), 2), 7, 7)


def test_transposed_convolution_and_resampling(target: Target) -> None:
    results = checked(Decoder(), (3, 9, 11), target)
    assert [(c.node, c.kernel, c.differences) for c in results if c.differences != 0] == []
    transposed = [c.kernel for c in results if c.node.op.name == "conv_transpose2d"]
    assert len(transposed) == 8 and set(transposed) >= {"Conv2d", "ConvPanels", "Depthwise"}
    assert sum(c.kernel == "Resample" for c in results) == 4


def test_every_operation(target: Target) -> None:
    results = checked(Everything(), (3, 34, 47), target)
    assert [(c.node, c.kernel, c.differences) for c in results if c.differences != 0] == []
    kernels = Counter(c.kernel for c in results)
    assert kernels.keys() >= {"Conv2d", "Depthwise", "MatMul", "MatMulWide", "AvgPool", "MaxPool", "Reduce"}
    assert {"ConvPanels", "ConvPacked"} & kernels.keys()


@pytest.mark.parametrize("name", ["lenet5", "lenet5_1998", "mlperf_tiny_resnet8", "mlperf_tiny_ds_cnn"])
def test_networks(name: str, target: Target) -> None:
    entry = registry.find(name)
    results = checked(entry(), entry.input_shape, target)
    assert [(c.node, c.kernel, c.differences) for c in results if c.differences != 0] == []
    assert any(c.node.op.name == "conv2d" for c in results)


def test_packed_panels_are_summed_in_segments(target: Target) -> None:
    """A matrix whose columns are contiguous is packed and multiplied part by part."""
    weights = ops.transpose(input_tensor("weights", (300, 900)), (1, 0))
    x = input_tensor("inputs", (BATCH, 900))
    graph = Graph((x, weights.node.inputs[0]), {"y": ops.matmul(x, weights)})
    rng = np.random.default_rng(4)
    inputs = {
        name: rng.standard_normal(shape).astype(np.float32)
        for name, shape in (("inputs", (1, 900)), ("weights", (300, 900)))
    }
    (result,) = check_graph(graph, {}, inputs, 60, target)
    assert (result.kernel, result.differences) == ("MatMulWide", 0)


def test_large_sums_by_channel(target: Target) -> None:
    x = input_tensor("inputs", (BATCH, 40, 46, 43))
    graph = Graph((x,), {"y": ops.sum(x, (2, 3))})
    values = np.random.default_rng(4).standard_normal((1, 40, 46, 43)).astype(np.float32)
    (result,) = check_graph(graph, {}, {"inputs": values}, 60, target)
    assert (result.kernel, result.differences) == (MapReduceByChannel.__name__, 0)


def test_other_orders_and_roundings_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Conv2d(24, 3, padding=1), nn.Flatten(), nn.Linear(10))

    def differences() -> list[int | None]:
        return [c.differences for c in checked(network, (16, 9, 9)) if c.node.op.name in ("conv2d", "matmul")]

    assert differences() == [0, 0]
    original = orders._order

    def changed(**changes: Any) -> None:
        def order(*arguments: Any) -> Any:
            result = original(*arguments)
            if result is None or result.summation is None:
                return result
            if "fused" in changes:
                return replace(result, fused=not result.fused)
            return replace(result, summation=replace(result.summation, **changes))

        monkeypatch.setattr(orders, "_order", order)

    changed(fused=True)
    assert all(count and count > 10 for count in differences())
    changed(axes=("column", "row", "channel"))
    assert differences()[0]
    changed(lanes=4)
    assert differences()[1]


def test_an_engine_that_does_not_say_how_it_sums() -> None:
    assert orders.find_orders(object(), ["y"]) == [None]

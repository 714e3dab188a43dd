"""Initializers against PyTorch's functions of the same names."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from opsin import nn
from opsin.nn import initializers
from opsin.nn.initializers import Initializer

SHAPES = [(64, 48, 3, 5), (300, 200)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (initializers.kaiming_normal, "kaiming_normal_ fan_in"),
        (initializers.kaiming_normal_fan_out, "kaiming_normal_ fan_out"),
    ],
)
def test_distributions_match_pytorch(shape: tuple[int, ...], ours: Initializer, theirs: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")
    name, mode = theirs.split()
    torch.manual_seed(1)
    weight = getattr(torch.nn.init, name)(torch.empty(shape), mode=mode, nonlinearity="relu")
    kind, std = ours(shape)
    assert kind == "normal"
    assert float(weight.std()) == pytest.approx(std, rel=0.03)


def test_defaults_match_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")
    layer = torch.nn.Conv2d(8, 2000, 3)
    for values in (layer.weight, layer.bias):
        assert initializers.fan_in_uniform((2000, 8, 3, 3)) == (
            "uniform",
            pytest.approx(values.abs().max().item(), 0.01),
        )


@pytest.mark.parametrize(
    "layer", [partial(nn.Conv2d, 6, 3), partial(nn.ConvTranspose2d, 6, 3), partial(nn.Linear, 6)], ids=str
)
def test_bias_initializers_receive_the_shape_of_the_weight(layer: partial[nn.Layer]) -> None:
    asked = []

    def ask(shape: tuple[int, ...]) -> tuple[str]:
        asked.append(shape)
        return ("zeros",)

    linear = layer.func is nn.Linear
    network = layer(weight_init=ask, bias_init=initializers.constant(3))
    graph = nn.trace(nn.Sequential(nn.Flatten(), network) if linear else nn.Sequential(network), (2, 5, 5))
    state = nn.initial_state(graph, 0)
    (weight,), (bias,) = ([state[name] for name in state if name.endswith(kind)] for kind in ("weight", "bias"))
    assert asked == [weight.shape]
    assert not weight.any()
    assert np.array_equal(bias, np.full(6, 3))


def test_normal_and_constant_initializers() -> None:
    assert initializers.normal(0.01)((3, 4)) == ("normal", 0.01)
    assert initializers.constant(1)((3, 4)) == ("constant", 1)

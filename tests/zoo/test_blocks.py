"""Blocks that several networks share."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn
from opsin.backends.reference import Reference
from opsin.zoo.blocks import SqueezeExcitation, conv_norm, round_channels
from tests.support import generator, relative_error


@pytest.mark.parametrize(
    ("channels", "rounded"),
    [(1, 8), (8, 8), (11, 16), (12, 16), (17.6, 16), (44, 48), (24 * 1.1, 24), (20, 24), (19, 24), (352, 352)],
)
def test_channels_are_rounded_to_multiples_of_eight(channels: float, rounded: int) -> None:
    assert round_channels(channels) == rounded


def test_channels_of_every_width_lose_at_most_a_tenth() -> None:
    for channels in np.arange(1, 500, 0.7):
        rounded = round_channels(channels)
        assert rounded % 8 == 0
        assert 0.9 * channels <= rounded < channels + 8


def test_a_convolution_keeps_the_size_and_has_no_bias() -> None:
    graph = nn.trace(conv_norm(6, 5, groups=3), (3, 7, 9))
    assert graph.outputs["logits"].shape[1:] == (6, 7, 9)
    assert list(graph.parameters) == ["0.weight", "1.weight", "1.bias"]
    assert nn.trace(conv_norm(6, 3, stride=2, activation=None), (3, 7, 9)).outputs["logits"].shape[1:] == (6, 4, 5)


def test_squeeze_and_excitation_computes_the_formula_of_the_paper() -> None:
    graph = nn.trace(SqueezeExcitation(5, 2), (5, 4, 3))
    rng = generator("squeeze")
    state = {name: rng.normal(size=tensor.shape) for name, tensor in graph.variables.items()}  # type: ignore[arg-type]
    x = rng.normal(size=(3, 5, 4, 3))
    program = Reference(graph, 3, np.float64)
    program.load_state(state)
    hidden = np.maximum(x.mean((2, 3)) @ state["fc1.weight"][:, :, 0, 0].T + state["fc1.bias"], 0)
    gates = 1 / (1 + np.exp(-(hidden @ state["fc2.weight"][:, :, 0, 0].T + state["fc2.bias"])))
    assert relative_error(program.run(inputs=x)["logits"], x * gates[:, :, None, None]) < 1e-12

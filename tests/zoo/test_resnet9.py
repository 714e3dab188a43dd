"""Residual networks of nine layers: the source's sizes, logits against PyTorch, and the image sizes they take."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.base.errors import ShapeError
from tests.support import relative_error
from tests.zoo.drawn import drawn_run

SIZES = {"resnet9": 6_573_120, "resnet9_half": 1_646_112}
"""Parameters: eight 3 × 3 convolutions, a gain and a bias for each of their channels, and the linear layer."""


@pytest.mark.parametrize("name", SIZES)
def test_sizes_match_the_source(name: str) -> None:
    graph = nn.trace(zoo.create(name), (3, 32, 32))
    assert sum(int(np.prod(tensor.shape)) for tensor in graph.parameters.values()) == SIZES[name]
    assert sum(node.op.name in ("conv2d", "matmul") for node in graph.nodes) == 9


def test_logits_match_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")
    torch.set_num_threads(1)
    state, x, logits = drawn_run(zoo.resnet9_half(), "resnet9")
    f, w = torch.nn.functional, {name: torch.from_numpy(value) for name, value in state.items()}

    def conv(a, path):  # type: ignore[no-untyped-def]
        a = f.conv2d(a, w[f"{path}.conv.weight"], padding=1)
        mean, var, gain, bias = (w[f"{path}.bn.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
        return torch.relu(f.batch_norm(a, mean, var, gain, bias))

    def residual(a, path):  # type: ignore[no-untyped-def]
        return a + conv(conv(a, f"{path}.res1"), f"{path}.res2")

    a = conv(torch.from_numpy(x), "prep")
    a = residual(f.max_pool2d(conv(a, "layer1"), 2), "layer1.residual")
    a = f.max_pool2d(conv(a, "layer2"), 2)
    a = residual(f.max_pool2d(conv(a, "layer3"), 2), "layer3.residual")
    expected = f.linear(f.max_pool2d(a, 4).flatten(1), w["fc.weight"]) * 0.125
    assert relative_error(logits, expected.numpy()) < 1e-12


def test_images_may_have_any_size_from_8_on() -> None:
    for shape in ((1, 8, 8), (3, 9, 50)):
        assert nn.trace(zoo.resnet9(7), shape).outputs["logits"].shape[1:] == (7,)
    with pytest.raises(ShapeError, match="this network takes 8 × 8 and larger ones, and was given 7 × 32"):
        nn.trace(zoo.resnet9(), (3, 7, 32))

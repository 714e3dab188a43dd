"""Residual networks for CIFAR-10: the paper's sizes, and their shortcuts against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, zoo
from tests.support import relative_error
from tests.zoo.drawn import drawn_run

SIZES = {  # parameters; the paper's table 6 gives 0.27, 0.46, 0.66, 0.85, 1.7 and 19.4 million
    20: 269_722,
    32: 464_154,
    44: 658_586,
    56: 853_018,
    110: 1_727_962,
    1202: 19_421_274,
}


@pytest.mark.parametrize("depth", SIZES)
def test_sizes_match_the_paper(depth: int) -> None:
    graph = nn.trace(zoo.create(f"resnet{depth}_cifar"), (3, 32, 32))
    assert sum(int(np.prod(tensor.shape)) for tensor in graph.parameters.values()) == SIZES[depth]
    assert sum(node.op.name in ("conv2d", "matmul") for node in graph.nodes) == depth


def test_logits_match_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")
    torch.set_num_threads(1)
    state, x, logits = drawn_run(zoo.resnet20_cifar(), "resnet20_cifar")
    f, w = torch.nn.functional, {name: torch.from_numpy(value) for name, value in state.items()}

    def conv_bn(a, path, conv, bn, stride=1):  # type: ignore[no-untyped-def]
        a = f.conv2d(a, w[f"{path}{conv}.weight"], stride=stride, padding=1)
        mean, var, gain, bias = (w[f"{path}{bn}.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
        return f.batch_norm(a, mean, var, gain, bias)

    a = torch.relu(conv_bn(torch.from_numpy(x), "", "conv1", "bn1"))
    for stage in (1, 2, 3):
        for block in range(3):
            path, stride = f"layer{stage}.{block}.", 2 if stage > 1 and block == 0 else 1
            y = torch.relu(conv_bn(a, path, "conv1", "bn1", stride))
            y = conv_bn(y, path, "conv2", "bn2")
            shortcut = torch.zeros_like(y)
            shortcut[:, : a.shape[1]] = a[:, :, ::stride, ::stride]
            a = torch.relu(y + shortcut)
    expected = f.linear(a.mean((2, 3)), w["fc.weight"], w["fc.bias"])
    assert relative_error(logits, expected.numpy()) < 1e-12


def test_images_may_have_any_size() -> None:
    for shape in ((1, 1, 1), (3, 9, 50)):
        assert nn.trace(zoo.resnet20_cifar(7), shape).outputs["logits"].shape[1:] == (7,)

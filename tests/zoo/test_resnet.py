"""Residual networks for ImageNet; `test_torchvision` compares their results."""

from __future__ import annotations

from math import sqrt

import pytest

from opsin import nn, zoo

SIZES = {  # parameters, and MACs in millions, as torchvision gives them
    "resnet18": (11_689_512, 1_814),
    "resnet34": (21_797_672, 3_664),
    "resnet50": (25_557_032, 4_089),
    "resnet101": (44_549_160, 7_801),
    "resnet152": (60_192_808, 11_514),
    "wide_resnet50_2": (68_883_240, 11_398),
    "resnext50_32x4d": (25_028_904, 4_230),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_match_the_publication(name: str) -> None:
    table = nn.describe(nn.trace(zoo.create(name), (3, 224, 224)))
    assert (table.parameters, round(table.macs / 1e6)) == SIZES[name]


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet152"])
def test_stages_match_the_paper(name: str) -> None:
    network = zoo.create(name)
    rows = {row.path: row for row in nn.describe(nn.trace(network, (3, 224, 224))).rows}
    assert rows["conv1"].output[1:] == (64, 112, 112)
    expansion = 1 if name == "resnet18" else 4
    for stage, (channels, size) in enumerate(((64, 56), (128, 28), (256, 14), (512, 7)), start=1):
        last = [row for path, row in rows.items() if path.startswith(f"layer{stage}.")][-1]
        assert last.output[1:] == (expansion * channels, size, size)


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d"])
def test_images_may_have_any_size(name: str) -> None:
    for shape in ((1, 1, 1), (3, 7, 50)):
        assert nn.trace(zoo.create(name, 7), shape).outputs["logits"].shape[1:] == (7,)


def test_initial_values_match_torchvision() -> None:
    parameters = nn.trace(zoo.resnext50_32x4d(), (3, 32, 32)).variables
    first = {name: tensor.node.attrs["init"] for name, tensor in parameters.items()}
    assert first["conv1.weight"] == ("normal", pytest.approx(sqrt(2 / (64 * 49))))
    assert first["layer1.0.conv2.weight"] == ("normal", pytest.approx(sqrt(2 / (128 * 9))))
    assert first["layer1.0.bn3.weight"] == ("ones",)
    assert first["fc.weight"] == ("uniform", pytest.approx(1 / sqrt(2048)))

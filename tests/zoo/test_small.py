"""Networks for mobile and embedded devices: published sizes, errors, and initial values."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from opsin import nn, zoo
from opsin.base.errors import ShapeError

SIZES = {  # parameters, and MACs in millions where torchvision or, for MobileNetV1, the paper gives them
    "squeezenet1_1": (1_235_496, 349),
    "mobilenet_v1": (4_231_976, 569),
    "mobilenet_v2": (3_504_872, 301),
    "mobilenet_v3_small": (2_542_856, 57),
    "mobilenet_v3_large": (5_483_032, 217),
    "shufflenet_v2_x1_0": (2_278_604, 145),
    "efficientnet_b0": (5_288_548, 386),
    "efficientnet_lite0": (4_652_008, None),
    "efficientnet_lite1": (5_416_680, None),
    "efficientnet_lite2": (6_092_072, None),
    "efficientnet_lite3": (8_197_096, None),
    "efficientnet_lite4": (13_006_568, None),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_match_the_publication(name: str) -> None:
    entry = zoo.find(name)
    table = nn.describe(nn.trace(entry(), entry.input_shape))
    parameters, multiply_adds = SIZES[name]
    assert table.parameters == parameters
    assert multiply_adds in (round(table.macs / 1e6), None)


def test_lite_networks_have_their_own_image_sizes() -> None:
    assert [zoo.find(f"efficientnet_lite{n}").input_shape[1] for n in range(5)] == [224, 240, 260, 280, 300]


def test_images_too_small_for_squeezenet_are_errors() -> None:
    nn.trace(zoo.squeezenet1_1(), (3, 17, 17))
    with pytest.raises(
        ShapeError, match=r"layer features\.8: max_pool2d: .*takes 17 × 17 and larger ones, and was given 16 × 40"
    ):
        nn.trace(zoo.squeezenet1_1(), (3, 16, 40))


@pytest.mark.parametrize("name", sorted(set(SIZES) - {"squeezenet1_1"}))
def test_other_networks_take_images_of_any_size(name: str) -> None:
    assert nn.trace(zoo.create(name, 7), (1, 1, 3)).outputs["logits"].shape[1:] == (7,)


def branches(network: nn.Layer) -> Iterator[float]:
    """How often each block with a shortcut is skipped in training."""
    for layer in nn.named_layers(network).values():
        if getattr(layer, "shortcut", None) is True:
            yield from (child.p for _, child in layer.children() if isinstance(child, nn.StochasticDepth))


@pytest.mark.parametrize("name", ["efficientnet_b0", "efficientnet_lite0"])
def test_later_blocks_are_skipped_more_often(name: str) -> None:
    assert list(branches(zoo.create(name))) == pytest.approx([0.2 * n / 16 for n in (2, 4, 6, 7, 9, 10, 12, 13, 14)])


@pytest.mark.parametrize(
    ("name", "variable", "first"),
    [
        ("squeezenet1_1", "features.3.expand3x3.weight", ("uniform", pytest.approx((6 / (16 * 9)) ** 0.5))),
        ("squeezenet1_1", "classifier.1.weight", ("normal", 0.01)),
        ("mobilenet_v2", "features.2.conv.0.0.weight", ("normal", pytest.approx((2 / 96) ** 0.5))),
        ("mobilenet_v2", "features.2.conv.1.0.weight", ("normal", pytest.approx((2 / (96 * 9)) ** 0.5))),
        ("mobilenet_v3_small", "classifier.3.weight", ("normal", 0.01)),
        ("shufflenet_v2_x1_0", "conv5.0.weight", ("uniform", pytest.approx(464**-0.5))),
        ("efficientnet_b0", "classifier.1.weight", ("uniform", pytest.approx(1000**-0.5))),
        ("efficientnet_b0", "classifier.1.bias", ("constant", 0)),
    ],
)
def test_initial_values_match_torchvision(name: str, variable: str, first: tuple[str, float]) -> None:
    assert nn.trace(zoo.create(name), (3, 32, 32)).variables[variable].node.attrs["init"] == first

"""VGG; `test_torchvision` compares its results."""

from __future__ import annotations

from math import sqrt

import pytest

from opsin import nn, zoo
from opsin.base.errors import ShapeError

SIZES = {  # parameters without and with batch normalization, and MACs in millions, as torchvision gives them
    11: (132_863_336, 132_868_840, 7_609),
    13: (133_047_848, 133_053_736, 11_308),
    16: (138_357_544, 138_365_992, 15_470),
    19: (143_667_240, 143_678_248, 19_632),
}


@pytest.mark.parametrize("depth", SIZES)
def test_sizes_match_the_publication(depth: int) -> None:
    plain, normalized = (
        nn.describe(nn.trace(zoo.create(name), (3, 224, 224))) for name in (f"vgg{depth}", f"vgg{depth}_bn")
    )
    assert (plain.parameters, normalized.parameters, round(plain.macs / 1e6)) == SIZES[depth]
    assert normalized.macs == plain.macs
    assert sum(row.macs > 0 for row in plain.rows) == depth


def test_the_first_linear_layer_reads_seven_by_seven_maps() -> None:
    for side in (32, 100, 224):
        graph = nn.trace(zoo.vgg11(), (3, side, side))
        assert graph.parameters["classifier.0.weight"].shape == (4096, 512 * 7 * 7)
    rows = {row.path: row for row in nn.describe(nn.trace(zoo.vgg16(), (3, 224, 224))).rows}
    assert "avgpool" not in rows
    assert rows["features.30"].output[1:] == (512, 7, 7)


def test_images_that_are_too_small_are_errors() -> None:
    nn.trace(zoo.vgg19_bn(), (3, 32, 32))
    with pytest.raises(ShapeError) as caught:
        nn.trace(zoo.vgg16(), (3, 28, 28))
    assert str(caught.value) == (
        "layer features.30: max_pool2d: kernel 2 × 2 is larger than the padded input 1 × 1; "
        "add padding or feed larger images: this network takes 32 × 32 and larger ones, and was given 28 × 28"
    )


def test_other_errors_do_not_mention_the_size() -> None:
    with pytest.raises(ShapeError) as caught:
        nn.trace(nn.Sequential(nn.Flatten(), zoo.vgg11()), (3, 32, 32))
    assert "larger ones" not in str(caught.value)


def test_initial_values_match_torchvision() -> None:
    first = {name: t.node.attrs["init"] for name, t in nn.trace(zoo.vgg11(), (3, 32, 32)).variables.items()}
    assert first["features.0.weight"] == ("normal", pytest.approx(sqrt(2 / (64 * 9))))
    assert first["features.0.bias"] == ("constant", 0)
    assert first["classifier.6.weight"] == ("normal", 0.01)

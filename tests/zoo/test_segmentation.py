"""Segmentation networks: their sizes, U-Net against PyTorch, and the images they take.

`test_torchvision` compares the others with torchvision's.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin import ir, nn, zoo
from opsin.backends.native import compile
from opsin.backends.reference import Reference
from opsin.base.errors import ShapeError
from opsin.zoo.unet import UNet, standardized
from tests.support import generator, relative_error
from tests.zoo.drawn import drawn_run

SIZES = {  # parameters, also in training, and MACs in millions; torchvision counts those of the auxiliary head, too
    "fcn_resnet50": (32_957_013, 35_322_218, 142_726),
    "lraspp_mobilenet_v3_large": (3_221_538, 3_221_538, 2_086),
    "unet": (31_037_698, 31_037_698, 48_172),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_match_the_publication(name: str) -> None:
    entry = zoo.find(name)
    table, training = (nn.describe(nn.trace(entry(), entry.input_shape, training)) for training in (False, True))
    assert (table.parameters, training.parameters, round(table.macs / 1e6)) == SIZES[name]


def test_macs_of_fcn_with_its_auxiliary_head_match_torchvision() -> None:
    table = nn.describe(nn.trace(zoo.fcn_resnet50(), (3, 520, 520), training=True))
    assert table.macs / 1e9 == pytest.approx(152.717, rel=1e-3)


def test_parameters_of_unet_follow_from_the_papers_figure() -> None:
    widths, classes = (64, 128, 256, 512, 1024), 2
    blocks = [(3, 64), *pairwise(widths), *((2 * width, width) for width in widths[:4])]
    convolutions = sum(9 * (old * new + new * new) + 4 * new for old, new in blocks)
    enlargements = sum(4 * (2 * width) * width + width for width in widths[:4])
    assert SIZES["unet"][0] == convolutions + enlargements + widths[0] * classes + classes


def test_logits_of_unet_match_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")
    torch.set_num_threads(1)
    state, x, logits = drawn_run(UNet(3, width=4), "unet")
    expected = by_pytorch(torch, {name: torch.from_numpy(value) for name, value in state.items()}, torch.from_numpy(x))
    assert relative_error(logits, expected.numpy()) < 1e-12


def by_pytorch(torch: Any, w: dict[str, Any], a: Any) -> Any:
    """The logits of the images `a` by the weights `w`."""
    f = torch.nn.functional

    def block(a, path):  # type: ignore[no-untyped-def]
        for conv, norm in ((0, 1), (3, 4)):
            a = f.conv2d(a, w[f"{path}.{conv}.weight"], padding=1)
            names = ("running_mean", "running_var", "weight", "bias")
            a = torch.relu(f.batch_norm(a, *(w[f"{path}.{norm}.{name}"] for name in names)))
        return a

    skips = [block(a, "down.0")]
    for level in range(1, 5):
        skips.append(block(f.max_pool2d(skips[-1], 2), f"down.{level}"))
    a = skips.pop()
    for level in range(4):
        larger = f.conv_transpose2d(a, w[f"up.{level}.up.weight"], w[f"up.{level}.up.bias"], stride=2)
        a = block(torch.cat([skips.pop(), larger], 1), f"up.{level}.conv")
    return f.conv2d(a, w["classifier.weight"], w["classifier.bias"])


def test_unet_takes_sides_divisible_by_16() -> None:
    assert nn.trace(zoo.unet(5), (1, 16, 48)).outputs["logits"].shape[1:] == (5, 16, 48)
    text = "takes sides divisible by 16, but was given 48 × 50; resize the images"
    with pytest.raises(ShapeError, match=text):
        nn.trace(zoo.unet(), (3, 48, 50))


@pytest.mark.parametrize("name", ["fcn_resnet50", "lraspp_mobilenet_v3_large", "unet_light"])
def test_other_networks_take_images_of_any_size(name: str) -> None:
    for shape in ((1, 1, 1), (3, 33, 70)):
        assert nn.trace(zoo.create(name, 7), shape).outputs["logits"].shape[1:] == (7, *shape[1:])


def test_the_light_network_natively() -> None:
    graph, rng = nn.trace(zoo.unet_light(3), (3, 45, 70)), generator("unet_light")
    state = nn.initial_state(graph, 1)
    state |= {
        name: rng.uniform(0.5, 1.5, value.shape).astype(np.float32) for name, value in state.items() if value.ndim == 1
    }
    x = rng.normal(size=(2, 3, 45, 70)).astype(np.float32)
    found = []
    for program in (Reference(graph, 2, np.float64), compile(graph, 2, threads=1)):
        program.load_state(state)
        found.append(program.run(inputs=x)["logits"])
    assert found[0].std() > 0.1
    assert relative_error(found[1], found[0]) < 1e-4


def test_the_contrast_of_each_image_is_standardized() -> None:
    x = generator("standardized").uniform(-0.9, -0.1, (4, 3, 40, 56)).astype(np.float32)
    found = standardized_values(x)
    np.testing.assert_allclose([found.mean((1, 2, 3)), found.std((1, 2, 3))], [[0] * 4, [1] * 4], atol=2e-3)
    np.testing.assert_allclose(standardized_values(0.5 * x + 0.3), found, atol=0.01)
    np.testing.assert_allclose(standardized_values(x[2:3]), found[2:3])
    np.testing.assert_allclose(standardized_values(np.full_like(x, 0.25)), 0, atol=1e-5)


def standardized_values(x: NDArray[Any]) -> NDArray[Any]:
    graph = nn.trace(Standardized(), x.shape[1:])
    return Reference(graph, len(x), np.float64).run(inputs=x)["logits"]


class Standardized(nn.Layer):
    def forward(self, x: ir.Tensor) -> ir.Tensor:
        return standardized(x)


def test_the_light_decoder_is_slim() -> None:
    def total(layer: nn.Layer) -> tuple[int, int]:
        table = nn.describe(nn.trace(layer, (3, 224, 224)))
        return table.parameters, table.macs

    network = zoo.unet_light(2)
    parameters, macs = total(network)
    rows = nn.describe(nn.trace(network, (3, 224, 224))).rows
    encoder = [row for row in rows if row.path.startswith("backbone.")]
    assert sum(row.macs for row in encoder) > 0.65 * macs
    assert sum(row.parameters for row in encoder) > 0.9 * parameters

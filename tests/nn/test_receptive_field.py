"""Receptive fields: known ones, and fields measured by the pixels that the gradient of one position reaches."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, ops
from opsin.ir import Graph, Tensor, bind, input_tensor
from opsin.nn.receptive_field import receptive_fields
from tests.nn.support import Of, loaded

SIZE = (27, 25)


def field(network: nn.Layer, size: tuple[int, int] = SIZE, channels: int = 1) -> tuple[int, int]:
    graph = nn.trace(network, (channels, *size))
    return receptive_fields(graph)[graph.outputs["logits"]]


def measured(network: nn.Layer, size: tuple[int, int] = SIZE) -> tuple[int, int]:
    """The largest extent, by rows and columns, of the pixels on which one place of the output depends.

    All weights are 1, so that nothing cancels.
    """
    graph = nn.trace(network, (1, *size))
    (images,), y = graph.inputs, graph.outputs["logits"]
    selection = input_tensor("chosen", y.shape[1:])
    (gradient,) = ops.gradients(ops.sum(ops.multiply(y, selection)), [images])
    assert gradient is not None
    backward = Graph((images, selection), {"d": gradient})
    ones = {name: np.ones_like(value) for name, value in nn.initial_state(backward, 0).items()}
    program = loaded(backward, 1, ones)
    shape = bind(y.shape[1:], 1)
    extents = []
    for place in np.ndindex(shape[1:] if len(shape) > 1 else (1,)):
        choice = np.zeros(shape)
        choice[(..., *place) if len(shape) > 1 else place] = 1
        reached = program.run(inputs=np.ones((1, 1, *size)), chosen=choice)["d"][0, 0] != 0
        if reached.any():
            extents.append([np.ptp(np.flatnonzero(reached.any(axis))) + 1 for axis in (1, 0)])
    rows, columns = np.max(extents, axis=0)
    return int(rows), int(columns)


MEASURED: dict[str, nn.Layer] = {
    "conv": nn.Conv2d(1, (3, 5)),
    "dilation": nn.Conv2d(1, 3, dilation=(2, 4), padding=3),
    "stride": nn.Sequential(nn.Conv2d(1, 3, (2, 3)), nn.Conv2d(1, (3, 2)), nn.AvgPool2d(2)),
    "pool": nn.Sequential(nn.AvgPool2d((3, 2), 2, padding=1), nn.Conv2d(2, 3, padding=1), nn.AvgPool2d(2, 1)),
    "branches": Of(
        lambda self, x: ops.concat([self.wide(x), ops.add(self.tall(x), x)], 1),
        wide=nn.Conv2d(1, (1, 7), padding=(0, 3)),
        tall=nn.Conv2d(1, (9, 1), padding=(4, 0)),
    ),
    "nearest": nn.Sequential(nn.Conv2d(1, 3, 4), nn.Upsample(4), nn.Conv2d(1, 3)),
    "transposed": nn.Sequential(nn.Conv2d(1, 3, 3), nn.ConvTranspose2d(1, 4, 2), nn.Conv2d(1, 1)),
    "every second pixel": Of(
        lambda self, x: self.conv(ops.slice(x, (0, 0, 0, 0), x.shape, (1, 1, 2, 3))), conv=nn.Conv2d(1, 3)
    ),
    "batch norm and pointwise": nn.Sequential(nn.Conv2d(1, 5), nn.BatchNorm2d(), nn.SiLU()),
    "global pool": nn.Sequential(nn.Conv2d(1, 3, 4), nn.GlobalAvgPool2d()),
    "flatten": nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(2)),
    "adaptive pool": nn.Sequential(nn.Conv2d(1, 3), nn.AdaptiveAvgPool2d((5, 7))),
    "bilinear": nn.Sequential(nn.AvgPool2d(4), nn.Upsample(3, mode="bilinear"), nn.Conv2d(1, 2)),
    "bilinear, smaller": nn.Upsample(size=(9, 8), mode="bilinear_corners"),
    "transposed, odd": nn.Sequential(nn.AvgPool2d(2), nn.ConvTranspose2d(1, 3, 2, padding=1), nn.Conv2d(1, 3)),
    "transposed, dilated": nn.Sequential(nn.AvgPool2d(3), nn.ConvTranspose2d(1, 3, padding=2, dilation=2)),
    "padded pieces": Of(
        lambda self, x: ops.pad(ops.slice(self.conv(x), (0, 0, 2, 3), (x.shape[0], 1, 9, 19)), [0] * 4, [0, 0, 3, 5]),
        conv=nn.Conv2d(1, 5),
    ),
    "squeeze and excite": Of(
        lambda self, x: ops.multiply(x, ops.sigmoid(self.fc(ops.global_avg_pool2d(x)))), fc=nn.Conv2d(1, 1)
    ),
}


@pytest.mark.parametrize("case", MEASURED)
def test_receptive_fields_match_gradients(case: str) -> None:
    network = MEASURED[case]
    assert field(network) == measured(network)


def test_the_convolutions_of_vgg16() -> None:
    layers: list[nn.Layer] = []
    for count in (2, 2, 3, 3, 3):
        layers += [*(nn.Conv2d(2, 3, padding=1) for _ in range(count)), nn.MaxPool2d(2)]
    assert field(nn.Sequential(*layers), (224, 224)) == (212, 212)


def test_fields_are_at_most_the_image() -> None:
    assert field(nn.Sequential(*(nn.Conv2d(1, 9, padding=4) for _ in range(9))), (30, 20)) == (30, 20)


def test_batch_statistics_do_not_enlarge_the_field() -> None:
    graph = nn.trace(nn.Sequential(nn.Conv2d(2, 3), nn.BatchNorm2d()), (1, *SIZE), training=True)
    assert receptive_fields(graph)[graph.outputs["logits"]] == (3, 3)


def test_shuffled_channels_do_not_enlarge_the_field() -> None:
    def shuffled(self: nn.Layer, x: Tensor) -> Tensor:
        batch, _, rows, columns = x.shape
        groups = ops.transpose(ops.reshape(x, (batch, 2, 3, rows, columns)), (0, 2, 1, 3, 4))
        return self.conv(ops.reshape(groups, x.shape))  # type: ignore[attr-defined]

    assert field(Of(shuffled, conv=nn.Conv2d(1, 3)), channels=6) == (3, 3)


def test_transposed_images_have_the_whole_image_as_field() -> None:
    assert field(Of(lambda self, x: ops.transpose(x, (0, 2, 3, 1)))) == SIZE


def test_tensors_that_do_not_depend_on_the_image_have_no_field() -> None:
    graph = nn.trace(nn.Conv2d(1, 3))
    assert graph.variables["weight"] not in receptive_fields(graph)


def test_concatenated_positions_are_merged() -> None:
    network = Of(lambda self, x: self.conv(ops.concat([x, ops.relu(x)], 2)), conv=nn.Conv2d(1, (1, 3)))
    assert field(network) == (SIZE[0], 3)

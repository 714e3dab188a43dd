"""Freeze points: the layers before each, and the parameters and MACs after it."""

from __future__ import annotations

import pytest

from opsin import nn, ops, zoo
from opsin.base.errors import UsageError
from opsin.ir import Tensor
from opsin.nn.optimizers import SGD
from opsin.training import freezing

NETWORKS = ("lenet5", "resnet20_cifar", "efficientnet_lite0", "googlenet", "squeezenet1_1", "densenet121")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_head_is_the_last_layer_with_parameters(name: str) -> None:
    entry = zoo.find(name)
    network = entry(7)
    head = freezing.head_point(network, entry.input_shape)
    trunk, step = nn.features_graphs(network, entry.input_shape, SGD(), frozen=head.frozen)
    last = list(nn.trace(network, entry.input_shape).parameters)[-2:]
    assert list(step.parameters) == last
    assert sum(int(str(element_count(t))) for t in step.parameters.values()) == head.parameters
    features = step.inputs[0].shape[1:]
    assert trunk.outputs["features"].shape[1:] == features
    assert element_count(step.inputs[0], skip=1) == head.features


def element_count(tensor: Tensor, skip: int = 0) -> int:
    size = 1
    for side in tensor.shape[skip:]:
        size *= int(str(side))
    return size


def test_later_points_leave_fewer_macs() -> None:
    points = freezing.freeze_points(zoo.find("resnet20_cifar")(10), (3, 32, 32))
    assert [point.mac_share for point in points] == sorted((point.mac_share for point in points), reverse=True)
    assert [point.parameters for point in points] == sorted((point.parameters for point in points), reverse=True)
    assert points[-1].frozen == ("conv1", "bn1", "layer1", "layer2", "layer3")
    assert any(point.frozen == ("conv1", "bn1", "layer1", "layer2") for point in points)


def test_no_point_is_inside_a_residual_block() -> None:
    points = freezing.freeze_points(zoo.find("resnet20_cifar")(10), (3, 32, 32))
    inside = [path for point in points for path in point.frozen if path.endswith((".conv1", ".bn1"))]
    assert not inside


def test_batch_norms_outside_of_frozen_layers() -> None:
    network = zoo.find("resnet20_cifar")(10)
    left = freezing.without(freezing.batch_norms(network), ("conv1", "bn1", "layer1", "layer2"))
    assert left == tuple(f"layer3.{block}.bn{number}" for block in range(3) for number in (1, 2))


def test_a_network_of_one_layer_has_no_head() -> None:
    with pytest.raises(UsageError, match="no layers that could be frozen"):
        freezing.head_point(nn.Sequential(nn.Flatten(), nn.Linear(3)), (1, 4, 4))


class Twice(nn.Layer):
    """Uses one layer at both ends, so that the only freeze point is before the last layer."""

    def __init__(self) -> None:
        self.shared, self.middle, self.last = nn.Conv2d(2, 1), nn.Conv2d(2, 1), nn.Linear(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(ops.flatten(self.shared(self.middle(self.shared(x)))))


def test_a_layer_that_is_used_twice_is_not_separated() -> None:
    assert [point.frozen for point in freezing.freeze_points(Twice(), (2, 3, 3))] == [("shared", "middle")]


def test_norms_with_published_statistics() -> None:
    network = zoo.find("unet_light")(2, pretrained=True)
    norms, published = freezing.batch_norms(network), freezing.published_norms(network)
    assert published == tuple(path for path in norms if path.startswith("backbone."))
    assert {"neck.1", "up.0.bn"} <= {*norms} - {*published}
    whole = zoo.find("resnet18")(2, pretrained=True)
    assert freezing.published_norms(whole) == freezing.batch_norms(whole)
    assert freezing.published_norms(zoo.find("unet_light")(2)) == ()

"""Paths, parameter names, sharing, and the errors of wrongly constructed networks."""

from __future__ import annotations

import re

import numpy as np
import pytest

from opsin import nn, ops
from opsin.base.errors import GraphError, ShapeError, UsageError
from opsin.ir import Tensor
from tests.nn.support import Of, forward


class Block(nn.Layer):
    """A residual block as torchvision writes it."""

    def __init__(self, out: int, stride: int) -> None:
        self.conv1 = nn.Conv2d(out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d()
        self.conv2 = nn.Conv2d(out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d()
        self.relu = nn.ReLU()
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(out, 1, stride, bias=False), nn.BatchNorm2d())

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(ops.add(y, x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Layer):
    def __init__(self) -> None:
        self.conv1 = nn.Conv2d(4, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d()
        self.layer1 = nn.Sequential(Block(4, 1), Block(4, 1))
        self.layer2 = nn.Sequential(Block(8, 2))
        self.fc = nn.Linear(5)

    def forward(self, x: Tensor) -> Tensor:
        x = ops.relu(self.bn1(self.conv1(x)))
        x = self.layer2(self.layer1(x))
        return self.fc(ops.flatten(ops.global_avg_pool2d(x)))


def norm(path: str) -> list[str]:
    return [f"{path}.{name}" for name in ("weight", "bias", "running_mean", "running_var")]


def test_parameter_names_match_torchvision() -> None:
    expected = ["conv1.weight", *norm("bn1")]
    for block in ("layer1.0", "layer1.1", "layer2.0"):
        expected += [f"{block}.conv1.weight", *norm(f"{block}.bn1"), f"{block}.conv2.weight", *norm(f"{block}.bn2")]
    expected += ["layer2.0.downsample.0.weight", *norm("layer2.0.downsample.1"), "fc.weight", "fc.bias"]
    graph = nn.trace(ResNet(), (3, 32, 32))
    assert sorted(graph.variables) == sorted(expected)
    assert sorted(graph.parameters) == sorted(name for name in expected if "running" not in name)
    assert graph.variables["layer2.0.conv1.weight"].shape == (8, 4, 3, 3)


def test_nodes_have_the_path_of_their_layer() -> None:
    graph = nn.trace(ResNet(), (3, 32, 32))
    convolutions = [node.scope for node in graph.nodes if node.op.name == "conv2d"]
    assert convolutions[:2] == ["conv1", "layer1.0.conv1"]
    assert "layer1.0" in {node.scope for node in graph.nodes if node.op.name == "add"}


def test_lists_tuples_and_dictionaries_define_paths() -> None:
    network = Of(
        lambda self, x: self.heads["left"](ops.flatten(self.blocks[1][0](self.blocks[0](x)))),
        blocks=[nn.Conv2d(2, 1), (nn.Conv2d(3, 1), nn.ReLU())],
        heads={"left": nn.Linear(2)},
    )
    assert list(nn.named_layers(network)) == ["", "blocks.0", "blocks.1.0", "blocks.1.1", "heads.left"]
    names = {"blocks.0.weight", "blocks.0.bias", "blocks.1.0.weight", "blocks.1.0.bias"}
    assert set(nn.trace(network).variables) == names | {"heads.left.weight", "heads.left.bias"}


def test_a_network_of_one_layer_has_plain_names() -> None:
    assert list(nn.trace(nn.Conv2d(2, 3)).variables) == ["weight", "bias"]


def test_a_layer_used_twice_shares_its_weights() -> None:
    conv = nn.Conv2d(2, 3, padding=1)
    graph = nn.trace(nn.Sequential(conv, nn.ReLU(), conv), (2, 5, 5))
    assert list(graph.variables) == ["0.weight", "0.bias"]
    assert sum(node.op.name == "conv2d" for node in graph.nodes) == 2


def test_sharing_is_the_same_as_two_layers_with_equal_weights(rng: np.random.Generator) -> None:
    conv, x = nn.Conv2d(2, 3, padding=1), rng.standard_normal((3, 2, 5, 5))
    weights = {"weight": rng.standard_normal((2, 2, 3, 3)), "bias": rng.standard_normal(2)}
    once = {f"0.{name}": value for name, value in weights.items()}
    twice = once | {f"1.{name}": value for name, value in weights.items()}
    shared = forward(nn.Sequential(conv, conv), x, once)
    apart = forward(nn.Sequential(conv, nn.Conv2d(2, 3, padding=1)), x, twice)
    assert np.array_equal(shared, apart)


def test_a_second_use_with_another_shape_is_an_error() -> None:
    conv = nn.Conv2d(6, 3)
    message = "layer 0: 0.weight is 6 × 1 × 3 × 3, but this second use of the layer needs 6 × 6 × 3 × 3"
    with pytest.raises(ShapeError, match=re.escape(message)):
        nn.trace(nn.Sequential(conv, conv))


def test_two_layers_of_one_name_are_both_named() -> None:
    network = nn.Sequential(("conv", nn.Conv2d(2, 3)), ("conv", nn.Conv2d(4, 1)))
    with pytest.raises(GraphError) as caught:
        nn.trace(network)
    text = str(caught.value)
    assert text.startswith("two different layers are called 'conv': Conv2d(out_channels=2, kernel_size=3")
    assert "Conv2d(out_channels=4, kernel_size=1" in text
    assert text.endswith("; rename one of them")


def test_one_layer_twice_under_one_name_is_valid() -> None:
    conv = nn.Conv2d(1, 3, padding=1)
    assert list(nn.trace(nn.Sequential(("conv", conv), ("conv", conv))).variables) == ["conv.weight", "conv.bias"]


class Scales(nn.Layer):
    """Names its parameter as a layer inside it would."""

    def __init__(self) -> None:
        self.conv = nn.Conv2d(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return ops.multiply(self.conv(x), self.parameter("conv.weight", (1, 1, 1, 1), ("ones",)))


def test_two_parameters_of_one_name_name_both_layers() -> None:
    message = "layer 0: Conv2d(.*) and Scales() both have a parameter called '0.conv.weight'; rename one of the layers"
    with pytest.raises(GraphError, match=re.escape(message).replace(r"\.\*", ".*")):
        nn.trace(nn.Sequential(Scales()))


def test_a_layer_made_in_forward_works_without_parameters_only() -> None:
    graph = nn.trace(Of(lambda self, x: nn.ReLU()(x)))
    assert [node.op.name for node in graph.nodes] == ["input", "relu"]
    with pytest.raises(GraphError, match=r"Conv2d\(.*\) has parameters but no name: keep it in an attribute"):
        nn.trace(Of(lambda self, x: nn.Conv2d(2, 3)(x)))


def test_cyclic_layers_are_visited_once() -> None:
    inner = Of(lambda self, x: ops.relu(x))
    outer = Of(lambda self, x: self.inner(x), inner=inner)
    inner.__dict__["parent"] = outer
    assert list(nn.named_layers(outer)) == ["", "inner"]


def test_errors_name_the_layer_and_the_numbers() -> None:
    network = nn.Sequential(("features", nn.Sequential(nn.Conv2d(4, 3), nn.Conv2d(8, 40))), nn.Flatten())
    with pytest.raises(ShapeError) as caught:
        nn.trace(network)
    text = str(caught.value)
    assert text.startswith("layer features.1: conv2d: kernel 40 × 40 is larger than the padded input 26 × 26")
    assert text.count("layer ") == 1
    for layer, shape, message in (
        (nn.Conv2d(4, 3, groups=2), (3, 8, 8), "layer 0: conv2d: 3 input channels do not divide into 2 groups"),
        (nn.Conv2d(3, 3, groups=2), (4, 8, 8), "layer 0: conv2d: 3 filters do not divide into 2 groups"),
        (nn.Linear(4), (3, 8, 8), "layer 0: linear: expected N × features, got N × 3 × 8 × 8; put Flatten() before"),
        (nn.MaxPool2d(3, padding=3), (1, 8, 8), "layer 0: max_pool2d: padding ((3, 3), (3, 3)) must be smaller than"),
        (nn.Upsample(), (1, 8, 8), "layer 0: upsample: expected either a scale_factor or a size"),
    ):
        with pytest.raises(ShapeError, match=re.escape(message)):
            nn.trace(nn.Sequential(layer), shape)


def test_wrong_layers_are_errors_at_construction() -> None:
    with pytest.raises(UsageError, match="Conv2d: expected at least one output channel, not 0"):
        nn.Conv2d(0, 3)
    with pytest.raises(UsageError, match="Linear: expected at least one output feature, not -1"):
        nn.Linear(-1)
    with pytest.raises(UsageError, match="ConvTranspose2d: 3 output channels do not divide into 2 groups"):
        nn.ConvTranspose2d(3, 3, groups=2)
    with pytest.raises(UsageError, match="StochasticDepth: the probability to drop is at least 0 and below 1, not -0"):
        nn.StochasticDepth(-0.1)
    with pytest.raises(UsageError, match=r"Dropout: the probability to drop is at least 0 and below 1, not 1"):
        nn.Dropout(1)
    with pytest.raises(GraphError, match=r'Sequential takes layers, such as ReLU\(\), or \("name", layer\) pairs; it'):
        nn.Sequential(nn.ReLU)  # type: ignore[arg-type]


def test_a_forward_without_return_is_an_error() -> None:
    with pytest.raises(GraphError, match=r"the forward of Of\(\) gave NoneType, not a tensor; does it return\?"):
        nn.trace(nn.Sequential(Of(lambda self, x: None)))  # type: ignore[arg-type,return-value]


def test_layers_need_a_trace_and_traces_a_network() -> None:
    with pytest.raises(GraphError, match=r"a layer computes nothing by itself: give the network to opsin\.nn\.trace"):
        nn.ReLU()(np.zeros(3))
    with pytest.raises(UsageError, match="a network is an object of a Layer class, such as zoo"):
        nn.trace(nn.ReLU)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="an input shape is channels, rows and columns, such as"):
        nn.trace(nn.ReLU(), (28, 28))  # type: ignore[arg-type]

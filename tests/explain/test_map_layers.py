"""The layers that everything passes through: in the zoo, and in networks that defeat hooks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from opsin import nn, ops, zoo
from opsin.backends.reference import Reference
from opsin.base.errors import UsageError
from opsin.explain import Explainer, attribute
from opsin.explain.map_layers import MapLayers, find_map_layers
from opsin.ir import Graph, Tensor, bind
from opsin.ir.cut_points import suffix
from opsin.tasks.explained_score import ExplainedScore, one_hot
from tests.explain.networks import images, model_of

DEFAULTS = {
    "alexnet": "features.12", "airbench94": "blocks.2.second.act", "densenet121": "relu", "efficientnet_lite0": "act2",
    "googlenet": "inception5b", "lenet5": "pool2", "mobilenet_v2": "features.18.2",
    "mobilenet_v3_small": "features.12.2", "pilotnet": "features.7", "resnet18": "layer4.1.relu",
    "resnet20_cifar": "layer3.2.relu",
    "shufflenet_v2_x1_0": "conv5.2", "squeezenet1_1": "classifier.2", "vgg16": "features.30",
    "fcn_resnet50": "classifier.2", "unet": "up.3.conv.5", "unet_light": "up.4.act",
}  # fmt: skip
"""The last feature maps before rows and columns are reduced; of dense networks, those before the last convolution."""


def score_of(graph: Graph, place: int = 0) -> ExplainedScore:
    """A single value of the first output; of dense networks the mean of a class."""
    name, tensor = next(iter(graph.outputs.items()))
    shape = tuple(int(str(size)) for size in bind(tensor.shape, 1))[1:]
    where = place if len(shape) == 3 else (place,) * len(shape)
    return ExplainedScore("a", "a value", {name: one_hot(shape, where)}, "softmax")


def layers_of(network: nn.Layer, shape: tuple[int, int, int], place: int = 0) -> MapLayers:
    graph = nn.trace(network, shape)
    return find_map_layers(graph, score_of(graph, place))


IMAGE_NETWORKS = [name for name in zoo.names() if zoo.find(name).kind == "image" and "1202" not in name]


@pytest.mark.parametrize("name", IMAGE_NETWORKS)
def test_every_network_of_the_zoo_has_a_default_layer(name: str) -> None:
    entry = zoo.find(name)
    found = layers_of(entry(), entry.input_shape)
    layer = found.find(None)
    assert layer.rows > 1 and layer.columns > 1
    assert layer.name == DEFAULTS.get(name, layer.name)
    assert len({each.name for each in found.layers}) == len(found.layers)


def test_a_detector_has_the_layers_of_the_head_that_found_the_box() -> None:
    entry = zoo.find("fcos_efficientnet_lite0")
    network = entry()
    large, small = layers_of(network, entry.input_shape, 0), layers_of(network, entry.input_shape, -1)
    assert [layer.name for layer in large.layers][-2:] == ["class_head.tower.1.act", "class_head.predict"]
    assert str(large.find(None)) == "add (96 × 40 × 40)"
    assert str(small.find(None)) == "pyramid.down.2.act (96 × 5 × 5)"


def test_the_default_layer_of_a_box_is_one_of_which_enough_places_count() -> None:
    """Two convolutions of 3 × 3 see 5 × 5 places; a third one before them sees the 7 × 7 that are needed."""

    class Dense(nn.Layer):
        def __init__(self) -> None:
            self.stem = nn.Conv2d(3, 3, padding=1)
            self.a, self.b, self.c = (nn.Conv2d(4, 3, padding=1) for _ in range(3))
            self.act = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.c(self.act(self.b(self.act(self.a(self.act(self.stem(x)))))))  # type: ignore[no-any-return]

    graph = nn.trace(Dense(), (3, 20, 30))
    name, shape = next(iter(graph.outputs)), (4, 20, 30)

    def default(weights: np.ndarray[Any, Any]) -> str:
        return find_map_layers(graph, ExplainedScore("a", "a value", {name: weights}, "sigmoid")).find(None).name

    assert default(one_hot(shape, (1, 10, 10))) == "act"  # after the stem: 7 × 7 places
    assert default(one_hot(shape, (1, 0, 0))) == "act"  # at the corner, too
    assert default(one_hot(shape, (1, slice(9, 12), slice(9, 12)))) == "act#2"  # 3 × 3 places of the answer: 7 × 7
    assert default(np.ones(shape, np.float32)) == "act#3"


class Reused(nn.Layer):
    """The same convolution twice, the second time around a shortcut."""

    def __init__(self) -> None:
        self.stem, self.conv, self.act = nn.Conv2d(4, 3, padding=1), nn.Conv2d(4, 3, padding=1), nn.ReLU()
        self.fc = nn.Linear(4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.conv(self.stem(x)))
        x = ops.add(x, self.act(self.conv(x)))
        return self.fc(ops.flatten(x))  # type: ignore[no-any-return]


def test_a_layer_that_is_used_twice_counts_where_everything_passes() -> None:
    network = Reused()
    found = layers_of(network, (3, 6, 6))
    assert [layer.name for layer in found.layers] == ["stem", "conv", "act", "add"]
    model = model_of(network, (3, 6, 6))
    for method in ("grad-cam", "hires-cam"):
        first, second = (attribute(model, images(model), method=method, layer=name)[0] for name in ("act", None))
        assert (first.layer, second.layer) == ("act", "add")
        assert np.isfinite(first.raw).all()
        assert np.abs(first.raw - second.raw).max() > 0


def test_a_sequence_uses_a_layer_twice_by_number() -> None:
    conv = nn.Conv2d(3, 3, padding=1)
    network = nn.Sequential(("a", conv), ("b", nn.ReLU()), ("flat", nn.Flatten()), ("fc", nn.Linear(4)))

    class Twice(nn.Layer):
        def __init__(self) -> None:
            self.inner = network
            self.conv = conv

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(self.conv(ops.relu(self.conv(x))))  # type: ignore[no-any-return]

    names = [layer.name for layer in layers_of(Twice(), (3, 5, 5)).layers]
    assert names == ["inner.a", "relu", "inner.a#2", "inner.b"]


def test_auxiliary_heads_do_not_matter() -> None:
    assert [layer.name for layer in layers_of(zoo.googlenet(10), (3, 96, 96)).layers][-1] == "inception5b"


def test_without_maps_a_sentence_says_what_to_do() -> None:
    model = model_of(nn.Sequential(("flat", nn.Flatten()), ("fc", nn.Linear(4))), (1, 6, 6))
    with pytest.raises(UsageError, match=r"no feature maps that everything passes through.*'occlusion'"):
        attribute(model, images(model), method="grad-cam")
    assert attribute(model, images(model), method="occlusion")[0].raw.any()


def test_a_layer_is_found_by_its_path_or_a_path_above_it() -> None:
    found = layers_of(zoo.resnet18(10), (3, 64, 64))
    assert found.find("layer3").name == "layer3.1.relu"
    assert found.find("layer3.0").name == "layer3.0.relu"
    assert found.find("conv1").name == "conv1"
    with pytest.raises(UsageError, match=r"'layer3.0.conv1' is no layer that everything passes through"):
        found.find("layer3.0.conv1")


def test_unknown_methods_and_labels_are_named() -> None:
    model = model_of(Reused(), (3, 6, 6))
    with pytest.raises(UsageError, match="method must be one of grad-cam, "):
        attribute(model, images(model), method="gradcam")
    with pytest.raises(UsageError, match="no label 'cats' to explain; did you mean cat"):
        attribute(model, images(model), label="cats")


def test_gradients_of_a_layer_are_those_of_the_rest_of_the_network() -> None:
    """Central differences of the rest of a network with a shortcut, at a layer that everything passes through."""
    model = model_of(Reused(), (3, 6, 6))
    explainer, pixels = Explainer(model), images(model)
    score = explainer.scores(pixels, "dog")[0][0]
    layer = explainer.layers(score).find("act")
    values, gradients = explainer.question(pixels, [score], layer).features
    rest = Reference(suffix(model.graph, layer.tensor), 1, np.float64)
    rest.load_state({name: array for name, array in model.state.items() if name in rest.state()})

    def logit(x: Any) -> float:
        return float(rest.run(inputs=x)["logits"][0, 1])

    for place in ((0, 0, 1, 1), (0, 2, 4, 5), (0, 3, 0, 0)):
        if values[place] == 0:
            continue
        step = np.zeros_like(values)
        step[place] = 1e-4
        expected = (logit(values + step) - logit(values - step)) / 2e-4
        assert gradients[place] == pytest.approx(expected, rel=1e-3, abs=1e-6)

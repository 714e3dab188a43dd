"""What channels react to, against feature maps in NumPy; dead and saturated channels in words."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn
from opsin.data import Preprocessing
from opsin.explain.channels import STRONGEST, ChannelActivity, observe_channels, seen_pixels
from opsin.explain.observer import Observer
from opsin.explain.stages import find_stages
from opsin.model import Model
from opsin.nn.receptive_field import receptive_spans


def model_of(*layers: tuple[str, nn.Layer], change: dict[str, np.ndarray] | None = None) -> Model:
    network = nn.Sequential(*layers)
    graph = nn.trace(network, (1, 9, 8))
    state = nn.initial_state(graph, 3) | (change or {})
    preprocessing = Preprocessing(1, 9, 8, (0.4,), (0.3,))
    return Model("small", graph, state, preprocessing, ("a", "b"), nn.layer_kinds(network))


def images(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 1, 9, 8), np.uint8)


def observed(model: Model, pixels: np.ndarray, **options: float) -> list[ChannelActivity]:
    return observe_channels(Observer(model), find_stages(model.graph, model.layers), pixels, **options)  # type: ignore[arg-type]


CONV = [
    ("conv", nn.Conv2d(5, 3, padding=1)),
    ("act", nn.ReLU()),
    ("pool", nn.MaxPool2d(2)),
    ("flat", nn.Flatten()),
    ("head", nn.Linear(2)),
]


def test_the_strongest_images_and_their_places() -> None:
    model, pixels = model_of(*CONV), images(70)
    conv, head = observed(model, pixels)
    assert (conv.stage.name, conv.activation, conv.images, conv.available) == ("conv", "relu", 70, 70)
    (maps,) = Observer(model).run(pixels, [conv.step.output])
    largest = maps.reshape(70, 5, -1).max(axis=2)
    for channel in range(5):
        order = np.argsort(-largest[:, channel])[:STRONGEST]
        np.testing.assert_array_equal(conv.values[channel], largest[order, channel])
        assert conv.numbers[channel].tolist() == order.tolist()
        for number, (row, column), value in zip(order, conv.places[channel], conv.values[channel], strict=True):
            assert maps[number, channel, row, column] == value
    np.testing.assert_allclose(conv.positive, (maps > 0).mean(axis=(0, 2, 3)), rtol=1e-6)
    logits = model.logits(pixels)
    np.testing.assert_allclose(head.values[1], np.sort(logits[:, 1])[::-1][:STRONGEST], rtol=1e-6)
    assert not head.places.any()
    assert conv.to_data()["numbers"] == conv.numbers.tolist()


def test_dead_channels_are_named() -> None:
    bias = np.array([0, -1e3, 0, 0, -1e3], np.float32)
    (conv, head) = observed(model_of(*CONV, change={"conv.bias": bias}), images(40))
    assert conv.dead == [1, 4]
    assert conv.sentences() == [
        "2 of 5 channels (1, 4) are dead: after ReLU no value was positive.",
        "All 40 images were looked at. A channel that reacts to rare images only may seem dead.",
    ]
    assert not head.dead
    assert not head.sentences()


@pytest.mark.parametrize(("layer", "name"), [(nn.ReLU6(), "ReLU6"), (nn.Sigmoid(), "sigmoid"), (nn.Tanh(), "tanh")])
def test_saturated_channels_are_named(layer: nn.Layer, name: str) -> None:
    bias = np.array([0, 0, 1e3, 0, 0], np.float32)
    layers = [CONV[0], ("act", layer), *CONV[2:]]
    conv, _ = observed(model_of(*layers, change={"conv.bias": bias}), images(40))
    assert conv.saturated == [2]
    assert (
        conv.sentences()[0]
        == f"1 of 5 channels (2) is saturated: more than 95% of the values are at a limit of {name}."
    )
    (maps,) = Observer(model_of(*layers, change={"conv.bias": bias})).run(images(40), [conv.step.output])
    low, high = {"ReLU6": (-9, 5.99), "sigmoid": (0.01, 0.99), "tanh": (-0.99, 0.99)}[name]
    np.testing.assert_allclose(conv.at_limit, ((maps < low) | (maps > high)).mean(axis=(0, 2, 3)), atol=1e-6)


def test_a_sample_is_taken_if_there_are_many_images() -> None:
    pixels = images(200)
    bias = np.full(5, -1e3, np.float32)
    conv, _ = observed(model_of(*CONV, change={"conv.bias": bias}), pixels, macs=32e6)
    assert conv.images == 32
    assert conv.sentences()[-1].startswith("32 of 200 images were looked at, chosen at random.")
    assert conv.numbers.max() > 32


def test_the_pixels_that_a_position_sees() -> None:
    model = model_of(*CONV)
    stages = find_stages(model.graph, model.layers)
    spans = receptive_spans(model.graph)
    conv = next(stage for stage in stages if stage.name == "conv")
    assert seen_pixels(spans[conv.output], 0, 3) == (0, 1, 2, 4)
    assert seen_pixels(spans[conv.output], 8, 7) == (7, 8, 6, 7)
    assert seen_pixels(spans[stages[-1].output], 0, 0) == (0, 8, 0, 7)

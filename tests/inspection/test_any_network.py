"""Pages of every kind of network: the layer of the maps is found, and looking changes no bit of the answer.

`bench/see_zoo.py` does the same for the whole zoo, and for the ONNX files of all tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import opsin
from opsin import nn, ops
from opsin.data import Preprocessing
from opsin.explain.observer import Observer
from opsin.explain.stages import find_stages
from opsin.inspection.page.write import lead
from opsin.ir import Tensor, initial_state
from opsin.model import Model
from tests.interop.onnx.writer import File, random

SHAPE = (3, 20, 24)


class Twice(nn.Layer):
    """A layer that is used twice, in a nested network with a residual connection."""

    def __init__(self) -> None:
        self.stem = nn.Sequential(nn.Sequential(nn.Conv2d(8, 3, padding=1), nn.ReLU()), nn.MaxPool2d(2))
        self.shared = nn.Sequential(nn.Conv2d(8, 3, padding=1), nn.ReLU())
        self.head = nn.Sequential(nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.head(ops.add(x, self.shared(self.shared(x))))


class Auxiliaries(nn.Layer):
    """A second classifier on an inner layer, whose loss counts in training."""

    def __init__(self) -> None:
        self.first, self.second = nn.Conv2d(8, 3, padding=1), nn.Conv2d(8, 3, padding=1)
        self.head, self.aux = (nn.Sequential(nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(4)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = ops.relu(self.first(x))
        self.auxiliary(self.aux(x), 0.3)
        return self.head(ops.relu(self.second(x)))


class Decoder(nn.Layer):
    """Maps that grow again: a transposed convolution and resampling."""

    def __init__(self) -> None:
        self.down = nn.Conv2d(8, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(6, 2, stride=2)
        self.last = nn.Conv2d(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = ops.upsample(self.up(ops.relu(self.down(x))), 2, mode="bilinear")
        x = ops.global_avg_pool2d(self.last(x))
        return ops.reshape(x, (x.shape[0], 4))


def model_of(network: nn.Layer, shape: tuple[int, int, int] = SHAPE, **options: Any) -> Model:
    graph = nn.trace(network, shape)
    preprocessing = Preprocessing(*shape, (0.5,) * shape[0], (0.25,) * shape[0])
    labels = ["a", "b", "c", "d"]
    return Model("net", graph, initial_state(graph, 1), preprocessing, labels, nn.layer_kinds(network), **options)


NETWORKS: dict[str, Callable[[], Model]] = {
    "used twice, nested, residual": lambda: model_of(Twice()),
    "grey": lambda: model_of(Twice(), (1, 20, 24)),
    "mirrored": lambda: replace(model_of(Twice()), tta="hflip"),
    "decoder": lambda: model_of(Decoder()),
    "auxiliaries": lambda: model_of(Auxiliaries()),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_any_network(name: str) -> None:
    model = NETWORKS[name]()
    pixels = np.random.default_rng(2).integers(0, 256, model.preprocessing.input_shape, np.uint8)
    page = opsin.see(model, pixels).page
    assert page.views.keys() >= {"network", "convolution", "explanations", "backpropagation"}
    (image,) = page.views["explanations"]["images"]
    assert image
    steps = [step.output for stage in find_stages(model.graph, model.layers) for step in stage.steps]
    logits = model.graph.outputs["logits"]
    for exact in (False, True):
        observer = Observer(model, exact=exact)
        (alone,) = observer.run(pixels[None], [logits])
        assert observer.run(pixels[None], [logits, *steps])[0].tobytes() == alone.tobytes()


def onnx_model(folder: Path, *steps: tuple[str, str, str]) -> Model:
    """An ONNX file: the given operators, (name, inputs, output), behind one linear layer on the means of channels."""
    file = File(weights={"w": random(1, 3), "b": random(1, seed=1)}, inputs={"x": (1, 3, 8, 8)})
    file.add("GlobalAveragePool", "x", "g").add("Flatten", "g", "f").add("Gemm", "f w b", "z", transB=1)
    for op, inputs, output in steps:
        file.add(op, inputs, output)
    return opsin.import_onnx(file.write(folder / "net.onnx"))


def test_a_number_for_each_image_and_what_was_rewritten(tmp_path: Path) -> None:
    model = onnx_model(tmp_path, ("Squeeze", "z", "s"), ("Sigmoid", "s", "y"))
    pixels = np.random.default_rng(2).integers(0, 256, (3, 8, 8), np.uint8)
    inspection = opsin.see(model, pixels)
    assert "network" in inspection.page.views
    assert "ends with a sigmoid, which was removed" in lead(inspection.subject)


def test_a_network_without_weights() -> None:
    class Norms(nn.Layer):
        def forward(self, x: Tensor) -> Tensor:
            return ops.reshape(ops.sqrt(ops.sum(ops.square(x), (2, 3), keepdims=True)), (x.shape[0], 4))

    page = opsin.see(model_of(Norms(), (4, 7, 8)), np.full((4, 7, 8), 100, np.uint8)).page
    assert page.views["explanations"]["sanity"] == {}
    assert "backpropagation" not in page.views

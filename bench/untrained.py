"""Networks of the zoo with initial weights, as models."""

from __future__ import annotations

import numpy as np

from opsin import nn, zoo
from opsin.data import Preprocessing
from opsin.model import Model
from opsin.model.int8 import MIN_IMAGES


def untrained(name: str) -> Model:
    """Return a network of the zoo with initial weights."""
    network, shape = zoo.create(name), zoo.find(name).input_shape
    graph = nn.trace(network, shape)
    labels = tuple(map(str, range(int(str(graph.outputs["logits"].shape[1])))))
    preprocessing = Preprocessing(*shape, (0.5,) * shape[0], (0.25,) * shape[0])
    return Model(name, graph, nn.initial_state(graph, 1), preprocessing, labels, nn.layer_kinds(network))


def observed(model: Model) -> None:
    """Record ranges for int8."""
    images = np.random.default_rng(0).integers(0, 256, (MIN_IMAGES, *model.preprocessing.input_shape), np.uint8)
    model.quantize(images)

"""Untrained models of every task."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import nn, zoo
from opsin.data import Preprocessing
from opsin.model import Model
from opsin.tasks.registry import find_task
from tests.interop.onnx.zoo import trained_state

NETWORKS = {
    "classification": ("lenet5", 28), "multilabel": ("resnet20_cifar", 32), "regression": ("pilotnet", 66),
    "segmentation": ("unet_light", 64), "detection": ("fcos_efficientnet_lite0", 64),
    "identity": ("lenet5", 28), "self-supervised": ("lenet5", 28),
}  # fmt: skip
"""A network for each task, and the side of its images."""


def model(task: str, **fields: Any) -> Model:
    """An untrained model for a task, with three labels."""
    network, side = NETWORKS[task]
    question = find_task(task).with_outputs(3).for_network(network, (side, side))
    entry = zoo.find(network)
    shape = entry.input_shape[0], side, entry.input_shape[2] if task == "regression" else side
    layers = entry(question.outputs, task=task)
    graph = nn.trace(layers, shape)
    preparation = Preprocessing(*shape, (0.4,) * shape[0], (0.3,) * shape[0])
    return Model(network, graph, trained_state(graph), preparation, question, nn.layer_kinds(layers), **fields)


def pixels(model: Model, count: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, *model.preprocessing.input_shape), np.uint8)

"""Small untrained models of each task and preprocessing, and images of all kinds of sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from opsin import nn
from opsin.data import Preprocessing
from opsin.data.decode import Crop, Stretch
from opsin.model import Model
from opsin.tasks.classification.calibration import Calibration
from opsin.tasks.identity import Identity
from opsin.tasks.identity.calibration import SameThreshold
from opsin.tasks.multilabel.calibration import LabelThresholds
from opsin.tasks.multilabel.task import MultiLabel
from opsin.tasks.regression.intervals import Intervals
from opsin.tasks.regression.task import Regression
from opsin.tasks.segmentation.task import SemanticSegmentation
from opsin.tasks.self_supervised.task import SelfSupervised
from opsin.zoo.embedder import Embedder
from opsin.zoo.feature_network import FeatureNetwork

LABELS = ("cat", "dög", "</script>", "&amp;")


def classifier(outputs: int) -> nn.Layer:
    return nn.Sequential(
        nn.Conv2d(9, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(12, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(outputs),
    )  # fmt: skip


def make(network: nn.Layer, preprocessing: Preprocessing, task: Any, **more: Any) -> Model:
    graph = nn.trace(network, preprocessing.input_shape)
    return Model("small", graph, nn.initial_state(graph, 5), preprocessing, task, nn.layer_kinds(network), **more)


def models() -> dict[str, Model]:
    """Return a model of each kind by name."""
    grey = Preprocessing(1, 19, 22, (0.1307,), (0.3081,), dark_background=True)
    stretch = Preprocessing(3, 17, 21, (0.5, 0.4, 0.3), (0.2, 0.3, 0.25), crop=Stretch("bilinear"))
    crop = Preprocessing(3, 24, 20, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), crop=Crop(29, "bicubic"))
    maps = nn.Sequential(nn.Conv2d(8, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1))
    vectors = Embedder(classifier(6))
    same = SameThreshold(0.4, 9.0, -3.6, 50, 60, 0.1, 0.05)
    numbers = Regression(LABELS[:2], ("m", ""), (3.5, -1.0), (2.0, 0.5), (False, False))
    return {
        "grey": make(classifier(4), grey, LABELS, calibration=Calibration(1.7, 90, 0.9, 0.9, 0.8, 0.95)),
        "stretched": make(classifier(4), stretch, LABELS, tta="hflip"),
        "cropped": make(classifier(4), crop, LABELS, calibration=Calibration(0.7, 20)),
        "labels": make(classifier(4), crop, MultiLabel(LABELS), calibration=LabelThresholds((0.5, 0.4, 0.6, 0.1), 9)),
        "numbers": make(classifier(2), stretch, numbers, calibration=Intervals((0.5, 0.25), 40)),
        "vectors": make(vectors, stretch, Identity(6), tta="hflip", calibration=same),
        "pixels": make(maps, stretch, SemanticSegmentation(LABELS), tta="hflip"),
    }


def feature_model() -> Model:
    """Return a model that was trained without labels."""
    preprocessing = Preprocessing(3, 17, 21, (0.5, 0.4, 0.3), (0.2, 0.3, 0.25), crop=Stretch("bilinear"))
    return make(FeatureNetwork(classifier(2)), preprocessing, SelfSupervised(), tta="hflip")


def images() -> list[np.ndarray]:
    """Return images of RGB bytes, rows × columns × 3: noise and smooth ones, light and dark, tiny and long."""
    rng = np.random.default_rng(4)
    sizes = [(1, 1), (5, 3), (19, 22), (40, 61), (300, 211), (120, 5), (90, 160)]
    noise = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    return [*noise, np.full((33, 50, 3), 240, np.uint8), noise[3] // 4, noise[4] // 4 + 190]

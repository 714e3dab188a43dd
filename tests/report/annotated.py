"""A model of pixels without training, and a dataset with masks on which it makes some mistakes."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from opsin import nn
from opsin.data import Dataset, Preprocessing
from opsin.data.dataset import AnnotatedImages
from opsin.data.ingest.receipt import Receipt
from opsin.model import Model
from opsin.report.task_report import TaskReport, measure_task
from opsin.tasks.annotations import Problem
from opsin.tasks.segmentation import Masks, SemanticSegmentation
from tests.model.networks import reference

CLASSES = ("background", "<b>red</b>", 'green" onload="x')
"""Class names that a page has to escape."""

TASK = SemanticSegmentation(CLASSES)
HEIGHT, WIDTH = 12, 16


def scenes(count: int, seed: int) -> AnnotatedImages:
    """Images with a red rectangle, and every fourth with a green one; noise makes some pixels look otherwise."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 150, (count, 3, HEIGHT, WIDTH))
    ids = np.zeros((count, HEIGHT, WIDTH), np.uint8)
    for number, (image, mask) in enumerate(zip(pixels, ids, strict=True)):
        for channel in (0, 1) if number % 4 == 0 else (0,):
            top, left = int(rng.integers(0, HEIGHT - 4)), 8 * channel + int(rng.integers(0, 4))
            mask[top : top + 4, left : left + 4] = channel + 1
            image[channel, top : top + 4, left : left + 4] += 100
    names = tuple(f"<i>{number}</i>.png" for number in range(count))
    return AnnotatedImages(pixels.astype(np.uint8), Masks(ids), TASK, names)


def history(values: list[float], losses: list[float]) -> list[dict[str, Any]]:
    """Return the training record of epochs with this metric and these losses."""
    return [
        {"stage": "training", "loss": loss, "held_out_loss": 1.0, "held_out_mean_iou": value}
        for value, loss in zip(values, losses, strict=True)
    ]


RECEIPT = Receipt(
    "scenes", {"train": {CLASSES[1]: 60, CLASSES[2]: 15}}, "as the data says", (3, HEIGHT, WIDTH), task="segmentation",
    form="<masks>", images_by_split={"train": 60, "test": 40}, annotations={CLASSES[1]: 60, CLASSES[2]: 15},
    annotation_problems=(Problem("<u>3.png", "the mask is empty", "empty mask"),),
)  # fmt: skip


@cache
def subject() -> tuple[Model, Dataset]:
    """Return a model that takes the brightest channel above a threshold for the class, and the dataset."""
    network = nn.Sequential(("classifier", nn.Conv2d(3, 1)))
    graph = nn.trace(network, (3, HEIGHT, WIDTH))
    weights = np.zeros((3, 3, 1, 1), np.float32)
    weights[1, 0] = weights[2, 1] = 20.0
    state = {"classifier.weight": weights, "classifier.bias": np.array([11.5, 0.0, 0.0], np.float32)}
    preprocessing = Preprocessing(3, HEIGHT, WIDTH, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    data = Dataset("<scenes>", scenes(60, 0), scenes(40, 1), True, scenes(20, 2), RECEIPT)
    record = {
        "fingerprint": data.fingerprint, "held_out": 20, "plan": {"seed": 3},
        "history": history([0.3, 0.5, 0.6], [1.0, 0.8, 0.7]),
    }  # fmt: skip
    kinds = nn.layer_kinds(network)
    return Model(
        "pixels", graph, state, preprocessing, TASK, kinds, record, name="<model>", engine=reference
    ), data  # fmt: skip


@cache
def measured() -> TaskReport:
    """Return the report on `subject()`."""
    return measure_task(*subject(), seconds=4)

"""A small model and a small dataset with interesting results, made without training."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.data import Dataset, LabeledImages
from opsin.explain.features import BATCH
from opsin.model import Model
from opsin.nn.features import penultimate_graph
from opsin.report import ModelReport
from opsin.report.logistic import fit
from opsin.report.model_report import measure_classifier
from tests.model.networks import small_model

TRICKY_NAMES = ("<b>cat</b>", 'dog" onload="x', "hæt & 猫")
"""Class names that a page has to escape."""


def blobs(
    count: int, classes: int, seed: int = 0, distance: float = 3.0
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return features (N × 6) around one centre per class, and labels (N)."""
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % classes).astype(np.int32)
    centres = distance * np.eye(max(classes, 6))[:classes, :6]
    return (centres[labels] + random.normal(size=(count, 6))).astype(np.float32), labels


def scenes(count: int, seed: int, named: bool = True) -> LabeledImages:
    """Return grey 8 × 9 images of three classes, told apart by the bright third; some are dim."""
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % 3).astype(np.int32)
    pixels = random.integers(0, 90, (count, 1, 8, 9), dtype=np.uint8)
    for number, label in enumerate(labels):
        pixels[number, 0, :, 3 * label : 3 * label + 3] += np.uint8(random.integers(5, 120))
    names = tuple(f"<i>{number}</i>.jpg" for number in range(count)) if named else None
    return LabeledImages(pixels, labels, TRICKY_NAMES, names)


def history() -> list[dict[str, Any]]:
    return [
        {"stage": "head", "loss": 0.9, "accuracy": 0.5, "held_out_accuracy": 0.5, "held_out_loss": 0.9},
        {"stage": "fine-tuning", "loss": 0.5, "accuracy": 0.8, "held_out_accuracy": 0.7, "held_out_loss": 0.6},
        {"stage": "fine-tuning", "loss": 0.3, "accuracy": 0.9, "held_out_accuracy": 0.7, "held_out_loss": 0.8},
    ]


@cache
def subject() -> tuple[Model, Dataset]:
    """Return the small model, with its last layer fitted to the training images and calibrated, and the dataset."""
    data = Dataset("<data>", scenes(120, 0), scenes(60, 1), predefined_split=True, validation=scenes(90, 2))
    model = small_model()
    model.labels, model.name = TRICKY_NAMES, "<model>"
    program = model.engine(penultimate_graph(model.graph), BATCH, None)
    program.load_state({name: model.state[name] for name in program.graph.variables})
    inputs = model.preprocessing.apply(np.asarray(data.train.pixels))
    features = [
        program.run(inputs=inputs[np.arange(first, first + BATCH) % 120])["features"] for first in (0, 32, 64, 96)
    ]
    head = fit(np.concatenate(features)[:120], data.train.labels, 3, 3.0)
    weights = (head.weights[:-1] / head.scale).T
    bias = head.weights[-1] - weights @ head.mean
    model.load_state({**model.state, "head.weight": weights.astype(np.float32), "head.bias": bias.astype(np.float32)})
    model.record = {
        "fingerprint": data.fingerprint,
        "history": history(),
        "plan": {"seed": 3, "stages": [{"batch": 8}]},
    }
    assert data.validation is not None
    model.calibrate(data.validation)
    return model, data


@cache
def measured() -> ModelReport:
    """Return the report on `subject()`."""
    model, data = subject()
    return measure_classifier(model, data, seconds=8)

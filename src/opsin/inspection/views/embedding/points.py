"""The points of the map: images of a dataset with their features, answers, and labels that may be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.base.errors import GraphError
from opsin.data import Dataset, LabeledImages, Samples
from opsin.data.batches import batch_size
from opsin.explain.channels import MAX_BATCH, affordable_images
from opsin.explain.features import feature_graph
from opsin.explain.observer import Floats
from opsin.inspection.images import dataset_names
from opsin.inspection.subject import Subject
from opsin.ir import Graph
from opsin.model.record import measured_images
from opsin.report.label_issues import held_out_probabilities, rank_labels
from opsin.report.logistic import choose_penalty

MAX_POINTS, SMALL_MAX_POINTS = 5_000, 1_900
"""Images on the map; the second number for networks with small images, whose page stays below a megabyte."""

FEATURE_MACS = 1e12
"""MACs for computing features; more images are left out."""

MIN_TO_JUDGE = 50
"""With fewer images, labels are not judged."""

MIN_ACCURACY = 0.5
"""The share of right answers below which no label is suspected: such a network is more often wrong than the labels."""

PROGRESS_BATCHES = 16
"""Batches between two messages."""

POINT_ORDER = 125
"""Purpose of random numbers (see `opsin.base.random_counter`)."""


@dataclass(frozen=True, eq=False)
class Points:
    """N images of a dataset: a random sample if there are more (`available`) than a map shows.

    `features` are float32 N × F. Of a classifier there are also `labels` and `answers` (class numbers), the `doubt`
    about each answer (one minus its probability), and whether a label is a suspect: an image that a classifier of the
    features, fitted on other images, confidently gives another label.
    """

    images: Samples
    splits: tuple[str, ...]
    names: tuple[str, ...]
    available: int
    features: Floats
    labels: NDArray[np.int32] | None = None
    answers: NDArray[np.int32] | None = None
    doubt: Floats | None = None
    suspects: NDArray[np.bool_] | None = None


def sample_points(subject: Subject, data: Dataset, macs: float = FEATURE_MACS) -> Points | None:
    """Return the points of `data`: of the images that measure the model, and of those that it was trained on.

    Labels and answers are missing if the data has classes that the model does not know. Return None if the network has
    no layer with weights.
    """
    model = subject.model
    try:
        graph = feature_graph(model)
    except GraphError:
        return None
    limit = SMALL_MAX_POINTS if subject.is_small else MAX_POINTS
    images, splits, names = _sample(data, min(limit, affordable_images(subject.stages, macs)))
    features, outputs = _run(subject, graph, images)
    available = sum(map(len, data.splits.values()))
    known = isinstance(images, LabeledImages) and set(images.classes) <= set(model.labels)
    if not known or model.independent or not hasattr(model.task, "probabilities"):
        return Points(images, splits, names, available, features)
    probabilities = model.task.probabilities(outputs, model.calibration)
    labels, answers = model.label_indices(images), probabilities.argmax(axis=1).astype(np.int32)
    doubt = (1.0 - probabilities.max(axis=1)).astype(np.float32)
    suspects = np.zeros(len(labels), bool)
    if (answers == labels).mean() >= MIN_ACCURACY:
        suspects = find_suspects(features, labels, len(model.labels))
    return Points(images, splits, names, available, features, labels, answers, doubt, suspects)


def find_suspects(features: Floats, labels: NDArray[np.int32], classes: int) -> NDArray[np.bool_]:
    """Return whether each label is probably wrong, by confident learning on the features (see `label_issues`)."""
    suspects = np.zeros(len(labels), bool)
    if len(labels) >= MIN_TO_JUDGE and (np.bincount(labels) > 1).sum() >= 2:
        penalty = choose_penalty(features, labels, classes)
        ranking = rank_labels(held_out_probabilities(features, labels, classes, penalty), labels)
        doubtful = ranking.order[: ranking.issue_count]
        suspects[doubtful] = ranking.suggested[doubtful] != labels[doubtful]
    return suspects


def _sample(data: Dataset, size: int) -> tuple[Samples, tuple[str, ...], tuple[str, ...]]:
    """Return `size` images in random order, with splits and names; at least half measure the model, if possible."""
    images, splits = data.all_images(), list(data.splits)
    split_of = np.repeat(np.arange(len(splits)), [len(data.splits[name]) for name in splits])
    measured = next(n for n, name in enumerate(splits) if data.splits[name] is measured_images(data))
    order = random_counter.order(len(images), 0, POINT_ORDER)
    first, rest = order[split_of[order] == measured], order[split_of[order] != measured]
    count = min(len(first), max(size // 2, size - len(rest)))
    chosen = np.concatenate([first[:count], rest[: size - count]])
    chosen = order[np.isin(order, chosen)]
    names = dataset_names(data, images)
    return images.take(chosen), tuple(splits[split_of[n]] for n in chosen), tuple(names[n] for n in chosen)


def _run(subject: Subject, graph: Graph, images: Samples) -> tuple[Floats, dict[str, Any]]:
    """Return the features and the outputs by name of images."""
    observed = subject.model.graph.outputs
    names, tensors = list(observed), [graph.outputs["features"], *observed.values()]
    size = batch_size(images.pixels.shape[1:], min(MAX_BATCH, len(images)))
    batches: list[list[Floats]] = []
    for numbers, results in subject.observer.run_batches(images.pixels, np.arange(len(images)), tensors, size):
        if len(batches) % PROGRESS_BATCHES == 0:
            subject.progress(f"features of the data, {numbers[0]:,} of {len(images):,} images")
        batches.append(results)
    features, *outputs = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return features, dict(zip(names, outputs, strict=True))

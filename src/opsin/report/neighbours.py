"""Numbers that may be wrong, by the images that are most alike in the features of the network."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.base.errors import GraphError
from opsin.data import Samples
from opsin.explain.features import Floats, feature_extractor
from opsin.model import Model
from opsin.tasks.section import Section

NEIGHBOUR_ORDER = 109
"""Purpose of random numbers (see `opsin.base.random_counter`)."""

MIN_REFERENCES = 50
"""With fewer images to compare with, no number is doubted."""


def sections_by_neighbours(
    model: Model, evaluation: Any, images: Samples, references: Samples, seconds: float
) -> list[Section]:
    """Return what the evaluation says of targets that similar images contradict; nothing if it does not compare them.

    `images` were evaluated. They are compared with `references`, of which as many are used as there is time for, and
    which may be the same images: none is compared with itself.
    """
    if not hasattr(evaluation, "doubtful_images"):
        return []
    doubtful = np.array(evaluation.doubtful_images(), np.intp)
    if not len(doubtful) or len(references) < MIN_REFERENCES:
        return []
    try:
        extractor = feature_extractor(model)
    except GraphError:  # the network has no layer with weights
        return []
    begin = perf_counter()
    features = extractor.compute(images.pixels, doubtful, seconds / 2)
    doubtful = doubtful[: len(features)]
    order = random_counter.order(len(references), 0, NEIGHBOUR_ORDER)
    others = extractor.compute(references.pixels, order, seconds - (perf_counter() - begin))
    order = order[: len(others)]
    is_itself = order == doubtful[:, None] if references is images else np.zeros((len(doubtful), len(order)), bool)
    nearest = nearest_rows(features, others, is_itself, evaluation.neighbours)
    targets = model.task.align(references.task, references.targets)
    return [*evaluation.neighbour_sections(doubtful.tolist(), targets.take(order[nearest.ravel()]))]


def nearest_rows(features: Floats, others: Floats, excluded: NDArray[np.bool_], count: int) -> NDArray[np.intp]:
    """Return the `count` rows of `others` (M × F) that are nearest to each of `features` (N × F), N × count.

    Pairs that are `excluded` (N × M) do not count.
    """
    distances = (others.astype(np.float64) ** 2).sum(axis=1) - 2.0 * (features @ others.T)
    distances[excluded] = np.inf
    return np.argsort(distances, axis=1, kind="stable")[:, :count]

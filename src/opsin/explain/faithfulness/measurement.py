"""The faithfulness of one map of one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from opsin.explain.faithfulness.baselines import centred_gaussian, edges, random_map
from opsin.explain.faithfulness.confidence import Confidence, Floats
from opsin.explain.faithfulness.curves import Curve, between, counts
from opsin.explain.faithfulness.ranking import ranks
from opsin.explain.faithfulness.road import road, without_pixels

RANDOM, GAUSSIAN, EDGES = "random map", "centred Gaussian", "edge detector"
RANDOM_MAPS = 3
"""Random maps of an image; the spread of their figures says what chance does."""

METRICS = {
    "insertion_deletion": "insertion − deletion",
    "insertion": "insertion",
    "deletion": "deletion",
    "road": "ROAD",
    "drop": "average drop",
    "increase": "increase",
}
"""The names of the figures."""

LOWER_IS_BETTER = {"deletion", "drop"}


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """How the confidence in an answer follows a map.

    `drop` is the share of the confidence that is lost if the image is multiplied by the map, towards the mean colour of
    the training images, and `increase` is 1 if it grows and otherwise 0 (Chattopadhay et al. 2018).
    """

    insertion_curve: Curve
    deletion_curve: Curve
    road: float
    drop: float
    increase: float

    @property
    def insertion(self) -> float:
        return self.insertion_curve.area

    @property
    def deletion(self) -> float:
        return self.deletion_curve.area

    @property
    def insertion_deletion(self) -> float:
        """The area under insertion's curve minus that under deletion's, from -1 to 1: high is good."""
        return self.insertion - self.deletion

    def to_data(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {name: float(getattr(self, name)) for name in METRICS}


def measure(confidence: Confidence, display: Floats, seed: int = 0) -> Faithfulness:
    """Return the faithfulness of a map from 0 to 1, height × width. All changed images pass the network at once."""
    image, order = confidence.image, ranks(display, seed)
    blank, original, start = np.zeros_like(image), confidence.original, confidence.of_blurred
    parts = [
        between(confidence.blurred, image, order), between(image, blank, order), without_pixels(image, order, seed),
        (display * image).astype(np.float32)[None],
    ]  # fmt: skip
    ends = np.cumsum([len(part) for part in parts])
    inserted, deleted, removed, (masked,) = np.split(confidence(np.concatenate(parts)), ends[:-1])
    shares = counts(order.size) / order.size
    return Faithfulness(
        Curve(shares, np.array([start, *inserted, original])),
        Curve(shares, np.array([original, *deleted, confidence.of_blank])), road(removed),
        drop=max(0.0, original - masked) / max(original, np.finfo(np.float64).tiny), increase=float(masked > original),
    )  # fmt: skip


def measure_baselines(confidence: Confidence, seed: int = 0) -> dict[str, list[Faithfulness]]:
    """Return the faithfulness of the baselines by name; several of random maps."""
    height, width = confidence.image.shape[1:]
    maps: Mapping[str, list[Floats]] = {
        RANDOM: [random_map((height, width), seed + number) for number in range(RANDOM_MAPS)],
        GAUSSIAN: [centred_gaussian((height, width))],
        EDGES: [edges(confidence.image)],
    }
    return {name: [measure(confidence, each, seed) for each in every] for name, every in maps.items()}

"""How good features are on images that they were not learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.concurrency import lazy
from opsin.base.formatting import percent
from opsin.tasks.score import Score
from opsin.tasks.section import Section
from opsin.tasks.self_supervised import measures, sections

AGREEMENT, RANK, KNN, PROBE = "view_agreement", "rank_share", "knn_accuracy", "probe_accuracy"

MAX_IMAGES, MAX_VIEWS = 3000, 1000
"""Images that are compared with each other, and images whose views are."""

MIN_FOLDER_IMAGES = 5
"""Folders count as classes if there are at least two, with at least so many images each on average."""

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FeatureEvaluation:
    """The features N × F of N images and those of two random views of each, with the folders that the images lie in.

    `numbers` are their places among all `images` that were measured.
    """

    features: Array
    views: tuple[Array, Array]
    folders: NDArray[np.int32]
    names: tuple[str, ...]
    numbers: NDArray[np.intp]
    images: int

    @lazy
    def own_ranks(self) -> NDArray[np.intp]:
        """How many second views of other images are nearer to the first view of some images than their own."""
        first, second = (view[:: self._view_step] for view in self.views)
        return measures.own_ranks(first, second)

    @property
    def _view_step(self) -> int:
        return -(-len(self.features) // MAX_VIEWS)

    @lazy
    def agreement(self) -> float:
        """The share of images whose own second view is nearest to their first one."""
        return float((self.own_ranks == 0).mean())

    @lazy
    def rank(self) -> float:
        """The effective rank of the features."""
        return measures.effective_rank(self.features)

    @lazy
    def spectrum(self) -> NDArray[np.float64]:
        """The singular values of the features as shares of their sum."""
        return measures.spectrum(self.features)

    @lazy
    def distance(self) -> float:
        """The mean of 1 - cosine between the two views of an image."""
        first, second = map(measures.unit, self.views)
        return float(1 - (first * second).sum(axis=1).mean())

    @lazy
    def by_folder(self) -> dict[str, float]:
        """The accuracies of a k-NN and of a linear probe, if the folders can be classes."""
        count = len(np.unique(self.folders))
        if count < 2 or len(self.folders) < MIN_FOLDER_IMAGES * count:
            return {}
        accuracies = (measures.knn_accuracy, measures.probe_accuracy)
        return {
            name: accuracy(self.features, self.folders) for name, accuracy in zip((KNN, PROBE), accuracies, strict=True)
        }

    @lazy
    def collapse(self) -> str:
        """In what way the features are useless, as a sentence; "" if they are not."""
        return measures.collapse(self.features)

    @property
    def score(self) -> Score:
        """Agreement of views, the effective rank as a share of the features, and accuracies by folder.

        The loss is the mean of 1 - cosine between the two views of an image.
        """
        shares = {AGREEMENT: self.agreement, RANK: self.rank / self.features.shape[1]}
        return Score(self.images, self.distance, shares | self.by_folder)

    def worst(self, count: int) -> list[int]:
        """Return the numbers of at most `count` images whose second view is found least."""
        order = np.argsort(-self.own_ranks, kind="stable")[:count]
        chosen = self.numbers[:: self._view_step]
        return [int(chosen[place]) for place in order.tolist() if self.own_ranks[place]]

    def sections(self) -> list[Section]:
        """Return what a report says of the result, the most important first."""
        return sections.sections(self)

    def to_data(self) -> dict[str, Any]:
        """Return everything but the features for JSON."""
        return {
            "images": self.images, "features": self.features.shape[1], "view_agreement": self.agreement,
            "effective_rank": self.rank, "view_distance": self.distance, "collapse": self.collapse or None,
            "folders": len(self.names), **self.by_folder,
        }  # fmt: skip

    def __str__(self) -> str:
        text = (
            f"{percent(self.agreement)} of views found among those of {len(self.own_ranks):,} images, effective rank "
        )
        text += f"{self.rank:.1f} of {self.features.shape[1]}"
        if self.by_folder:
            text += f", by folder: k-NN {percent(self.by_folder[KNN])}, linear probe {percent(self.by_folder[PROBE])}"
        return text

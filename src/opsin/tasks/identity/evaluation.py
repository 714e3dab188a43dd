"""How well a model tells identities apart on images of some that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.concurrency import lazy
from opsin.base.formatting import percent
from opsin.tasks.identity import sections
from opsin.tasks.identity.calibration import SameThreshold
from opsin.tasks.identity.groups import GroupRates, group_rates
from opsin.tasks.identity.identification import Identification, identify
from opsin.tasks.identity.pairs import FOLDS, Pairs
from opsin.tasks.identity.targets import Identities
from opsin.tasks.identity.verification import Floats, Roc, best_threshold, fold_accuracies
from opsin.tasks.score import Score
from opsin.tasks.section import Section

VERIFICATION = "verification_accuracy"


@dataclass(frozen=True, eq=False)
class IdentityEvaluation:
    """Unit vectors of N images with their `targets`, and the `pairs` of them that are compared.

    `listed` says whether a file names the pairs; otherwise they are all pairs, of at most `MAX_IMAGES` images.
    """

    embeddings: NDArray[np.float32]
    targets: Identities
    pairs: Pairs
    listed: bool = False
    calibration: SameThreshold | None = None

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self.embeddings)

    @lazy
    def similarities(self) -> NDArray[np.float32]:
        """The cosine of each pair."""
        return similarities(self.embeddings, self.pairs)

    @lazy
    def roc(self) -> Roc:
        """The errors at every threshold."""
        return Roc.of(self.similarities, self.pairs.same)

    @lazy
    def folds(self) -> Floats:
        """The accuracy on each fold of pairs, with the threshold of the others."""
        inside = self.pairs.fold >= 0
        return fold_accuracies(self.similarities[inside], self.pairs.same[inside], self.pairs.fold[inside])

    @property
    def accuracy(self) -> float:
        """The mean over the folds."""
        return float(self.folds.mean())

    @property
    def standard_error(self) -> float:
        """That of the mean over the folds; NaN for a single one."""
        return float(self.folds.std(ddof=1) / np.sqrt(len(self.folds))) if len(self.folds) > 1 else float("nan")

    @lazy
    def identification(self) -> Identification | None:
        """The rates of a gallery with one image of each identity; None for listed pairs, or if none has a second."""
        return None if self.listed else identify(self.embeddings, self.targets.numbers)

    @property
    def threshold(self) -> float:
        """The similarity from which pairs are taken for the same: the model's, or the best for these pairs."""
        return self.calibration.threshold if self.calibration else best_threshold(self.similarities, self.pairs.same)

    @lazy
    def groups(self) -> list[GroupRates]:
        """The errors of each group that the data names, at the threshold."""
        return group_rates(self.targets.columns, self.targets.numbers, self.pairs, self.similarities >= self.threshold)

    @property
    def score(self) -> Score:
        """Verification accuracy, area under the ROC curve, the share that is right at equal errors, and rank 1.

        The loss is the equal error rate.
        """
        error = self.roc.equal_error_rate
        metrics = {VERIFICATION: self.accuracy, "roc_area": self.roc.area, "accuracy_at_equal_errors": 1 - error}
        if self.identification:
            metrics["rank_1"] = self.identification.rank1.share
        return Score(self.images, error, metrics)

    def worst(self, count: int) -> list[int]:
        """Return the numbers of at most `count` images of the pairs that are told apart worst."""
        pairs = [pair for both in zip(*self.mistakes(count), strict=False) for pair in both]
        numbers = [int(number) for pair in pairs for number in (self.pairs.first[pair], self.pairs.second[pair])]
        return list(dict.fromkeys(numbers))[:count]

    def mistakes(self, count: int) -> tuple[list[int], list[int]]:
        """Return up to `count` pairs of different identities, the most alike first, and of the same, the reverse."""
        order = np.argsort(self.similarities, kind="stable")
        same = self.pairs.same[order]
        return order[~same][::-1][:count].tolist(), order[same][:count].tolist()

    def sections(self) -> list[Section]:
        """Return what a report says of the result, the most important first."""
        return sections.sections(self)

    def to_data(self) -> dict[str, Any]:
        """Return everything but the vectors for JSON."""
        return {
            "images": self.images, "pairs": len(self.pairs), "listed": self.listed,
            "verification_accuracy": self.accuracy,
            "standard_error": None if len(self.folds) < 2 else self.standard_error,
            "folds": self.folds.tolist(), "roc_area": self.roc.area, "equal_error_rate": self.roc.equal_error_rate,
            "true_accepts": [{"false_accepts": far, "true_accepts": tar} for far, tar in self.roc.stated_rates()],
            "identification": self.identification.to_data() if self.identification else None,
            **({"groups": [rates.to_data() for rates in self.groups]} if self.groups else {}),
        }  # fmt: skip

    def __str__(self) -> str:
        return f"verification accuracy {percent(self.accuracy)} on {len(self.pairs):,} pairs of {self.images:,} images"


MAX_IMAGES = 3000
"""Images whose pairs are all compared: 4.5 million pairs."""


def similarities(embeddings: NDArray[np.float32], pairs: Pairs) -> NDArray[np.float32]:
    """Return the cosine of each pair, computed in parts."""
    step = 2**18
    parts = [
        np.einsum("nd,nd->n", embeddings[pairs.first[i : i + step]], embeddings[pairs.second[i : i + step]])
        for i in range(0, len(pairs), step)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def all_pairs(identities: NDArray[np.int32]) -> Pairs:
    """Return all pairs of N images with these identities.

    Identities take turns in `FOLDS` folds, fewer if there are fewer with several images; a pair of identities in
    different folds is in none, -1.
    """
    first, second = np.triu_indices(len(identities), 1)
    several = int((np.bincount(identities) > 1).sum())
    _, place = np.unique(identities, return_inverse=True)
    order = np.argsort(-np.bincount(place), kind="stable")  # each fold gets identities with several images
    fold_of = np.empty(len(order), np.intp)
    fold_of[order] = np.arange(len(order)) % max(1, min(FOLDS, several // 2))
    fold = fold_of[place]
    return Pairs(
        first, second, identities[first] == identities[second], np.where(fold[first] == fold[second], fold[first], -1)
    )

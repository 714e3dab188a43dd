"""The result of a model on images with several labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.concurrency import lazy
from opsin.tasks.multilabel import sections
from opsin.tasks.multilabel.label_result import LabelResult, label_results
from opsin.tasks.multilabel.metrics import f1_scores, label_ranking_average_precision
from opsin.tasks.multilabel.suspects import Suspect, suspects
from opsin.tasks.score import Score
from opsin.tasks.section import Section

MEAN_AVERAGE_PRECISION = "mean_average_precision"
MIN_PROBABILITY = 1e-12


@dataclass(frozen=True, eq=False)
class MultiLabelEvaluation:
    """The result of a model: probabilities (N × labels) next to the truth (N × labels zeros and ones).

    A label is answered if its probability reaches its threshold. `loss` is the mean binary cross-entropy in nats.
    """

    names: tuple[str, ...]
    probabilities: NDArray[np.float64]
    truth: NDArray[np.uint8]
    thresholds: NDArray[np.float64]
    loss: float

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self.truth)

    @property
    def answers(self) -> NDArray[np.bool_]:
        """Whether each label is answered (N × labels)."""
        answers: NDArray[np.bool_] = self.probabilities >= self.thresholds
        return answers

    @lazy
    def labels(self) -> tuple[LabelResult, ...]:
        """The result of each label."""
        return label_results(self.names, self.probabilities, self.truth, self.thresholds)

    @property
    def mean_average_precision(self) -> float:
        """The mean of the average precisions of the labels that occur; 0 if none does."""
        values = [each.average_precision for each in self.labels if each.images]
        return float(np.mean(values)) if values else 0.0

    @lazy
    def label_ranking_average_precision(self) -> float:
        """The mean over images of the precision at the rank of each true label."""
        return label_ranking_average_precision(self.truth, self.probabilities)

    @property
    def f1(self) -> float:
        """The F1 score of all answers together (micro)."""
        return f1_scores(self.truth, self.answers)[0]

    @property
    def macro_f1(self) -> float:
        """The mean F1 score of the labels."""
        return f1_scores(self.truth, self.answers)[1]

    @property
    def exact(self) -> float:
        """The share of the images of which all labels are right."""
        return float((self.answers == self.truth.astype(bool)).all(axis=1).mean())

    @property
    def score(self) -> Score:
        """The mean average precision, the ranking's average precision and the F1 score."""
        return Score(self.images, self.loss, {
            MEAN_AVERAGE_PRECISION: self.mean_average_precision,
            "label_ranking_average_precision": self.label_ranking_average_precision,
            "f1": self.f1,
        })  # fmt: skip

    def worst(self, count: int) -> list[int]:
        """Return the numbers of at most `count` images with wrong answers, the most improbable truths first."""
        true = np.where(self.truth > 0, self.probabilities, 1 - self.probabilities)
        losses = -np.log(np.maximum(true, MIN_PROBABILITY)).sum(axis=1)
        wrong = (self.answers != self.truth.astype(bool)).any(axis=1)
        order = np.argsort(-losses, kind="stable")
        return [int(number) for number in order if wrong[number]][:count]

    @property
    def suspects(self) -> list[Suspect]:
        """The labels that contradict confident answers."""
        return suspects(self.probabilities, self.truth)

    def sections(self) -> list[Section]:
        """Return what a report says of the result, the most important first."""
        worst = self.worst(sections.MAX_EXAMPLES)
        return sections.sections(self.labels, self.answers, self.truth.astype(bool), worst, self.suspects)

    def to_data(self) -> dict[str, Any]:
        """Return everything for JSON; a label without images has no average precision."""
        return {
            "images": self.images, "loss": self.loss, "mean_average_precision": self.mean_average_precision,
            "label_ranking_average_precision": self.label_ranking_average_precision, "f1": self.f1,
            "macro_f1": self.macro_f1, "exact": self.exact, "labels": [each.to_data() for each in self.labels],
        }  # fmt: skip

    def __str__(self) -> str:
        return f"mean average precision {self.mean_average_precision:.3f}, F1 {self.f1:.3f} on {self.images:,} images"

"""The errors of a model on recordings with known transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.concurrency import lazy
from opsin.base.formatting import percent
from opsin.base.intervals import share_interval
from opsin.tasks.score import Score
from opsin.tasks.section import Section
from opsin.tasks.transcription import sections
from opsin.tasks.transcription.decoding import Labels
from opsin.tasks.transcription.edits import Edits, edits

WORD_ACCURACY, EXACT = "word_accuracy", "exact_sequences"


@dataclass(frozen=True)
class Results:
    """True and answered labels of some recordings, and the loss of each per frame; infinite if it has too few."""

    truth: tuple[Labels, ...]
    answers: tuple[Labels, ...]
    losses: NDArray[np.float64]

    @classmethod
    def concatenate(cls, parts: Sequence[Results]) -> Results:
        """Return the results of several sets of recordings as one."""
        return cls(
            tuple(labels for part in parts for labels in part.truth),
            tuple(labels for part in parts for labels in part.answers),
            np.concatenate([part.losses for part in parts]),
        )


@dataclass(frozen=True, eq=False)
class TranscriptionEvaluation:
    """The result of a model on recordings; label n is `names[n - 1]`."""

    names: tuple[str, ...]
    results: Results
    characters: bool = False

    @property
    def unit(self) -> str:
        """What the labels are: words or characters."""
        return "character" if self.characters else "word"

    @lazy
    def edits(self) -> tuple[Edits, ...]:
        """The errors in each recording."""
        return tuple(edits(*pair) for pair in zip(self.results.truth, self.results.answers, strict=True))

    @property
    def images(self) -> int:
        """The number of recordings."""
        return len(self.results.truth)

    @property
    def words(self) -> int:
        """The number of true labels."""
        return sum(map(len, self.results.truth))

    @property
    def errors(self) -> int:
        """The number of substitutions, deletions and insertions."""
        return sum(each.count for each in self.edits)

    @property
    def error_rate(self) -> float:
        """The errors for each true label: the word error rate. It exceeds 1 if many labels are inserted."""
        return self.errors / max(1, self.words)

    @property
    def exact(self) -> int:
        """The number of recordings without an error."""
        return sum(not each.count for each in self.edits)

    @property
    def exact_interval(self) -> tuple[float, float]:
        """The bounds of the share of recordings without an error, with 95% confidence (Wilson 1927)."""
        return share_interval(self.exact, self.images)

    @property
    def impossible(self) -> list[int]:
        """The numbers of recordings whose transcript has more labels than the network gives frames."""
        return np.flatnonzero(np.isposinf(self.results.losses)).tolist()

    @property
    def loss(self) -> float:
        """The mean loss per frame in nats, of transcripts that are possible."""
        losses = self.results.losses[~np.isposinf(self.results.losses)]
        return float(losses.mean()) if len(losses) else 0.0

    @property
    def score(self) -> Score:
        """1 minus the word error rate, and the share of recordings without an error."""
        metrics = {WORD_ACCURACY: 1 - self.error_rate, EXACT: self.exact / max(1, self.images)}
        return Score(self.images, self.loss, metrics)

    def worst(self, count: int) -> list[int]:
        """Return the numbers of at most `count` recordings with errors, the most errors first."""
        order = sorted(range(self.images), key=lambda number: -self.edits[number].count)
        return [number for number in order[:count] if self.edits[number].count]

    def sections(self) -> list[Section]:
        """Return what a report says of the result, the most important first."""
        return sections.sections(self)

    def to_data(self) -> dict[str, Any]:
        """Return everything for JSON."""
        kinds = {kind: sum(len(getattr(each, kind)) for each in self.edits) for kind in sections.KINDS}
        return {
            "images": self.images, "loss": self.loss, f"{self.unit}s": self.words, "error_rate": self.error_rate,
            **kinds, "exact": self.exact, "exact_interval": list(self.exact_interval), "impossible": self.impossible,
        }  # fmt: skip

    def __str__(self) -> str:
        return (
            f"{self.unit} error rate {percent(self.error_rate)} ({self.errors:,} errors in {self.words:,} "
            f"{self.unit}s), {self.exact:,} of {self.images:,} recordings without an error"
        )

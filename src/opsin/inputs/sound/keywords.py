"""Decide when a word was spoken, from the probabilities of overlapping windows."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from opsin.inputs.sound.findings import SILENT_LEVEL

SMOOTHED = 3
"""Windows over which probabilities are averaged (Chen, Parada & Heigold, "Small-footprint keyword spotting using deep
neural networks", 2014)."""

NO_WORDS = frozenset({"silence", "unknown", "noise", "background", "other", "none"})
"""Labels of what is no word, also with underscores around them, such as "_silence_"."""


class Keyword(NamedTuple):
    """A word, its averaged probability, and the end of the window in which it was recognised, in seconds."""

    word: str
    probability: float
    time: float


class Keywords:
    """Recognises a word when the average of its probability reaches `threshold`.

    The same word counts again when its average was below the threshold for `hold` seconds.
    """

    def __init__(self, labels: Sequence[str], threshold: float, hold: float) -> None:
        self._labels, self._threshold, self._hold = tuple(labels), threshold, hold
        self._is_word = np.array([is_word(label) for label in labels])
        self._recent: deque[NDArray[np.float64]] = deque(maxlen=SMOOTHED)
        self._last: dict[int, float] = {}

    def add(self, probabilities: NDArray[np.float64], time: float) -> Keyword | None:
        """Return the word that is recognised with this window; None if there is none, or the same one as before.

        `probabilities` are those of the labels, all zero for a silent window.
        """
        self._recent.append(np.where(self._is_word, probabilities, 0.0))
        average = np.sum(self._recent, axis=0) / SMOOTHED
        best = int(average.argmax())
        if average[best] < self._threshold:
            return None
        before, self._last[best] = self._last.get(best, -np.inf), time
        return None if time - before < self._hold else Keyword(self._labels[best], float(average[best]), time)


def is_word(label: str) -> bool:
    """Return whether a label is a word, and not silence or what belongs to no word."""
    return label.strip("_").lower() not in NO_WORDS


def is_silent(samples: NDArray[np.int16]) -> bool:
    """Return whether all samples are below -60 dB of full scale, around their mean."""
    return bool(np.abs(samples - samples.mean()).max() < SILENT_LEVEL * 32768)

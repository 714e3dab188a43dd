"""Hide random words of texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.inputs.text.tokens import PADDING, UNKNOWN


@dataclass(frozen=True)
class MaskedWords:
    """The share `share` of the words is replaced by the unknown word, so that no single one decides.

    It is also how the unknown word gets a vector: in training texts, every word is known (word dropout; Iyyer et al.,
    "Deep unordered composition rivals syntactic methods for text classification", 2015).
    """

    share: float

    mixes: ClassVar[bool] = False

    def __call__(self, samples: NDArray[Any], seed: int, epoch: int, first: int) -> NDArray[Any]:
        count = samples[0].size
        padded = -(-count // random_counter.WORDS_PER_COUNT) * random_counter.WORDS_PER_COUNT
        words = random_counter.words(len(samples) * padded, seed, random_counter.AUGMENT, epoch, first * padded)
        chosen = words.reshape(len(samples), padded)[:, :count] < np.uint64(self.share * 2.0**64)
        hidden = chosen.reshape(samples.shape) & (samples != PADDING)
        return np.where(hidden, np.asarray(UNKNOWN, samples.dtype), samples)

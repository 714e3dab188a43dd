"""Random changes of signals: noise, another scale, another place in time (Um et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter


@dataclass(frozen=True)
class ChangedSignals:
    """Each signal is scaled by 1 ± `scale`, moved by up to the share `shift` of its length, and gets noise.

    The noise has the share `noise` of the standard deviation of each channel, `std`. Moved signals repeat their first
    or last value. (Um et al., "Data augmentation of wearable sensor data for Parkinson's disease monitoring using
    convolutional neural networks", 2017.)
    """

    scale: float
    shift: float
    noise: float
    std: tuple[float, ...]

    mixes: ClassVar[bool] = False

    def __call__(self, samples: NDArray[Any], seed: int, epoch: int, first: int) -> NDArray[Any]:
        count, length = len(samples), samples.shape[-1]
        per_sample = random_counter.WORDS_PER_COUNT
        random = random_counter.uniform(count * per_sample, seed, random_counter.AUGMENT, epoch, first * per_sample)
        factor, move, seeds, _ = random.reshape(count, per_sample).T
        changed = np.empty_like(samples)
        moments = np.arange(length)
        spread = self.noise * np.array(self.std, np.float32)[:, None, None]
        for row, sample in enumerate(samples):
            places = np.clip(moments - round(float(move[row]) * self.shift * length), 0, length - 1)
            noise = np.random.Generator(np.random.Philox(key=[int(abs(seeds[row]) * 2**52), seed % 2**64]))
            values = noise.random(sample.shape, np.float32) * 2 - 1  # uniform: its bits are guaranteed
            changed[row] = sample[..., places] * (1 + self.scale * factor[row]) + spread * values
        return changed

"""Windows of the length that a model takes, cut from sound that arrives in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from opsin.inputs.sound.decode import to_int16
from opsin.inputs.sound.resample import resample
from opsin.inputs.sound.sound import Sound


class Window(NamedTuple):
    """The samples int16 of a window, at the rate of the stream, and its end in seconds from the beginning."""

    samples: NDArray[np.int16]
    end: float


class Windows:
    """Cuts one channel at `rate` Hz into windows for a model of `sound`: one every `step` seconds, once it is full.

    It holds one window and one block, however long the stream is.
    """

    def __init__(self, sound: Sound, rate: int, step: float) -> None:
        self.rate = rate
        self._sound, self._step = sound, step
        self._span = ceil(sound.length * rate / sound.rate)
        self._recent = np.zeros(0, np.int16)
        self._total = self._count = self._last_end = 0

    @property
    def seconds(self) -> float:
        """The time that has arrived."""
        return self._total / self.rate

    def push(self, samples: NDArray[np.int16]) -> Iterator[Window]:
        """Yield the windows that are complete with these samples int16."""
        recent = np.concatenate((self._recent, samples))
        self._total += len(samples)
        self._recent = recent[-self._span :].copy()
        first = self._total - len(recent)
        while (end := self._span + round(self._count * self._step * self.rate)) <= self._total:
            self._count, self._last_end = self._count + 1, end
            yield Window(recent[end - self._span - first : end - first], end / self.rate)

    def last(self) -> Iterator[Window]:
        """Yield the window that ends with the stream, if it has samples that no other one has."""
        if self._total > self._last_end:
            self._last_end = self._total
            yield Window(self._recent, self.seconds)

    def sample(self, window: Window) -> NDArray[np.int16]:
        """Return what the model takes for a window, 1 × 1 × L; silence follows one that is shorter."""
        sound, samples = self._sound, window.samples
        if self.rate != sound.rate:
            samples = to_int16(resample(samples.astype(np.float32) * np.float32(2.0**-15), self.rate, sound.rate))
        samples = samples[: sound.length]
        return np.pad(samples, (0, sound.length - len(samples))).reshape(sound.shape)

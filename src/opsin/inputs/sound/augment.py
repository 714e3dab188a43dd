"""Random changes of recordings: speed, a shift in time, gain and noise. They depend on seed, epoch and place alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.inputs.sound.decode import to_int16
from opsin.inputs.sound.resample import resample

SPEEDS = (8, 9, 10, 11, 12)
"""Tenths of the speed (Ko, Peddinti, Povey & Khudanpur, "Audio augmentation for speech recognition", 2015). The range
is wider than theirs: pitch and formants move with the speed, which stands for speakers that the training lacks."""

NOISE_RANGE = 60.0
"""Decibels from the loudest noise to the softest. At that end there is none, as after the end of short recordings: a
network that never saw silence without noise would take it for something else."""

CHOICES = 8
"""Random words for a recording, besides those of its noise."""


@dataclass(frozen=True)
class RandomSound:
    """Shift by up to `shift` of the length, change the gain by up to `gain` dB, and add noise.

    The noise, white or pink by turns, is `noise` to `noise` + `NOISE_RANGE` dB below the loudest sample. With `speed`,
    one of `SPEEDS` is chosen; it changes the pitch, too.
    """

    shift: float = 0.1
    gain: float = 6.0
    noise: float = 20.0
    speed: bool = False

    mixes: ClassVar[bool] = False

    def __call__(self, samples: NDArray[Any], seed: int, epoch: int, first: int) -> NDArray[Any]:
        """Return changed samples int16 N × 1 × 1 × L; see `Augmentation`."""
        length = samples.shape[-1]
        count = CHOICES + -(-length // random_counter.WORDS_PER_COUNT) * random_counter.WORDS_PER_COUNT
        words = random_counter.words(len(samples) * count, seed, random_counter.AUGMENT, epoch, first * count)
        rows = zip(samples.reshape(-1, length), words.reshape(-1, count), strict=True)
        changed = [self._changed(np.asarray(sound, np.float32) / np.float32(32768), row, length) for sound, row in rows]
        return to_int16(np.stack(changed)).reshape(samples.shape)

    def _changed(self, sound: NDArray[np.float32], words: NDArray[np.uint64], length: int) -> NDArray[np.float32]:
        shares = (words[:CHOICES] >> np.uint64(11)).astype(np.float64) * 2.0**-53
        if self.speed:
            sound = _at_speed(sound, SPEEDS[int(shares[0] * len(SPEEDS))], length)
        sound = _shifted(sound, round((2 * shares[1] - 1) * self.shift * length))
        level = 10 ** (-(self.noise + NOISE_RANGE * shares[3]) / 20) * float(np.abs(sound).max())
        noise = _noise(words[CHOICES:][:length], pink=shares[4] < 0.5)
        return np.asarray((sound + level * noise) * 10 ** ((2 * shares[2] - 1) * self.gain / 20), np.float32)


def _at_speed(sound: NDArray[np.float32], tenths: int, length: int) -> NDArray[np.float32]:
    """Return the sound at another speed, with zeros after its end if that is faster."""
    result = resample(sound, 1000 * tenths, 10_000)[:length]
    return np.pad(result, (0, length - len(result)))


def _shifted(sound: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """Return the sound `steps` samples later; what leaves at one end is lost, and zeros enter at the other."""
    result = np.zeros_like(sound)
    if steps >= 0:
        result[steps:] = sound[: len(sound) - steps]
    else:
        result[:steps] = sound[-steps:]
    return result


def _noise(words: NDArray[np.uint64], pink: bool) -> NDArray[np.float64]:
    """Return noise of the standard deviation 1: sums of four uniform numbers, whose power pink noise divides by the
    frequency.
    """
    parts = [(words >> np.uint64(shift) & np.uint64(0xFFFF)).astype(np.float64) for shift in (0, 16, 32, 48)]
    white = (sum(parts[1:], parts[0]) / 2**16 - 2) * np.sqrt(3)
    if not pink:
        return np.asarray(white)
    spectrum = np.fft.rfft(white)
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), len(white))
    return np.asarray(noise / max(float(noise.std()), 1e-12))

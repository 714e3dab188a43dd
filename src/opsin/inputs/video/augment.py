"""Random changes of clips: the same part, mirroring and brightness for all frames of a clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opsin.base import random_counter

CHOICES = 8
"""Random numbers for a clip."""


@dataclass(frozen=True)
class ChangedClips:
    """Mirror every other clip, show at least the share `part` of each side of its frames, and change the contrast.

    Values are multiplied by 1 ± `contrast`, and up to 255 · `contrast` is added. All frames of a clip change in the
    same way, so that its motion stays what it is (Simonyan & Zisserman, "Two-stream convolutional networks for action
    recognition in videos", 2014).
    """

    side: int
    part: float
    contrast: float

    mixes: ClassVar[bool] = False

    def __call__(self, samples: NDArray[Any], seed: int, epoch: int, first: int) -> NDArray[Any]:
        """Return changed samples uint8 N × 3 × (T·side) × side; see `Augmentation`."""
        count = len(samples)
        random = random_counter.uniform(count * CHOICES, seed, random_counter.AUGMENT, epoch, first * CHOICES)
        rows = (random.reshape(count, CHOICES) + 1) / 2
        return np.stack([self._changed(sample, row) for sample, row in zip(samples, rows, strict=True)])

    def _changed(self, sample: NDArray[np.uint8], random: NDArray[np.float64]) -> NDArray[np.uint8]:
        side, (mirror, size, top, left, gain, level) = self.side, random[:6].tolist()
        length = side * (self.part + (1 - self.part) * size)
        box = (left * (side - length), top * (side - length))
        frames = np.ascontiguousarray(sample.reshape(3, -1, side, side).transpose(1, 2, 3, 0))
        area = (*box, box[0] + length, box[1] + length)
        parts = [
            np.asarray(Image.fromarray(frame).resize((side, side), Image.Resampling.BILINEAR, area)) for frame in frames
        ]
        values = np.stack(parts).astype(np.float32)
        values = (values - 127.5) * (1 + self.contrast * (2 * gain - 1)) + 127.5 + 255 * self.contrast * (level - 0.5)
        values = values[:, :, ::-1] if mirror < 0.5 else values
        changed = np.clip(np.rint(values), 0, 255).astype(np.uint8)
        return np.ascontiguousarray(changed.transpose(3, 0, 1, 2)).reshape(sample.shape)

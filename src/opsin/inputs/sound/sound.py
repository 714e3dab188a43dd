"""`Sound`: the kind of input that consists of recordings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.inputs.kind import Augmentation, FileKind, Files, Shape, Unchanged
from opsin.inputs.occlusion import figure_html, hidden_stretches, strip
from opsin.inputs.options import checked_options, number_in, whole_in
from opsin.inputs.registry import ENDINGS, NOUNS, SOUND
from opsin.inputs.sound.augment import RandomSound
from opsin.inputs.sound.decode import decode, sound_info, to_int16
from opsin.inputs.sound.front_end import front_end
from opsin.inputs.sound.render import player, render_sound
from opsin.inputs.sound.whole import whole_seconds
from opsin.nn import Layer
from opsin.tasks.task import Defaults

MAX_RATE = 16_000
"""Samples per second of recordings with more: speech and most sounds are told apart by what is below 8 kHz."""

MIN_RATE = 1_000
MAX_SECONDS, MIN_SECONDS = 4.0, 0.1
"""The limits of the length that follows from the files."""

LENGTH_SHARE = 0.98
"""The share of the training recordings that are not cut."""

LARGEST_RATE, LONGEST = 192_000, 600
"""The limits of options, in Hz and in seconds."""

OPTIONS = {"rate": whole_in(MIN_RATE, LARGEST_RATE, "Hz"), "seconds": number_in(0.02, LONGEST, "seconds")}

LEVELS = {
    "light": RandomSound(shift=0.2, gain=9.0, speed=True),
    "strong": RandomSound(shift=0.3, gain=12.0, noise=10.0, speed=True),
}

SAMPLED_FILES = 512
"""Training files whose headers are read to choose rate and length."""


@dataclass(frozen=True)
class Sound(FileKind):
    """Recordings of `length` samples, `rate` per second: int16 1 × 1 × length.

    Longer recordings are cut at the end, and silence follows the end of shorter ones.
    """

    rate: int
    length: int

    kind: ClassVar[str] = SOUND
    nouns: ClassVar[tuple[str, str]] = NOUNS[SOUND]
    endings: ClassVar[tuple[str, ...]] = ENDINGS[SOUND]
    dtype: ClassVar[Any] = np.int16

    @property
    def shape(self) -> Shape:
        return 1, 1, self.length

    @property
    def seconds(self) -> float:
        """The time of a sample."""
        return self.length / self.rate

    @classmethod
    def fitted(cls, files: Files) -> Self:
        """Return the most frequent rate of the files, at most 16 kHz, and the length of all but the longest of them.

        The options are "rate" in Hz and "seconds".
        """
        options = checked_options(files.options, OPTIONS, cls.nouns[1])
        headers = files.readable(sound_info, cls.nouns[1], SAMPLED_FILES)
        rate = options.get("rate") or min(MAX_RATE, Counter(header.rate for header in headers).most_common(1)[0][0])
        seconds = sorted(header.seconds for header in headers)
        usual = seconds[min(len(seconds) - 1, int(LENGTH_SHARE * len(seconds)))]
        return cls(rate, ceil(rate * (options.get("seconds") or max(MIN_SECONDS, min(MAX_SECONDS, usual)))))

    @classmethod
    def whole_options(cls, files: Files) -> Mapping[str, Any]:
        seconds = whole_seconds(files)
        return {} if seconds is None else {"seconds": seconds}

    def describe(self) -> str:
        return f"{self.seconds:.2f} s from the beginning of each, at {self.rate:,} Hz, one channel"

    def read_with_remark(self, source: bytes | Path, name: str) -> tuple[NDArray[Any], str]:
        decoded = decode(source, name, self.rate, self.length)
        return decoded.samples, ", ".join(finding.text for finding in decoded.findings)

    def from_array(self, array: NDArray[Any]) -> NDArray[Any] | None:
        """Return the sample of an array of one channel at the model's rate, of any length.

        Its numbers are int16, or real ones of full scale 1.
        """
        is_real = array.dtype.kind == "f"
        if array.ndim != 1 or not (is_real or array.dtype == np.int16) or not np.isfinite(array).all():
            return None
        cut = (to_int16(array) if is_real else array)[: self.length]
        return np.pad(cut, (0, self.length - len(cut))).reshape(self.shape)

    def apply(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        """Return samples of full scale 1."""
        return samples.astype(np.float32) * np.float32(2.0**-15)

    def front_end(self, input_shape: Shape) -> Layer | None:
        """Return the spectra that a network of this input shape takes; None for one that takes the samples."""
        return front_end(self.rate, input_shape)

    def augmentation(self, level: str) -> Augmentation:
        return Unchanged() if level == "none" else LEVELS[level]

    def random(self, bits: NDArray[np.uint64]) -> NDArray[Any]:
        return (bits >> np.uint64(48)).astype(np.uint16).view(np.int16).reshape(-1, *self.shape)

    def render(self, sample: NDArray[Any]) -> NDArray[np.uint8]:
        return render_sound(sample, self.rate)

    def occluded(self, sample: NDArray[Any]) -> NDArray[Any]:
        """Return copies in each of which one stretch of time is silent."""
        return hidden_stretches(sample, 0)

    def html(self, sample: NDArray[Any], importance: NDArray[np.float64] | None) -> str:
        """Return the spectrogram with a player, if the importance of moments is known."""
        if importance is None:
            return ""
        return figure_html(self.render(sample)) + strip(importance) + player(sample, self.rate)

    @classmethod
    def network(cls, count: int) -> str:
        return "sound_cnn"

    @classmethod
    def defaults(cls, network: str, count: int) -> Defaults:
        return Defaults(
            network=network, side=0, pretrained=False, fallback=network, batch=64, learning_rate=0.004,
            weight_decay=0.05, augment="light", ema=0.98, max_epochs=40, reason="a small network for spectra",
        )  # fmt: skip

    def to_data(self) -> dict[str, Any]:
        return {"kind": self.kind, "rate": self.rate, "length": self.length}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the kind that `to_data` described. Raise `DataError` for anything else."""
        try:
            rate, length = int(data["rate"]), int(data["length"])
        except (KeyError, TypeError, ValueError):
            raise DataError("its recordings are not described completely") from None
        if not MIN_RATE <= rate <= 2**20 or not 0 < length <= LARGEST_RATE * LONGEST:
            raise DataError("the description of its recordings makes no sense")
        return cls(rate, length)

"""`Signal`: the kind of input that consists of measurements over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.inputs.kind import Augmentation, FileKind, Files, Shape, Unchanged, file_content
from opsin.inputs.occlusion import figure_html, hidden_stretches, strip
from opsin.inputs.options import checked_options, whole_in
from opsin.inputs.registry import ENDINGS, NOUNS, SIGNAL
from opsin.inputs.signal.augment import ChangedSignals
from opsin.inputs.signal.files import read_signal
from opsin.inputs.signal.render import render_signal
from opsin.nn import Layer
from opsin.tasks.task import Defaults

MAX_LENGTH, MIN_LENGTH = 2**14, 8
OPTIONS = {"length": whole_in(MIN_LENGTH, 2**20, "moments")}
LENGTH_SHARE = 0.98
"""The share of the training signals that are not cut."""

LIMIT = 10.0
"""Random signals lie within so many standard deviations."""


@dataclass(frozen=True)
class Signal(FileKind):
    """Signals of `channels` values at each of `length` moments: float32 channels × 1 × length.

    `mean` and `std` are those of each channel in training. Longer signals are cut at the end, and shorter ones are
    filled up with the mean.
    """

    channels: int
    length: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    kind: ClassVar[str] = SIGNAL
    nouns: ClassVar[tuple[str, str]] = NOUNS[SIGNAL]
    endings: ClassVar[tuple[str, ...]] = ENDINGS[SIGNAL]
    dtype: ClassVar[Any] = np.float32

    @property
    def shape(self) -> Shape:
        return self.channels, 1, self.length

    @classmethod
    def fitted(cls, files: Files) -> Self:
        """Return the kind with the most frequent number of channels, the usual length, and the channels' statistics.

        The option is the "length" in moments.
        """
        options = checked_options(files.options, OPTIONS, cls.nouns[1])
        signals = files.readable(lambda data, name: read_signal(data, name)[0], cls.nouns[1])
        channels = Counter(len(signal) for signal in signals).most_common(1)[0][0]
        usable = [signal for signal in signals if len(signal) == channels]
        lengths = sorted(signal.shape[1] for signal in usable)
        usual = lengths[min(len(lengths) - 1, int(LENGTH_SHARE * len(lengths)))]
        values = np.concatenate(usable, axis=1).astype(np.float64)
        mean, std = values.mean(axis=1), np.maximum(values.std(axis=1), 1e-6)
        length = options.get("length") or max(MIN_LENGTH, min(MAX_LENGTH, usual))
        return cls(channels, length, tuple(map(_rounded, mean)), tuple(map(_rounded, std)))

    def describe(self) -> str:
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        return f"{channels}, {self.length:,} moments from the beginning of each"

    def read_with_remark(self, source: bytes | Path, name: str) -> tuple[NDArray[Any], str]:
        values, remark = read_signal(file_content(source, name), name)
        if len(values) != self.channels:
            raise DataError(f"{name}: it has {len(values)} channels, and the others {self.channels}")
        return self._sized(values), remark

    def _sized(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return channels × moments as a sample."""
        sample = np.repeat(np.array(self.mean, np.float32)[:, None], self.length, axis=1)
        count = min(self.length, values.shape[1])
        sample[:, :count] = values[:, :count]
        return sample[:, None]

    def from_array(self, array: NDArray[Any]) -> NDArray[Any] | None:
        """Return the sample of an array channels × moments or moments × channels."""
        if array.ndim not in (1, 2) or array.dtype.kind not in "iuf":
            return None
        values = np.atleast_2d(array)
        values = values if len(values) == self.channels else values.T
        return self._sized(values) if len(values) == self.channels and np.isfinite(values).all() else None

    def apply(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        """Return each channel with mean 0 and standard deviation 1."""
        mean, std = (np.array(values, np.float32)[:, None, None] for values in (self.mean, self.std))
        return np.asarray((samples - mean) / std, np.float32)

    def front_end(self, input_shape: Shape) -> Layer | None:
        return None

    def augmentation(self, level: str) -> Augmentation:
        if level == "none":
            return Unchanged()
        strength = 2.0 if level == "strong" else 1.0
        return ChangedSignals(0.1 * strength, 0.05 * strength, 0.05 * strength, self.std)

    def random(self, bits: NDArray[np.uint64]) -> NDArray[Any]:
        shares = (bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - 1
        std = np.array(self.std, np.float32)[:, None, None]
        return np.asarray(LIMIT * std * shares.reshape(-1, *self.shape), np.float32)

    def render(self, sample: NDArray[Any]) -> NDArray[np.uint8]:
        return render_signal(sample)

    def occluded(self, sample: NDArray[Any]) -> NDArray[Any]:
        """Return copies in each of which one stretch of time has the channels' means."""
        return hidden_stretches(sample, np.array(self.mean, np.float32)[:, None, None])

    def html(self, sample: NDArray[Any], importance: NDArray[np.float64] | None) -> str:
        return "" if importance is None else figure_html(self.render(sample)) + strip(importance)

    @classmethod
    def network(cls, count: int) -> str:
        return "resnet1d"

    @classmethod
    def defaults(cls, network: str, count: int) -> Defaults:
        return Defaults(
            network=network, side=0, pretrained=False, fallback=network, batch=32, learning_rate=0.002,
            weight_decay=0.05, augment="light", ema=0.98, max_epochs=60, reason="residual blocks for signals",
        )  # fmt: skip

    def to_data(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "channels": self.channels, "length": self.length, "mean": list(self.mean),
            "std": list(self.std),
        }  # fmt: skip

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the kind that `to_data` described. Raise `DataError` for anything else."""
        try:
            channels, length = int(data["channels"]), int(data["length"])
            mean, std = (tuple(float(value) for value in data[key]) for key in ("mean", "std"))
        except (KeyError, TypeError, ValueError):
            raise DataError("its signals are not described completely") from None
        is_valid = 0 < channels == len(mean) == len(std) and 0 < length <= 2**24
        if not is_valid or not np.isfinite([*mean, *std]).all() or min(std) <= 0:
            raise DataError("the description of its signals makes no sense")
        return cls(channels, length, mean, std)


def _rounded(value: float) -> float:
    """Return a number with seven digits, which float32 keeps."""
    return float(f"{value:.7g}")

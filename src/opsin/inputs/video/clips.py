"""`Clips`: the kind of input that consists of clips of video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.inputs.kind import Augmentation, FileKind, Files, Shape, Unchanged, file_content
from opsin.inputs.occlusion import figure_html, strip
from opsin.inputs.options import checked_options, number_in, whole_in
from opsin.inputs.registry import ENDINGS, NOUNS, VIDEO
from opsin.inputs.video.augment import ChangedClips
from opsin.inputs.video.decode import clip_info, frames_at
from opsin.inputs.video.render import render_clip
from opsin.nn import Layer
from opsin.tasks.task import Defaults

COUNT, SIDE = 16, 128
"""Frames of a clip, and their height and width in pixels."""

MIN_SECONDS, MAX_SECONDS = 0.5, 8.0
"""The limits of the length that follows from the files."""

OPTIONS = {
    "frames": whole_in(1, 64, "frames"), "side": whole_in(32, 256, "pixels"),
    "seconds": number_in(0.05, 600, "seconds"),
}  # fmt: skip

SAMPLED_FILES = 256
"""Training files whose times are read to choose the length."""

MEAN, DEVIATION = 127.0, 128.0
"""What pixels are normalized by: that of EfficientNet-Lite's published weights."""

STILL = 0.5
"""The mean difference between neighbouring frames, of 255, below which nothing moves."""


@dataclass(frozen=True)
class Clips(FileKind):
    """`count` frames at even intervals of the `seconds` in the middle of each clip: uint8 3 × (count · side) × side.

    A frame is `side` × `side` pixels, and the next one follows below it. The interval is the same for all clips,
    whatever their frames per second: the speed of what moves counts. The first and the last frame of a shorter clip
    stand still.
    """

    count: int
    side: int
    seconds: float

    kind: ClassVar[str] = VIDEO
    nouns: ClassVar[tuple[str, str]] = NOUNS[VIDEO]
    endings: ClassVar[tuple[str, ...]] = ENDINGS[VIDEO]
    dtype: ClassVar[Any] = np.uint8

    @property
    def shape(self) -> Shape:
        return 3, self.count * self.side, self.side

    @classmethod
    def fitted(cls, files: Files) -> Self:
        """Return the kind with the median length of the clips, 0.5 to 8 seconds.

        The options are "frames", "side" in pixels, and "seconds".
        """
        options = checked_options(files.options, OPTIONS, cls.nouns[1])
        lengths = files.readable(lambda data, name: clip_info(data, name).seconds, cls.nouns[1], SAMPLED_FILES)
        usual = float(f"{np.median(lengths):.3g}")
        seconds = options.get("seconds") or max(MIN_SECONDS, min(MAX_SECONDS, usual))
        return cls(options.get("frames") or COUNT, options.get("side") or SIDE, seconds)

    def describe(self) -> str:
        frames = "1 frame" if self.count == 1 else f"{self.count} frames"
        return f"{frames} of {self.side} × {self.side} from the {self.seconds:g} s in the middle of each"

    def read_with_remark(self, source: bytes | Path, name: str) -> tuple[NDArray[Any], str]:
        data = file_content(source, name)
        info = clip_info(data, name)
        if info.is_cut:
            raise DataError(f"{name}: it is cut short: it has {len(info.times):,} of {info.declared:,} frames")
        frames = frames_at(data, name, info, self._times(info.seconds), self.side)
        return self._sample(frames), self._remark(frames, len(info.times))

    def _times(self, length: float) -> NDArray[np.float64]:
        """Return the times of the frames of a clip of this length, each in the middle of its interval."""
        shares = (np.arange(self.count) + 0.5) / self.count - 0.5
        return np.clip(length / 2 + self.seconds * shares, 0.0, length)

    def _remark(self, frames: NDArray[np.uint8], available: int) -> str:
        if available == 1 and self.count > 1:
            return "it has a single frame"
        if self.count > 1 and np.abs(np.diff(frames.astype(np.int16), axis=0)).mean() < STILL:
            return "nothing moves"
        return ""

    def _sample(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return frames T × S × S × 3 as a sample."""
        return np.ascontiguousarray(frames.transpose(3, 0, 1, 2)).reshape(self.shape)

    def _frames(self, sample: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a sample as frames T × S × S × 3."""
        return np.ascontiguousarray(sample.reshape(3, self.count, self.side, self.side).transpose(1, 2, 3, 0))

    def from_array(self, array: NDArray[Any]) -> NDArray[Any] | None:
        """Return the sample of an array of frames, uint8 T × S × S × 3."""
        is_clip = array.dtype == np.uint8 and array.shape == (self.count, self.side, self.side, 3)
        return self._sample(array) if is_clip else None

    def apply(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        """Return pixels of about -1 to 1."""
        return (samples.astype(np.float32) - np.float32(MEAN)) * np.float32(1 / DEVIATION)

    def front_end(self, input_shape: Shape) -> Layer | None:
        return None

    def augmentation(self, level: str) -> Augmentation:
        if level == "none":
            return Unchanged()
        return ChangedClips(self.side, 0.6, 0.2) if level == "strong" else ChangedClips(self.side, 0.8, 0.1)

    def random(self, bits: NDArray[np.uint64]) -> NDArray[Any]:
        return (bits >> np.uint64(56)).astype(np.uint8).reshape(-1, *self.shape)

    def render(self, sample: NDArray[Any]) -> NDArray[np.uint8]:
        return render_clip(self._frames(sample))

    def occluded(self, sample: NDArray[Any]) -> NDArray[Any]:
        """Return copies in each of which one frame is grey."""
        copies = np.repeat(sample[None], self.count, axis=0)
        for number, copy in enumerate(copies):
            copy[:, number * self.side : (number + 1) * self.side] = round(MEAN)
        return copies

    def html(self, sample: NDArray[Any], importance: NDArray[np.float64] | None) -> str:
        """Return the key frames above the importance of each moment."""
        return "" if importance is None else figure_html(self.render(sample)) + strip(importance)

    @classmethod
    def network(cls, count: int) -> str:
        return "tcn_efficientnet_lite0"

    @classmethod
    def defaults(cls, network: str, count: int) -> Defaults:
        is_transfer = network == cls.network(count)
        return Defaults(
            network=network, side=0, pretrained=is_transfer, fallback="r2plus1d", batch=16 if is_transfer else 8,
            learning_rate=0.002, weight_decay=0.05, augment="none" if is_transfer else "light", ema=0.98, max_epochs=40,
            freeze=is_transfer, reason="what published weights see in each frame, compared over time" if is_transfer
            else "convolutions over space and time",
        )  # fmt: skip

    def to_data(self) -> dict[str, Any]:
        return {"kind": self.kind, "count": self.count, "side": self.side, "seconds": self.seconds}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the kind that `to_data` described. Raise `DataError` for anything else."""
        try:
            count, side, seconds = int(data["count"]), int(data["side"]), float(data["seconds"])
        except (KeyError, TypeError, ValueError, OverflowError):
            raise DataError("its clips are not described completely") from None
        if not (0 < count <= 2**10 and 0 < side <= 2**11 and 0 < seconds <= 2**20):
            raise DataError("the description of its clips makes no sense")
        return cls(count, side, seconds)

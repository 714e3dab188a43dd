"""`ColumnImage`: a column of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.base.errors import DataError, OpsinError
from opsin.data.dataset import LabeledImages
from opsin.data.decode import Stretch, decode_image, read_header
from opsin.data.preprocessing import Preprocessing
from opsin.inputs.kind import Augmentation, Files, Shape, Unchanged
from opsin.inputs.registry import IMAGE
from opsin.nn import Layer

MAX_SIDE = 64
"""The default limit of an image's side; --size asks for another one."""

MIN_SIDE = 8
SAMPLES = 512
"""Images from which size, mean and standard deviation are computed."""

SHIFTS = {"light": 1 / 16, "strong": 1 / 8}
"""The farthest shift in each direction, as a share of the side."""


@dataclass(frozen=True)
class ShiftedImages:
    """Images are shifted by up to `share` of their side; the border is repeated.

    They are not mirrored: a text may say what is to the left.
    """

    share: float
    mixes: ClassVar[bool] = False

    def __call__(self, samples: NDArray[Any], seed: int, epoch: int, first: int) -> NDArray[Any]:
        height, width = samples.shape[2:]
        step = random_counter.WORDS_PER_COUNT
        draws = random_counter.uniform(len(samples) * step, seed, random_counter.AUGMENT, epoch, first * step)
        limits = np.array([self.share * height, self.share * width])
        shifts = np.rint(draws.reshape(-1, step)[:, :2] * limits).astype(np.intp)
        rows = np.clip(np.arange(height) + shifts[:, :1], 0, height - 1)
        columns = np.clip(np.arange(width) + shifts[:, 1:], 0, width - 1)
        result = np.empty_like(samples)
        for place, sample in enumerate(samples):
            result[place] = sample[:, rows[place][:, None], columns[place]]
        return result


@dataclass(frozen=True)
class ColumnImage:
    """Images of one size: uint8 channels × height × width, stretched, so that no part is lost."""

    preprocessing: Preprocessing

    kind: ClassVar[str] = IMAGE
    dtype: ClassVar[Any] = np.uint8

    @property
    def shape(self) -> Shape:
        return self.preprocessing.shape

    @classmethod
    def fitted(cls, files: Files) -> Self:
        """Return the kind with the usual size of the images, and the mean and standard deviation of each channel."""
        count = len(files.names)
        places = np.unique(np.linspace(0, count - 1, min(SAMPLES, count)).astype(int)).tolist()
        contents, headers = [], []
        for place in places:
            try:
                data = files.read(place)
                headers.append(read_header(data, files.names[place]))
                contents.append(data)
            except (OpsinError, OSError):
                continue
        if not headers:
            raise DataError("none of its images can be read")
        shape = _shape(headers, files.options.get("size"))
        pixels = []
        for data in contents:
            try:
                pixels.append(decode_image(data, "", shape, Stretch()).pixels)
            except OpsinError:
                continue
        if not pixels:
            raise DataError("none of its images can be read")
        images = LabeledImages(np.stack(pixels), np.zeros(len(pixels), np.int32), ("",))
        of = Preprocessing.of(images)
        return cls(Preprocessing(*shape, of.mean, of.std, crop=Stretch()))

    def describe(self) -> str:
        channels, height, width = self.shape
        return f"{height} × {width}, {'grey' if channels == 1 else 'colour'}"

    def read_with_remark(self, source: bytes | Path, name: str) -> tuple[NDArray[Any], str]:
        """Decode an image, uint8 C × H × W; raise `DataError` if it is none."""
        return self.preprocessing.read(source, name), ""

    def apply(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        return self.preprocessing.apply(samples)

    def front_end(self, input_shape: Shape) -> Layer | None:
        return None

    def augmentation(self, level: str) -> Augmentation:
        return ShiftedImages(SHIFTS[level]) if level in SHIFTS else Unchanged()

    def random(self, bits: NDArray[np.uint64]) -> NDArray[Any]:
        return (bits >> np.uint64(56)).astype(np.uint8).reshape(-1, *self.shape)

    def to_data(self) -> dict[str, Any]:
        return {"kind": self.kind, "preprocessing": self.preprocessing.to_data()}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the kind that `to_data` described. Raise `DataError` for anything else."""
        described = data.get("preprocessing")
        if not isinstance(described, Mapping) or "kind" in described:
            raise DataError("its images are not described completely")
        return cls(Preprocessing.from_data(described))


def _shape(headers: list[Any], size: int | None) -> Shape:
    """Return the shape for images with these headers: squares of `size`, or of the usual side, at most `MAX_SIDE`."""
    channels = 1 if all(header.grey for header in headers) else 3
    sides = {(header.height, header.width) for header in headers}
    if size is None and len(sides) == 1 and max(next(iter(sides))) <= MAX_SIDE and min(next(iter(sides))) >= MIN_SIDE:
        return (channels, *next(iter(sides)))
    side = size or int(np.median([min(header.height, header.width) for header in headers]))
    side = side if size else max(MIN_SIDE, min(MAX_SIDE, side))
    return channels, side, side

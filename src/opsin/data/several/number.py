"""`Number`: a column of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.inputs.kind import Augmentation, Files, Shape, Unchanged
from opsin.inputs.registry import NUMBER
from opsin.nn import Layer
from opsin.tasks.text import decode, number

LIMIT = 4.0
"""Numbers are cut at this many standard deviations from the mean, so that a typing error does not become a giant."""


@dataclass(frozen=True)
class Number:
    """One number: float32 1 × 1 × 1. `mean` and `std` are those of the training rows."""

    mean: float
    std: float

    kind: ClassVar[str] = NUMBER
    dtype: ClassVar[Any] = np.float32
    shape: ClassVar[Shape] = (1, 1, 1)

    @classmethod
    def fitted(cls, files: Files) -> Self:
        """Return the kind with the mean and the standard deviation of the numbers in these cells."""
        values = np.array([number(decode(files.read(place))) for place in range(len(files.names))])
        values = values[np.isfinite(values)]
        if not len(values):
            raise DataError("none of its cells is a number")
        return cls(float(f"{values.mean():.7g}"), float(f"{max(values.std(), 1e-6):.7g}"))

    def describe(self) -> str:
        return "a number"

    def read_with_remark(self, source: bytes | Path, name: str) -> tuple[NDArray[Any], str]:
        """Return the number that a text is; raise `DataError` if it is none."""
        text = source.decode("utf-8", "replace") if isinstance(source, bytes) else str(source)
        value = number(text)
        if not np.isfinite(value):
            raise DataError(f"{name}: '{text[:40]}' is no number")
        return np.full(self.shape, value, np.float32), ""

    def from_value(self, value: Any, name: str) -> NDArray[Any] | None:
        """Return the sample of a number, or of a text that is one."""
        if isinstance(value, str | bytes):
            return self.read_with_remark(value.encode() if isinstance(value, str) else value, name)[0]
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            return None
        return np.full(self.shape, value, np.float32) if np.isfinite(value) else None

    def apply(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        """Return numbers with mean 0 and standard deviation 1, at most `LIMIT` in size."""
        scaled = (samples.astype(np.float64) - self.mean) / self.std
        return np.asarray(np.clip(scaled, -LIMIT, LIMIT), np.float32)

    def front_end(self, input_shape: Shape) -> Layer | None:
        return None

    def augmentation(self, level: str) -> Augmentation:
        return Unchanged()

    def random(self, bits: NDArray[np.uint64]) -> NDArray[Any]:
        shares = (bits >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1
        return np.asarray(self.mean + 2 * self.std * shares.reshape(-1, 1, 1, 1), np.float32)

    def text(self, sample: NDArray[Any]) -> str:
        """Return the number as a text."""
        return f"{float(sample.reshape(-1)[0]):g}"

    def to_data(self) -> dict[str, Any]:
        return {"kind": self.kind, "mean": self.mean, "std": self.std}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the kind that `to_data` described. Raise `DataError` for anything else."""
        try:
            mean, std = float(data["mean"]), float(data["std"])
        except (KeyError, TypeError, ValueError):
            raise DataError("its numbers are not described completely") from None
        if not np.isfinite([mean, std]).all() or std <= 0:
            raise DataError("the description of its numbers makes no sense")
        return cls(mean, std)

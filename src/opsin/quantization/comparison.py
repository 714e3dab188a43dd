"""What 8-bit integers cost: a model's answers compared with those in float32, image by image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.tasks.score import readable

MAX_DROP = 1.0
"""The largest drop in percentage points at which a model predicts in int8 unless told otherwise."""
CONFIDENCE = 1.96
"""Standard deviations on each side of an interval of 95%."""


@dataclass(frozen=True)
class Comparison:
    """`images` answered in both precisions: `same` have the same answer.

    `lost` are right in float32 only, `won` in int8 only; None without labels. `metric` is the name of the task's main
    score, `exact` and `quantized` its values, for tasks that have no answer of one label.
    """

    images: int
    same: int
    lost: int | None = None
    won: int | None = None
    metric: str = ""
    exact: float | None = None
    quantized: float | None = None

    @property
    def drop(self) -> float | None:
        """The loss of the main score in percentage points; negative if int8 is better. None without labels."""
        if self.lost is not None and self.won is not None:
            return 100 * (self.lost - self.won) / self.images
        if self.exact is not None and self.quantized is not None:
            return 100 * (self.exact - self.quantized)
        return None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Bounds of the drop that hold with 95%: of the paired difference, by Agresti & Min (2005)."""
        if self.lost is None or self.won is None:
            return None
        lost, won, images = self.lost + 0.5, self.won + 0.5, self.images + 2
        middle = (lost - won) / images
        spread = CONFIDENCE * sqrt(max(lost + won - (lost - won) ** 2 / images, 0.0)) / images
        return 100 * (middle - spread), 100 * (middle + spread)

    def exceeds(self, limit: float) -> bool:
        """Whether the drop is above `limit` percentage points, and more than one image."""
        is_one_image = self.lost is not None and self.won is not None and self.lost - self.won <= 1
        return self.drop is not None and self.drop > limit and not is_one_image

    def __str__(self) -> str:
        same = f"the same answer for {100 * self.same / self.images:.2f}% of {self.images:,} images"
        if self.drop is None:
            return same
        if self.interval is None:
            return f"a drop of {self.drop:.2f} points in {readable(self.metric)}, measured on {self.images:,} images"
        low, high = self.interval
        return (
            f"{self.lost} answers lost and {self.won} won of {self.images:,} images: a drop of {self.drop:.2f} points "
            f"(95%: {low:.2f} to {high:.2f}); {same}"
        )

    def to_data(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Comparison:
        """Return the comparison that `to_data` wrote."""
        return cls(**data)


def compared(exact: NDArray[Any], quantized: NDArray[Any], labels: NDArray[Any] | None) -> Comparison:
    """Compare the labels that a classifier gives in float32 and in int8 with each other, and with the right ones."""
    same = int((exact == quantized).sum())
    if labels is None:
        return Comparison(len(exact), same)
    right, still_right = exact == labels, quantized == labels
    return Comparison(
        len(exact), same, int((right & ~still_right).sum()), int((~right & still_right).sum()),
        "accuracy", float(np.mean(right)), float(np.mean(still_right)),
    )  # fmt: skip

"""A figure that was measured several times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """What repeated measuring gave."""

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(min(values), median(values), max(values))

    @classmethod
    def of_ratios(cls, above: Sequence[float], below: Sequence[float]) -> Spread:
        """Of the ratios round by round."""
        return cls.of([a / b for a, b in zip(above, below, strict=True)])

    def __format__(self, spec: str) -> str:
        """Each number by `spec`: `median (least to most)`."""
        return f"{self.median:{spec}} ({self.least:{spec}} to {self.most:{spec}})"

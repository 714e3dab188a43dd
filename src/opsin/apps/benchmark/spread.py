"""The median and range of repeated measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """The median and range of repeated measurements."""

    minimum: float
    median: float
    maximum: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of values."""
        return cls(min(values), median(values), max(values))

    @classmethod
    def of_ratios(cls, numerators: Sequence[float], denominators: Sequence[float]) -> Spread:
        """Return the spread of the ratios, round by round."""
        return cls.of([a / b for a, b in zip(numerators, denominators, strict=True)])

    def __format__(self, spec: str) -> str:
        """Return `median (minimum to maximum)`, each number formatted by `spec`."""
        return f"{self.median:{spec}} ({self.minimum:{spec}} to {self.maximum:{spec}})"

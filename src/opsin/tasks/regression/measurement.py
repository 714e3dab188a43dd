"""The answer of a regression: a number for each quantity, with its interval."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Quantity:
    """A number with its unit; the true one lies between `low` and `high` with the probability of the model's intervals.

    Both are None if the model has no intervals.
    """

    name: str
    value: float
    unit: str = ""
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, name: str, value: float, unit: str, margin: float | None) -> Quantity:
        """Return the number with an interval of `margin` on both sides; None: without an interval."""
        return cls(name, value, unit) if margin is None else cls(name, value, unit, value - margin, value + margin)

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        if self.low is None or self.high is None:
            return f"{self.name} {self.value:.4g}{unit}"
        return f"{self.name} {self.value:.4g}{unit} ({self.low:.4g} to {self.high:.4g})"


@dataclass(frozen=True)
class Measurement:
    """What a model reads off an image."""

    quantities: tuple[Quantity, ...]

    @property
    def value(self) -> float:
        """The first number."""
        return self.quantities[0].value

    def summary(self) -> str:
        """Return the answer in a few words."""
        return str(self)

    def to_data(self) -> dict[str, Any]:
        """Return the answer for JSON."""
        return {"quantities": [asdict(each) for each in self.quantities]}

    def __str__(self) -> str:
        return ", ".join(map(str, self.quantities))

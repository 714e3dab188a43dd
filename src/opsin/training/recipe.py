"""How Opsin trains when nobody says otherwise: the values that the figures in the README come from."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from opsin.errors import UsageError

SEEN = 125_000
FEWEST, MOST = 15, 200
"""Pictures to be seen in all, and the bounds of the number of epochs that this may lead to."""


@dataclass(frozen=True)
class Recipe:
    """AdamW (Loshchilov & Hutter 2019) on a one-cycle schedule (Smith & Topin 2018).

    `learning_rate` is the highest of the cycle, reached after the share `rise` of all steps;
    without `epochs` their number follows from the size of the data. Raises `UsageError` for a
    value that makes no sense.
    """

    epochs: int | None = None
    batch: int = 64
    learning_rate: float = 0.004
    seed: int = 0
    weight_decay: float = 0.01
    rise: float = 0.25

    def __post_init__(self) -> None:
        if self.epochs is not None and self.epochs < 1:
            raise UsageError(f"the number of epochs must be at least 1, not {self.epochs}")
        if self.batch < 1:
            raise UsageError(f"the batch must hold at least 1 picture, not {self.batch}")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"the seed must be a whole number from 0 to 2^63 - 1, not {self.seed}")
        if not (isfinite(self.learning_rate) and self.learning_rate > 0):
            raise UsageError(f"the learning rate must be a positive number such as 0.004, not {self.learning_rate:g}")


def epochs_for(pictures: int) -> int:
    """More for small data: 200 up to 625 pictures, 25 for 5,000, 15 from 8,334 on."""
    return max(FEWEST, min(MOST, SEEN // pictures))

"""How Opsin trains when nobody says otherwise: the values that the figures in the README come from."""

from __future__ import annotations

from dataclasses import dataclass

from opsin.training.plan import Plan, Stage, check_batch, check_epochs, check_rate, check_seed

SEEN = 125_000
FEWEST, MOST = 15, 200
"""Pictures to be seen in all, and the bounds of the number of epochs that this may lead to."""


@dataclass(frozen=True)
class Recipe:
    """AdamW (Loshchilov & Hutter 2019) on a one-cycle schedule (Smith & Topin 2018), from scratch.

    `learning_rate` is the highest of the cycle; without `epochs` their number follows from the size of the data.
    Raises `UsageError` for a value that makes no sense.
    """

    epochs: int | None = None
    batch: int = 64
    learning_rate: float = 0.004
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs is not None:
            check_epochs(self.epochs)
        check_batch(self.batch)
        check_seed(self.seed)
        check_rate(self.learning_rate)

    def plan(self, network: str, pictures: int) -> Plan:
        """The plan for `network` and so many pictures to train on."""
        stage = Stage(
            epochs=self.epochs or epochs_for(pictures),
            batch=min(self.batch, pictures),
            learning_rate=self.learning_rate,
        )
        return Plan(network=network, stages=(stage,), seed=self.seed)


def epochs_for(pictures: int) -> int:
    """More for small data: 200 up to 625 pictures, 25 for 5,000, 15 from 8,334 on."""
    return max(FEWEST, min(MOST, SEEN // pictures))

"""Noticing that training diverges: values that became NaN or infinite, and losses far above those of guessing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from opsin.training.non_finite import all_finite
from opsin.training.state import State

CHECK_INTERVAL = 50
"""Steps between two checks of every parameter; training can be rolled back to the last check that passed."""

MAX_LOSS_RATIO, MAX_EARLY_LOSS_RATIO, MIN_LOSSES = 10.0, 100.0, 3
"""Training diverges if the median loss since the last check exceeds that of guessing by the first ratio. With fewer
than `MIN_LOSSES` losses the second one applies: a few hard images of rare classes can make single losses very large."""

NON_FINITE = "values became NaN or infinite"


@dataclass(frozen=True)
class Divergence:
    """A reason to roll back."""

    text: str


@dataclass(frozen=True, eq=False)
class Verified:
    """The program's values, all of them finite, and the mean loss since the check before."""

    values: State
    mean_loss: float


class DivergenceGuard:
    """Watches the losses of all steps, and the program's values every `CHECK_INTERVAL` steps and after an epoch.

    `chance_loss` is the loss of a model that guesses.
    """

    def __init__(self, chance_loss: float) -> None:
        self.chance_loss = chance_loss
        self.losses: list[float] = []

    def on_step(self, loss: float, step: int, steps: int, read: Callable[[], State]) -> Divergence | Verified | None:
        """Return the verdict after `step` of `steps` steps of an epoch; None between two checks.

        `read` returns the program's values.
        """
        self.losses.append(loss)
        if np.isfinite(loss) and step % CHECK_INTERVAL and step < steps:
            return None
        losses = self.losses
        self.losses = []
        values = read() if np.isfinite(loss) else {}
        if not np.isfinite(loss) or not all_finite(values):
            return Divergence(NON_FINITE)
        median = float(np.median(losses))
        ratio = MAX_LOSS_RATIO if len(losses) >= MIN_LOSSES else MAX_EARLY_LOSS_RATIO
        if median > ratio * self.chance_loss:
            return Divergence(f"the loss rose to {median:.3g}, far above the {self.chance_loss:.3g} of random guessing")
        return Verified(values, float(np.mean(losses)))

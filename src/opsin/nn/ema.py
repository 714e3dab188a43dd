"""The exponential moving average of a network's variables, kept by the training step itself.

Averaging the parameters of the last steps lets a noisy descent settle (Polyak & Juditsky 1992). In step t, counted from
0, the average keeps the share min(decay, t / (t + 9)) of itself: short trainings are not led by their first values,
and the first step's result is the average's beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from opsin import ops
from opsin.base.errors import UsageError
from opsin.ir import FLOAT, Tensor, scope, variable
from opsin.ir.arguments import instance, real

PREFIX = "ema."
STEP = "ema.step"
WARM_UP = 9.0


def average_updates(new: Mapping[str, Tensor], decay: float) -> dict[str, Tensor]:
    """Updates of `ema.<name>` for each float variable, given its new value, and of "ema.step", the number of steps.

    Raises `UsageError` where `decay` is no share.
    """
    if not 0 < real("the decay of a moving average", decay, finite=False) < 1:
        raise UsageError(f"the decay of a moving average is between 0 and 1, such as 0.999, not {decay}")
    with scope("ema"):
        step = variable(STEP, ())
        kept = ops.minimum(ops.divide(step, ops.add(step, WARM_UP)), decay)
        updates = {STEP: ops.add(step, 1.0)}
        for name, value in new.items():
            if value.dtype == FLOAT:
                old = variable(f"{PREFIX}{name}", value.shape, like=name)
                updates[f"{PREFIX}{name}"] = ops.add(value, ops.multiply(ops.subtract(old, value), kept))
    return updates


def averaged(state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """A training step's variables with the averages in the places of what they are averages of."""
    instance("a state", state, Mapping, "a mapping of names to arrays")
    averages = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
    return {name: averages.get(name, value) for name, value in state.items() if not name.startswith(PREFIX)}

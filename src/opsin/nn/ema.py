"""The exponential moving average (EMA) of the variables of a network, computed by the training step itself.

Averaging the parameters of the last steps reduces the noise of the descent (Polyak & Juditsky 1992). In step t, counted
from 0, the average keeps the fraction min(decay, t / (t + 9)) of itself: this way the first values do not dominate a
short training, and the average starts as the result of the first step.
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
"""The 9 of t / (t + 9)."""


def average_updates(new_values: Mapping[str, Tensor], decay: float) -> dict[str, Tensor]:
    """Return updates of `ema.<name>` for the new value of each float variable, and of "ema.step", the number of steps.

    Raise `UsageError` unless `decay` is between 0 and 1.
    """
    if not 0 < real("the decay of a moving average", decay, finite=False) < 1:
        raise UsageError(f"the decay of a moving average is between 0 and 1, such as 0.999, not {decay}")
    with scope("ema"):
        step = variable(STEP, ())
        momentum = ops.minimum(ops.divide(step, ops.add(step, WARM_UP)), decay)
        updates = {STEP: ops.add(step, 1.0)}
        for name, value in new_values.items():
            if value.dtype == FLOAT:
                average = variable(f"{PREFIX}{name}", value.shape, like=name)
                updates[f"{PREFIX}{name}"] = ops.add(value, ops.multiply(ops.subtract(average, value), momentum))
    return updates


def averaged(state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the variables of a training step, each replaced by its average if it has one."""
    instance("a state", state, Mapping, "a mapping of names to arrays")
    averages = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
    return {name: averages.get(name, value) for name, value in state.items() if not name.startswith(PREFIX)}

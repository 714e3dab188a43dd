"""When numbers leave the finite: which step did it, and in which layer it began.

Training looks at the loss of every step, but at the parameters only now and then. A step is a
function of the state before it and of its batch, so the steps since the last good state are run
again, watching closely, and the guilty one once more in the reference engine, node by node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from opsin.engines.base import Program
from opsin.engines.reference import Reference
from opsin.errors import TrainingError
from opsin.model import Model

State = Mapping[str, NDArray[Any]]


class Diverged(TrainingError):
    """The loss or a parameter is no longer a number. `model` is the last good one, if there was any."""

    def __init__(self, text: str, model: Model | None) -> None:
        super().__init__(text)
        self.model = model


@dataclass(frozen=True)
class Snapshot:
    """The state after `step` steps."""

    step: int
    state: State


@dataclass(frozen=True)
class Fault:
    """The first step that made a value infinite or NaN, and the layer in which that happened."""

    step: int
    layer: str


def finite(values: State) -> bool:
    """Whether every number is one."""
    return all(np.isfinite(array).all() for array in values.values())


def find_fault(
    program: Program, snapshot: Snapshot, last: int, inputs: Callable[[int], Mapping[str, ArrayLike]]
) -> Fault:
    """Repeats the steps after `snapshot` up to step `last` (counted from 1); `inputs(step)` are those of a step."""
    program.load_state(snapshot.state)
    for step in range(snapshot.step + 1, last + 1):
        before = program.state()
        outputs = program.run(**inputs(step))
        after = program.state()
        if not finite(outputs) or not finite(after):
            return Fault(step, _layer(program, before, inputs(step)) or _first_variable(program, after))
    return Fault(last, "")


def _layer(program: Program, state: State, inputs: Mapping[str, ArrayLike]) -> str:
    """The layer of the first node with a value that is not finite; empty where there is none or it has no name."""
    reference = Reference(program.graph, program.batch)
    reference.load_state(state)
    with np.errstate(all="ignore"):
        for node, arrays in reference.trace_values(**inputs):
            if not all(np.isfinite(array).all() for array in arrays):
                return node.scope
    return ""


def _first_variable(program: Program, state: State) -> str:
    """The layer of the first parameter that is not finite: in the last place of rounding engines may differ."""
    odd = next((name for name, array in state.items() if not np.isfinite(array).all()), "")
    parameter = program.graph.variables[odd].node.attrs["like"] or odd if odd else ""
    return str(parameter).rpartition(".")[0]

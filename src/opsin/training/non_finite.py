"""When numbers leave the finite: which step did it, and in which layer it began.

Training looks at the loss of every step, but at the parameters only now and then. A step is a
function of the state before it and of its batch, so the steps since the last good state are run
again, watching closely, and the guilty one once more in the reference engine, node by node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from opsin.backends.base import Program
from opsin.backends.reference import Reference
from opsin.base.errors import TrainingError
from opsin.model import Model
from opsin.training.state import State


class Diverged(TrainingError):
    """Training cannot go on: numbers left the finite, or the loss rose beyond reason, for the second time.

    `model` is the last good one, if there was any.
    """

    def __init__(self, text: str, model: Model | None) -> None:
        super().__init__(text)
        self.model = model


@dataclass(frozen=True)
class NonFiniteOrigin:
    """The first step that made a value infinite or NaN, and the layer in which that happened."""

    step: int
    layer: str


def finite(values: State) -> bool:
    """Whether every number is one."""
    return all(np.isfinite(array).all() for array in values.values())


def find_fault(program: Program, state: State, inputs: Iterable[Mapping[str, ArrayLike]]) -> NonFiniteOrigin | None:
    """Repeats steps with `inputs` from `state` on, and finds the first that goes wrong, counted from 1; None: none."""
    program.load_state(state)
    for step, given in enumerate(inputs, start=1):
        before = program.state()
        outputs = program.run(**given)
        after = program.state()
        if not finite(outputs) or not finite(after):
            return NonFiniteOrigin(step, _layer(program, before, given) or _first_variable(program, after))
    return None


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

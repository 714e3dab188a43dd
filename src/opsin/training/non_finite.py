"""Finding the step and the layer in which a value first became NaN or infinite.

Training checks the loss of every step, but the parameters only now and then. A step is a function of the state before
it and of its batch, so the steps since the last verified state are repeated with a check after each, and the one that
fails once more by the reference engine, node by node.
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
    """Training cannot continue: for the second time, values became NaN or infinite, or the loss rose too far.

    `model` is the last model that was verified, or None if there was none yet.
    """

    def __init__(self, text: str, model: Model | None) -> None:
        super().__init__(text)
        self.model = model


class Collapsed(Diverged):
    """Training cannot continue: the network gives the same features for all images."""


@dataclass(frozen=True)
class NonFiniteOrigin:
    """The first step, counted from 1, that made a value NaN or infinite, and the layer in which that happened."""

    step: int
    layer: str


def all_finite(values: State) -> bool:
    """Return whether no value is NaN or infinite."""
    return all(np.isfinite(array).all() for array in values.values())


def find_origin(program: Program, state: State, batches: Iterable[Mapping[str, ArrayLike]]) -> NonFiniteOrigin | None:
    """Repeat steps with the inputs `batches` from `state` on; return where a value becomes NaN or infinite, or None."""
    program.load_state(state)
    for step, inputs in enumerate(batches, start=1):
        before = program.state()
        outputs = program.run(**inputs)
        after = program.state()
        if not all_finite(outputs) or not all_finite(after):
            return NonFiniteOrigin(step, _first_layer(program, before, inputs) or _first_variable(program, after))
    return None


def _first_layer(program: Program, state: State, inputs: Mapping[str, ArrayLike]) -> str:
    """Return the layer of the first node with a NaN or infinite value; empty if there is none or it has no name."""
    reference = Reference(program.graph, program.batch)
    reference.load_state(state)
    with np.errstate(all="ignore"):
        for node, arrays in reference.trace_values(**inputs):
            if not all(np.isfinite(array).all() for array in arrays):
                return node.scope
    return ""


def _first_variable(program: Program, state: State) -> str:
    """Return the layer of the first parameter with a NaN or infinite value: engines may round differently."""
    variable = next((name for name, array in state.items() if not np.isfinite(array).all()), "")
    parameter = program.graph.variables[variable].node.attrs["like"] or variable if variable else ""
    return str(parameter).rpartition(".")[0]

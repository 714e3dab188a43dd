"""The loss of a model's network for one image, with its gradient for every parameter and for the output of every step.

The network is the model's inference graph, so batch normalization uses its running statistics. The gradients are those
of the training graph of the same loss (`nn.training_step`).
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.backends.base import Program, load_known
from opsin.base.concurrency import lazy
from opsin.base.errors import DataError, GraphError
from opsin.explain.backpropagation.target import Case
from opsin.explain.backpropagation.uses import Use, find_uses
from opsin.explain.observer import compiled
from opsin.explain.stages import Stage, find_stages
from opsin.explain.tensor_groups import TensorGroups, divide_tensors, value_count
from opsin.ir import FLOAT, Graph, Tensor, input_tensor, scope, variable
from opsin.model import Model
from opsin.nn import Objective
from opsin.nn.optimizers import Optimizer

Floats = NDArray[np.float32]
_Results: TypeAlias = tuple[dict[Tensor, Floats], dict[Tensor, Floats]]
"""Values and gradients of a group of tensors."""

OBSERVED, GRADIENT, STATISTIC = "value", "gradient", "statistic"
"""How the names of the outputs begin that hold values, gradients, and statistics of normalizations."""


@dataclass(frozen=True, eq=False)
class Pass:
    """The forward and backward pass of one image: float32 values and gradients, 1 × the shape of each tensor."""

    case: Case
    loss: np.float32
    values: Mapping[Tensor, Floats]
    gradients: Mapping[Tensor, Floats]


class Backward:
    """The graph from an image and its target to the loss and its gradients, compiled without Winograd's algorithm."""

    def __init__(self, model: Model, objective: Objective) -> None:
        self.model, self.network = model, model.graph
        self.stages: list[Stage] = find_stages(model.graph, model.layers)
        targets = objective.targets(self.network.outputs)
        with scope("loss"):
            self.loss = objective.loss(self.network.outputs, targets)
        self.inputs = (*self.network.inputs, *targets.values())
        self.parameters = Graph((), {"loss": self.loss}).parameters
        self.uses: dict[str, list[Use]] = find_uses(Graph((), {"loss": self.loss}), self.parameters)
        self.gradients = self._gradients()
        self._update_programs: dict[Optimizer, Program] = {}
        if not any(tensor in self.gradients for tensor in self.parameters.values()):
            raise GraphError(f"the loss of {model.name} depends on no parameter, so there is nothing to trace back to")

    @lazy
    def observed(self) -> list[Tensor]:
        """The outputs of all steps, and what the uses of parameters read and compute."""
        steps = [step.output for stage in self.stages for step in stage.steps]
        uses = [tensor for uses in self.uses.values() for use in uses for tensor in (use.image, use.output)]
        known = {t for node in Graph((), {"loss": self.loss}).nodes for t in node.outputs}
        return [t for t in dict.fromkeys([*steps, *uses]) if t in known and t.dtype == FLOAT]

    @lazy
    def graph(self) -> Graph:
        """The inputs, the loss and every gradient, by the names of the parameters: what `print` should show."""
        known = [(name, t) for name, t in self.parameters.items() if t in self.gradients]
        return Graph(
            self.inputs, {"loss": self.loss, **{f"gradient of {name}": self.gradients[t] for name, t in known}}
        )

    @lazy
    def _groups(self) -> list[list[Tensor]]:
        """The observed tensors in the order of computation, in groups that fit into memory."""
        position = {t: n for n, node in enumerate(Graph((), {"loss": self.loss}).nodes) for t in node.outputs}
        return divide_tensors(sorted(self.observed, key=position.__getitem__), self._numbers)

    def _numbers(self, tensor: Tensor) -> int:
        return value_count(tensor) * (2 if tensor in self.gradients else 1)

    @lazy
    def _statistics(self) -> list[Tensor]:
        uses = [use for uses in self.uses.values() for use in uses]
        return list(dict.fromkeys(t for use in uses for t in (use.mean, use.root) if t is not None))

    @lazy
    def program(self) -> Program:
        """The program of the loss and the gradients of all parameters, and of all values and gradients if they fit."""
        observed = self._groups[0] if len(self._groups) == 1 else []
        outputs = {**self.graph.outputs, **_named(STATISTIC, self._statistics), **self._outputs(observed)}
        return self._compiled(Graph(self.inputs, outputs))

    def _outputs(self, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return the values of observed tensors, and their gradients, as outputs of a program."""
        known = [t for t in tensors if t in self.gradients]
        gradients = dict(zip(_named(GRADIENT, known), (self.gradients[t] for t in known), strict=True))
        return _named(OBSERVED, tensors) | gradients

    def run(self, case: Case) -> Pass:
        """Return loss, values and gradients for one image and its target.

        Those of a large network are computed when they are first asked for, in groups (`TensorGroups`).
        """
        outputs = self._run(case, self.model.state)
        parameters = {self.parameters[name]: array for name, array in self._of_parameters(outputs).items()}
        statistics = dict(zip(self._statistics, _taken(outputs, _named(STATISTIC, self._statistics)), strict=True))

        def compute(tensors: Sequence[Tensor]) -> _Results:
            if len(self._groups) == 1:
                return self._results(tensors, outputs)
            program = self._compiled(Graph(self.inputs, self._outputs(tensors)))
            load_known(program, self.model.state)
            return self._results(tensors, program.run(**self.arrays(case)))

        groups = TensorGroups(self._groups, compute)
        with_gradients = [t for t in self.observed if t in self.gradients]
        return Pass(
            case,
            np.float32(outputs["loss"]),
            ChainMap(statistics, groups.view(self.observed, lambda results: results[0])),  # type: ignore[arg-type]
            ChainMap(parameters, groups.view(with_gradients, lambda results: results[1])),  # type: ignore[arg-type]
        )

    def _results(self, tensors: Sequence[Tensor], outputs: Mapping[str, Floats]) -> _Results:
        known = [t for t in tensors if t in self.gradients]
        return (
            dict(zip(tensors, _taken(outputs, _named(OBSERVED, tensors)), strict=True)),
            dict(zip(known, _taken(outputs, _named(GRADIENT, known)), strict=True)),
        )

    def parameter_gradients(self, case: Case, state: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return the gradient of every parameter, with the values of variables in `state`."""
        return self._of_parameters(self._run(case, state))

    def update_program(self, optimizer: Optimizer, size: int) -> Program:
        """Return the update of a vector of `size` numbers, as at the end of a training step: compiled once."""
        if optimizer not in self._update_programs:
            rate, gradient = input_tensor("learning_rate", ()), input_tensor("gradient", (size,))
            weight = variable("w", (size,), trainable=True)
            graph = Graph((rate, gradient), {}, optimizer.updates([weight], [gradient], rate))
            self._update_programs[optimizer] = compiled(self.model, graph, 1)
        return self._update_programs[optimizer]

    def _run(self, case: Case, state: Mapping[str, Floats]) -> dict[str, Floats]:
        load_known(self.program, state)
        return self.program.run(**self.arrays(case))

    def _of_parameters(self, outputs: Mapping[str, Floats]) -> dict[str, Floats]:
        return {name: outputs[f"gradient of {name}"] for name, t in self.parameters.items() if t in self.gradients}

    def arrays(self, case: Case) -> dict[str, NDArray[Any]]:
        """Return the inputs of the graph: the normalized image and the arrays of its target."""
        if case.pixels.ndim != 3:
            raise DataError(
                f"one image is channels × rows × columns, not an array of {case.pixels.ndim} axes; give a single image"
            )
        return {"inputs": self.model.preprocessing.apply(case.pixels[None]), **case.target.arrays}

    def _gradients(self) -> dict[Tensor, Tensor]:
        tensors = [*self.parameters.values(), *self.observed]
        gradients: Sequence[Tensor | None] = ops.gradients(self.loss, tensors)
        return {t: g for t, g in zip(tensors, gradients, strict=True) if g is not None}

    def _compiled(self, graph: Graph) -> Program:
        # The compiler lays out weights that change in every run differently, which changes the rounding. The updates,
        # which change nothing, make this program compute as a training step does.
        graph = Graph(graph.inputs, graph.outputs, dict(self.parameters))
        return compiled(self.model, graph, 1)


def _named(kind: str, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    """Return names for tensors: value0, value1, …"""
    return {f"{kind}{number}": tensor for number, tensor in enumerate(tensors)}


def _taken(outputs: Mapping[str, Floats], names: Iterable[str]) -> list[Floats]:
    return [outputs[name] for name in names]

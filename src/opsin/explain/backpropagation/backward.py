"""The loss of a model's network for one image, with its gradient for every parameter and for the output of every step.

The network is the model's inference graph, so batch normalization uses its running statistics. The gradients are those
of the training graph of the same loss (`nn.training_step`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
from opsin.ir import FLOAT, Graph, Tensor, input_tensor, scope
from opsin.model import Model
from opsin.nn import Objective
from opsin.nn.optimizers import Optimizer

Floats = NDArray[np.float32]


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

    @property
    def program(self) -> Program:
        """The program of the loss and of all values and gradients."""
        return self._compilation[0]

    @lazy
    def _compilation(self) -> tuple[Program, dict[str, Tensor], dict[str, Tensor]]:
        """The program, and the tensors whose values and gradients it returns, by the names of its outputs."""
        uses = [use for uses in self.uses.values() for use in uses]
        statistics = [t for use in uses for t in (use.mean, use.root) if t is not None]
        values = {f"value{number}": tensor for number, tensor in enumerate([*self.observed, *statistics])}
        gradients = {
            f"gradient{number}": tensor for number, tensor in enumerate(self.observed) if tensor in self.gradients
        }
        outputs = values | {name: self.gradients[tensor] for name, tensor in gradients.items()}
        return self._compiled(Graph(self.inputs, {**self.graph.outputs, **outputs})), values, gradients

    def run(self, case: Case) -> Pass:
        """Return loss, values and gradients for one image and its target."""
        _, values, gradients = self._compilation
        outputs = self._run(case, self.model.state)
        return Pass(
            case,
            np.float32(outputs["loss"]),
            {tensor: outputs[name] for name, tensor in values.items()},
            {tensor: outputs[name] for name, tensor in gradients.items()}
            | {self.parameters[name]: array for name, array in self._of_parameters(outputs).items()},
        )

    def parameter_gradients(self, case: Case, state: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return the gradient of every parameter, with the values of variables in `state`."""
        return self._of_parameters(self._run(case, state))

    def update_program(self, optimizer: Optimizer, names: Sequence[str]) -> Program:
        """Return the part of a training step after the gradients of the parameters `names`: compiled once."""
        if optimizer not in self._update_programs:
            rate, parameters = input_tensor("learning_rate", ()), [self.parameters[name] for name in names]
            gradients = [input_tensor(f"gradient of {n}", t.shape) for n, t in zip(names, parameters, strict=True)]
            graph = Graph((rate, *gradients), {}, optimizer.updates(parameters, gradients, rate))
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

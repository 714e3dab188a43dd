"""What a measured training step minimizes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from opsin import ops
from opsin.apps.benchmark.layer_list import MEAN_SQUARED_ERROR
from opsin.ir import Tensor, input_tensor
from opsin.nn.losses import cross_entropy, mean_squared_error
from opsin.nn.objective import Loss, Objective, Tensors


@dataclass(frozen=True)
class MeanSquaredErrors:
    """The objective of a network of any task: the sum of the mean squared errors of its outputs.

    The targets "target0", "target1", … have the shapes of the outputs, in order.
    """

    def targets(self, outputs: Tensors) -> dict[str, Tensor]:
        names = [f"target{number}" for number in range(len(outputs))]
        return {name: input_tensor(name, t.shape) for name, t in zip(names, outputs.values(), strict=True)}

    def loss(self, outputs: Tensors, targets: Tensors) -> Tensor:
        pairs = zip(outputs.values(), targets.values(), strict=True)
        return reduce(ops.add, [mean_squared_error(output, target) for output, target in pairs])

    def statistics(self, outputs: Tensors, targets: Tensors) -> dict[str, Tensor]:
        return {}


def objective(loss: str) -> Loss | Objective:
    """Return the objective of the `loss` of a list of layers."""
    return MeanSquaredErrors() if loss == MEAN_SQUARED_ERROR else cross_entropy

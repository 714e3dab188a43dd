"""What the answer for one image should have been: the loss to differentiate, and the arrays that hold the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.base.errors import UsageError
from opsin.ir import Tensor
from opsin.model import Model
from opsin.nn import Objective, losses
from opsin.nn.objective import Classify, Tensors
from opsin.tasks.classification import Classification
from opsin.tasks.task import LossOptions


@dataclass(frozen=True)
class Target:
    """A loss, the arrays of its target for one image, and both in words."""

    objective: Objective
    arrays: Mapping[str, NDArray[Any]]
    sentence: str
    label: int | None = None
    """The number of the class that the loss asks for; None for losses without one."""


@dataclass(frozen=True, eq=False)
class Case:
    """One image, uint8 C×H×W as the network takes it, with its target."""

    pixels: NDArray[np.uint8]
    target: Target


@dataclass(frozen=True)
class SquaredOutputs:
    """Half the sum of the squares of all outputs: a loss that needs no target."""

    def targets(self, outputs: Tensors) -> dict[str, Tensor]:
        return {}

    def loss(self, outputs: Tensors, targets: Tensors) -> Tensor:
        return ops.multiply(reduce(ops.add, [ops.sum(ops.square(t)) for t in outputs.values()]), 0.5)

    def statistics(self, outputs: Tensors, targets: Tensors) -> dict[str, Tensor]:
        return {}


def class_target(model: Model, label: int) -> Target:
    """Return the cross-entropy for the class number `label`. Raise `UsageError` if the model has no such class."""
    if not isinstance(model.task, Classification):
        raise UsageError(
            f"{model.name} does {model.task.name}, not classification, so it has no classes; use task_target"
        )
    if not 0 <= label < len(model.labels):
        raise UsageError(f"{model.name} has the classes 0 to {len(model.labels) - 1}, not {label}; give one of these")
    words = f"The loss is the cross-entropy −log p of the class '{model.labels[label]}', of its probability p."
    return Target(Classify(losses.cross_entropy), {"labels": np.array([label], np.int32)}, words, label)


def task_target(model: Model, arrays: Mapping[str, NDArray[Any]]) -> Target:
    """Return the loss that the model's task is trained with, for the target `arrays` of one image (`Task.encode`)."""
    return Target(model.task.objective(LossOptions(), False), arrays, f"The loss is that of {model.task.name}.")


def default_target(model: Model, outputs: Mapping[str, NDArray[np.float32]], label: int | None = None) -> Target:
    """Return a target for one image with these `outputs` (1 × …), whose true class is `label` if that is known.

    If the answer of a classifier is right, or nothing is known about it, the loss asks for the second most probable
    class: the loss of a sure and right answer is nearly zero, and so is every gradient. Other tasks get
    `SquaredOutputs`.
    """
    if not isinstance(model.task, Classification):
        words = "No target is given: the loss is half the sum of the squares of all outputs, as if all should be 0."
        return Target(SquaredOutputs(), {}, words)
    order = np.argsort(-outputs["logits"][0], kind="stable")
    if label is not None and label != order[0]:
        return class_target(model, label)
    second = class_target(model, int(order[min(1, len(order) - 1)]))
    words = (
        f"The network answers '{model.labels[order[0]]}'. If that is right and sure, there is nothing to learn. The "
        f"target is therefore the second most probable class. {second.sentence}"
    )
    return replace(second, sentence=words)

"""What a training step minimizes: a loss of the network's outputs and of targets, which are inputs of the step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from opsin import ops
from opsin.base.errors import ShapeError, UsageError
from opsin.ir import BATCH, INT, Tensor, input_tensor
from opsin.ir.arguments import called, flag
from opsin.nn.losses import cross_entropy

Loss = Callable[[Tensor, Tensor], Tensor]
"""From logits N × classes and labels N (soft labels: N × classes) to a scalar."""

Tensors: TypeAlias = Mapping[str, Tensor]
"""Tensors by the names of a graph's outputs or inputs."""


@runtime_checkable
class Objective(Protocol):
    """The loss of a task."""

    def targets(self, outputs: Tensors) -> dict[str, Tensor]:
        """Return the inputs of the step that hold the targets, made with `input_tensor`.

        Raise `ShapeError` if the network's outputs do not suit the task.
        """

    def loss(self, outputs: Tensors, targets: Tensors) -> Tensor:
        """Return the loss, a scalar averaged over the batch. Auxiliary classifiers are outputs "logits", too."""

    def statistics(self, outputs: Tensors, targets: Tensors) -> dict[str, Tensor]:
        """Return more outputs of the step, such as "correct": sums over the batch, as scalars."""


@dataclass(frozen=True)
class Classify:
    """The objective of a classifier: the output "logits" N × classes, the target "labels" and the output "correct".

    Labels are N integers or, if they are `soft`, N × classes; each row then sums to 1, and the largest is the true
    class.
    """

    function: Loss = cross_entropy
    soft: bool = False

    def targets(self, outputs: Tensors) -> dict[str, Tensor]:
        logits = outputs["logits"]
        if logits.rank != 2:
            raise ShapeError(f"a network to train gives N × classes, but this one gives {logits.type}; flatten it")
        return {"labels": input_tensor("labels", logits.shape) if self.soft else input_tensor("labels", (BATCH,), INT)}

    def loss(self, outputs: Tensors, targets: Tensors) -> Tensor:
        return self.function(outputs["logits"], targets["labels"])

    def statistics(self, outputs: Tensors, targets: Tensors) -> dict[str, Tensor]:
        labels = targets["labels"]
        correct = ops.equal(ops.argmax(outputs["logits"]), ops.argmax(labels) if self.soft else labels)
        return {"correct": ops.sum(correct)}


def objective_of(loss: Loss | Objective, soft: bool) -> Objective:
    """Return `loss` as an objective; with `soft`, labels are shares of classes. Raise `UsageError` if it is neither."""
    soft = flag("soft", soft)
    if isinstance(loss, Objective):
        return loss
    if not callable(loss):
        raise UsageError(f"the loss must be a function such as nn.losses.cross_entropy, not {called(loss)}")
    return Classify(loss, soft)

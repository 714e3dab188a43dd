"""The loss of unit vectors: those of one identity lie close together, and apart from those of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from opsin.base.errors import UsageError
from opsin.ir import BATCH, INT, Tensor, input_tensor, variable
from opsin.nn import metric_losses
from opsin.nn.objective import Tensors

SOFTMAX: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "cosface": metric_losses.cosface,
    "arcface": metric_losses.arcface,
}
"""Losses that learn a prototype of each identity, and need no second image of it in a batch."""

PAIRS = ("triplet", "contrastive")
"""Losses that compare the images of a batch."""

LOSSES = (*SOFTMAX, *PAIRS)
DEFAULT_LOSS = "contrastive"


@dataclass(frozen=True)
class IdentityObjective:
    """The loss called `name` of the output "embeddings", N × dimensions, and the targets "labels" and "instances".

    Labels are N identities, whose number is `identities`; instances are N different numbers. The prototypes of a
    softmax are variables of the loss: they are trained, and are no part of the network.
    """

    name: str
    identities: int

    def targets(self, outputs: Tensors) -> dict[str, Tensor]:
        return {name: input_tensor(name, (BATCH,), INT) for name in ("labels", "instances")}

    def loss(self, outputs: Tensors, targets: Tensors) -> Tensor:
        embeddings, labels = outputs["embeddings"], targets["labels"]
        if self.name == "triplet":
            return metric_losses.triplet(embeddings, labels)
        if self.name == "contrastive":
            return metric_losses.supervised_contrastive(embeddings, labels, targets["instances"])
        prototypes = variable(
            "loss.prototypes", (self.identities, embeddings.shape[1]), init=("normal", 0.1), trainable=True
        )
        return SOFTMAX[self.name](embeddings, labels, prototypes)

    def statistics(self, outputs: Tensors, targets: Tensors) -> dict[str, Tensor]:
        return {}


def check_loss(name: str) -> str:
    """Return the name of a loss. Raise `UsageError` if there is none."""
    if name not in LOSSES:
        raise UsageError(f"there is no loss '{name}' for identity; there are {', '.join(LOSSES)}")
    return name

"""Rotation prediction: by which multiple of 90° was the image turned (Gidaris, Singh & Komodakis 2018)?"""

from __future__ import annotations

from dataclasses import dataclass

from opsin.ir import Tensor
from opsin.nn.losses import cross_entropy
from opsin.nn.objective import Tensors
from opsin.tasks.self_supervised.losses.layers import linear
from opsin.tasks.self_supervised.losses.objective import ViewObjective

TURNS = 4


@dataclass(frozen=True)
class Rotation(ViewObjective):
    """The cross-entropy of the four turns, by a linear layer on the output "features"; "turns" are N numbers, 0 to 3.

    Each image of a batch has one random turn, where the paper takes all four of each.
    """

    def loss(self, outputs: Tensors, targets: Tensors) -> Tensor:
        return cross_entropy(linear("turns", outputs["features"], TURNS), targets["turns"])


ROTATION = Rotation()

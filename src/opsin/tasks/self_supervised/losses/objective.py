"""What all losses without labels have in common: their targets, which come with the views."""

from __future__ import annotations

from typing import ClassVar

from opsin.ir import BATCH, INT, Tensor, input_tensor
from opsin.nn.objective import Tensors


class ViewObjective:
    """The base class of objectives for steps with so many `views` of each of N images.

    The targets are "instances", different whole numbers, and "turns", multiples of 90° by which each view is turned.
    """

    views: ClassVar[int] = 1

    def targets(self, outputs: Tensors) -> dict[str, Tensor]:
        return {name: input_tensor(name, (self.views * BATCH,), INT) for name in ("instances", "turns")}

    def loss(self, outputs: Tensors, targets: Tensors) -> Tensor:
        raise NotImplementedError

    def statistics(self, outputs: Tensors, targets: Tensors) -> dict[str, Tensor]:
        return {}

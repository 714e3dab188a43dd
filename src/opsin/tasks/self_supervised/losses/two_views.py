"""Losses of two views of each image: what they share is what the image shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from opsin import ops
from opsin.ir import BATCH, Tensor
from opsin.nn import metric_losses
from opsin.nn.objective import Tensors
from opsin.tasks.self_supervised.losses.layers import projection
from opsin.tasks.self_supervised.losses.objective import ViewObjective

Compare = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From the projections of the first views, N × P, those of the second, and N numbers of the images to a loss."""

TEMPERATURE = 0.2
"""Of the similarities in SimCLR. Its paper finds 0.5 best after hundreds of epochs (appendix B.9); in a short training
on CIFAR-10, with 0.2 features classify better."""


@dataclass(frozen=True)
class TwoViews(ViewObjective):
    """The loss `compare` of projections of the output "features", 2N × F: first views, then the second ones.

    `widths` are those of the layers of the projection (Chen et al. 2020, section 4.2).
    """

    views: ClassVar[int] = 2

    compare: Compare
    widths: tuple[int, ...]

    def loss(self, outputs: Tensors, targets: Tensors) -> Tensor:
        projections = projection(outputs["features"], self.widths)
        first, second = (ops.narrow(projections, 0, start, BATCH) for start in (0, BATCH))
        return self.compare(first, second, ops.narrow(targets["instances"], 0, 0, BATCH))


def _simclr(first: Tensor, second: Tensor, instances: Tensor) -> Tensor:
    return metric_losses.nt_xent(first, second, instances, TEMPERATURE)


def _vicreg(first: Tensor, second: Tensor, instances: Tensor) -> Tensor:
    return metric_losses.vicreg(first, second)


def _barlow(first: Tensor, second: Tensor, instances: Tensor) -> Tensor:
    """Return the loss of a dimension, so that it does not grow with their number."""
    return ops.divide(metric_losses.barlow_twins(first, second), ops.constant(first.shape[1]))


SIMCLR = TwoViews(_simclr, (512, 128))
VICREG = TwoViews(_vicreg, (512, 512, 512))
BARLOW = TwoViews(_barlow, (512, 512, 512))

"""A residual network for signals (Wang, Yan & Oates, "Time series classification from scratch with deep neural
networks: a strong baseline", 2017).
"""

from __future__ import annotations

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import BatchNorm1d, Conv1d, Flatten, GlobalAvgPool1d, Layer, Linear, Sequential
from opsin.zoo.registry import register


class Block1d(Layer):
    """Convolutions over 8, 5 and 3 moments, and a shortcut: N × C × 1 × T → N × `channels` × 1 × T."""

    def __init__(self, channels: int, has_projection: bool) -> None:
        self.convolutions = [Conv1d(channels, size, padding="same", bias=False) for size in (8, 5, 3)]
        self.norms = [BatchNorm1d() for _ in self.convolutions]
        self.projection = Conv1d(channels, 1, bias=False) if has_projection else None
        self.shortcut_norm = BatchNorm1d()

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for number, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True), start=1):
            y = norm(convolution(y))
            y = ops.relu(y) if number < len(self.convolutions) else y
        shortcut = self.projection(x) if self.projection else x
        return ops.relu(ops.add(y, self.shortcut_norm(shortcut)))


def _resnet1d(classes: int) -> Layer:
    blocks = [Block1d(64, True), Block1d(128, True), Block1d(128, False)]
    return Sequential(*blocks, GlobalAvgPool1d(), Flatten(), Linear(classes))


resnet1d = register("resnet1d", _resnet1d, (12, 1, 1000), classes=5, kind="signal")

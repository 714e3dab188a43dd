"""Convolutions over words (Kim, "Convolutional neural networks for sentence classification", 2014)."""

from __future__ import annotations

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import Conv2d, Dropout, Layer, Linear
from opsin.zoo.registry import register


class KimCNN(Layer):
    """Vectors of words N × 300 × 1 × T → logits N × classes.

    Filters over 3, 4 and 5 neighbouring words, 100 of each; the largest result of each filter in the sentence; and a
    linear layer with dropout on its input. Sentences are padded, so that they may be shorter than a filter.
    """

    def __init__(self, classes: int, widths: tuple[int, ...] = (3, 4, 5), filters: int = 100) -> None:
        self.convolutions = [Conv2d(filters, (1, width), padding=(0, width - 1)) for width in widths]
        self.dropout = Dropout(0.5)
        self.head = Linear(classes)

    def forward(self, x: Tensor) -> Tensor:
        results = [ops.relu(ops.max(convolution(x), (2, 3))) for convolution in self.convolutions]
        return self.head(self.dropout(ops.concat(results, 1)))


kim_cnn = register("kim_cnn", KimCNN, (300, 1, 64), classes=2, kind="text")

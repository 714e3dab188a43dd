"""A small network for sequences of words: convolutions on spectra, then depthwise ones along time, after QuartzNet
(Kriman et al., "QuartzNet: deep automatic speech recognition with 1D time-channel separable convolutions", 2020).

It gives logits for each 40 ms, for connectionist temporal classification (Graves et al. 2006).
"""

from __future__ import annotations

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import BatchNorm1d, BatchNorm2d, Conv1d, Conv2d, Dropout, Layer, ReLU, Sequential
from opsin.zoo.registry import register

WIDTH = 128
SIZES = (5, 7, 9, 11)
"""Frames that the depthwise convolution of each block reads; together a little more than a second."""

BANDS = 10
"""Rows that are left of 40 after two strides."""


class Block(Layer):
    """A depthwise convolution along time and a pointwise one, added to the input: N × 128 × 1 × frames."""

    def __init__(self, kernel_size: int) -> None:
        self.depthwise = Conv1d(WIDTH, kernel_size, padding="same", groups=WIDTH, bias=False)
        self.pointwise = Conv1d(WIDTH, 1, bias=False)
        self.norm = BatchNorm1d()

    def forward(self, x: Tensor) -> Tensor:
        return ops.relu(ops.add(x, self.norm(self.pointwise(self.depthwise(x)))))


def _ctc_cnn(classes: int) -> Layer:
    """Return the network: spectra N × 1 × 40 × frames → logits N × `classes` × 1 × frames / 4; class 0 is the blank."""
    stem: list[Layer] = [BatchNorm2d()]
    for width in (32, 48):
        stem += [Conv2d(width, 3, stride=2, padding=1, bias=False), BatchNorm2d(), ReLU()]
    columns = [Conv2d(WIDTH, (BANDS, 1), bias=False), BatchNorm2d(), ReLU()]
    return Sequential(
        ("stem", Sequential(*stem)),
        ("columns", Sequential(*columns)),
        ("blocks", Sequential(*map(Block, SIZES))),
        ("dropout", Dropout(0.1)),
        ("head", Conv1d(classes, 1)),
    )


ctc_cnn = register("ctc_cnn", _ctc_cnn, (1, 40, 400), classes=11, task="transcription", kind="sound")

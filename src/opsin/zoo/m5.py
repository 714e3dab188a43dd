"""M5: Dai, Dai, Qu, Li & Das, "Very deep convolutional neural networks for raw waveforms", 2017 (table 1).

Convolutions of height 1 on raw sound at 8 kHz: the first one, with a stride of 4, learns a bank of filters.
"""

from __future__ import annotations

from opsin.nn import BatchNorm2d, Conv2d, Flatten, GlobalAvgPool2d, Layer, Linear, MaxPool2d, ReLU, Sequential
from opsin.nn.initializers import kaiming_normal
from opsin.zoo.registry import register

STAGES = ((128, 80, 4), (128, 3, 1), (256, 3, 1), (512, 3, 1))
"""Filters, their length, and their stride."""


def network(classes: int) -> Layer:
    """Sounds N × 1 × 1 × L → N × `classes`, of at least 1,024 samples."""
    layers: list[Layer] = []
    for filters, length, stride in STAGES:
        padding = (0, length // 2)
        conv = Conv2d(filters, (1, length), (1, stride), padding, bias=False, weight_init=kaiming_normal)
        layers += [conv, BatchNorm2d(), ReLU(), MaxPool2d((1, 4))]
    return Sequential(
        ("features", Sequential(*layers)), ("pool", GlobalAvgPool2d()), ("flatten", Flatten()), ("fc", Linear(classes))
    )


m5 = register("m5", network, (1, 1, 8000), classes=10, kind="sound")

"""Convolutions over characters (Zhang, Zhao & LeCun, "Character-level convolutional networks for text classification",
2015): the small network of their table 1.

Their characters are one-hot vectors of an alphabet of 70. Here each byte has a vector of 70 numbers that is learned,
so that no language is left out.
"""

from __future__ import annotations

from opsin.nn import Conv2d, Dropout, Flatten, Layer, Linear, MaxPool2d, ReLU, Sequential
from opsin.zoo.registry import register

FEATURES, HIDDEN = 256, 1024
STAGES = ((7, 3), (7, 3), (3, 1), (3, 1), (3, 1), (3, 3))
"""The width of each convolution, and that of the pooling after it."""


def network(classes: int) -> Layer:
    """Vectors of bytes N × 70 × 1 × T → logits N × classes, for at least 123 bytes."""
    layers: list[Layer] = []
    for width, pool in STAGES:
        layers += [Conv2d(FEATURES, (1, width)), ReLU(), *([MaxPool2d((1, pool))] if pool > 1 else [])]
    head = [Flatten(), Linear(HIDDEN), ReLU(), Dropout(0.5), Linear(HIDDEN), ReLU(), Dropout(0.5), Linear(classes)]
    return Sequential(("features", Sequential(*layers)), ("head", Sequential(*head)))


char_cnn = register(
    "char_cnn", network, (70, 1, 1014), classes=4, kind="text", input_options={"unit": "bytes", "length": 1014}
)

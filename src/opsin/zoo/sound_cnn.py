"""A small network for short recordings: plain blocks of convolutions on log-mel spectra, then global pooling."""

from __future__ import annotations

from opsin.nn import BatchNorm2d, Conv2d, Dropout, Flatten, GlobalAvgPool2d, Layer, Linear, MaxPool2d, ReLU, Sequential
from opsin.zoo.registry import register

WIDTHS = (32, 64, 96, 128)


def _sound_cnn(classes: int) -> Layer:
    """Return the network: spectra N × 1 × 40 × frames → logits N × classes."""
    layers: list[Layer] = [BatchNorm2d()]
    for number, width in enumerate(WIDTHS):
        layers += [Conv2d(width, 3, padding=1, bias=False), BatchNorm2d(), ReLU()]
        layers += [MaxPool2d(2)] if number < len(WIDTHS) - 1 else []
    return Sequential(*layers, GlobalAvgPool2d(), Flatten(), Dropout(0.2), Linear(classes))


sound_cnn = register("sound_cnn", _sound_cnn, (1, 40, 101), classes=10, kind="sound")
